#pragma once
// A schedule together with where its buffers go.
#include <cstdint>

#include "compiler/plan/core/offsets.h"
#include "compiler/plan/core/schedule.h"

namespace gradc {

struct Placement {
  Schedule schedule;
  Buffers buffers;
  Offsets offsets;
  int64_t peak = 0, cost = 0;
};

// Offsets that end at the peak, if they are found. Where the schedule leaves holes, the same runs
// in an order that fills memory less often (ease.h); where that misses the budget, values are
// dropped where memory is fullest and made again. Of what fits the budget the cheapest, else the
// smallest. `work` is of one try, about nanoseconds, which are counted and not timed.
Placement place_schedule(const Problem& problem, const Schedule& schedule, int64_t budget,
                         int64_t work);

}  // namespace gradc
