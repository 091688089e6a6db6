#pragma once
// Fits a schedule into a budget by dropping values where most bytes are live and making them again.
#include <cstdint>
#include <optional>

#include "compiler/plan/core/random.h"
#include "compiler/plan/core/schedule.h"

namespace gradc {

// How much the cost of making a value again counts against the bytes that its gap takes off: its
// square root, itself, or its power of 1.5. (No std::pow, which differs between machines.)
enum class CostWeight : uint8_t { root, linear, steep };

struct CutOptions {
  int64_t budget = 0;  // bytes
  int64_t cost_limit = INT64_MAX;  // gives up on a dearer schedule
  CostWeight cost_weight = CostWeight::linear;
  Random* random = nullptr;  // not null: worths are multiplied or divided by up to 1 + noise
  double noise = 0;
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
