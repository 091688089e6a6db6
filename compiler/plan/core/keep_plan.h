#pragma once
// Schedules that keep a set of values over one kernel and make the rest again when it is read.
#include <optional>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// Runs `order`; behind `kernel`, only `kept` and what it reads or writes itself is still there of
// what was made before. nullopt when something cannot be made again.
std::optional<Schedule> keep_over(const Problem& problem, const Schedule& order, int kernel,
                                  const std::vector<int>& kept);

}  // namespace gradc
