#pragma once
// The same runs in an order in which memory is nearly full less often.
#include <cstdint>

#include "compiler/plan/core/schedule.h"

namespace gradc {

struct EaseSettings {
  int64_t most = 0;  // bytes: the peak is not above, or not above what it was
  double share = 0.8;  // of the peak: what a step holds above it counts, by its square
  // How much that sum may grow on the way, as a share of what it is at first; falls to nothing.
  double tolerance = 0;
  int64_t work = 0;  // about nanoseconds; counted, not timed
  uint64_t seed = 1;
};

// Moves runs to where their operands and readers allow. What comes and goes while memory is nearly
// full leaves holes, so that offsets are found more easily for what this gives.
Schedule ease(const Problem& problem, const Schedule& schedule, const EaseSettings& settings);

}  // namespace gradc
