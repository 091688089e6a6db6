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

// What is kept over the last forward kernel of `order` so that optional kernels, inverses first of
// all, can make the rest: of a chain of couplings its end.
struct Kept {
  int kernel = -1;
  std::vector<int> values;  // none: there are no optional kernels
};
Kept kept_for_recipes(const Problem& problem, const Schedule& order);

}  // namespace gradc
