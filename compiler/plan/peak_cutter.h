#pragma once
// Fits a schedule into a budget by dropping values where most bytes are live and making them again.
#include <cstdint>
#include <optional>

#include "compiler/plan/schedule.h"

namespace gradc {

struct CutOptions {
  int64_t budget = 0;  // bytes
  int64_t cost_limit = INT64_MAX;  // gives up on a dearer schedule
  double cost_weight = 1;  // a gap is worth the bytes it takes off per cost to this power
};

// While the peak is over the budget: of all values that are held over the peak step without being
// used there, the one whose gap takes most bytes off steps over the budget per cost of making it
// again is dropped for that gap. What its kernel reads is rebuilt in turn, unless it can be kept
// longer within the budget. nullopt when nothing more can be dropped.
std::optional<Schedule> cut_peaks(const Problem& problem, Schedule schedule,
                                  const CutOptions& options);

// Takes out recomputations, dearest first, where keeping the value instead fits the budget.
Schedule undo_needless(const Problem& problem, Schedule schedule, int64_t budget);

}  // namespace gradc
