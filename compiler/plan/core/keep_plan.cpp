#include "compiler/plan/core/keep_plan.h"

#include "compiler/plan/core/emission.h"

namespace gradc {

std::optional<Schedule> keep_over(const Problem& problem, const Schedule& order, int kernel,
                                  const std::vector<int>& kept) {
  Emission emission(problem);
  for (int next : order) {
    if (!emission.run(next))
      return std::nullopt;
    if (next != kernel)
      continue;
    std::vector<char> stays(problem.values.size());
    const PlanKernel& at = problem.kernels[kernel];
    for (const auto* values : {&kept, &at.reads, &at.writes})
      for (int value : *values)
        stays[value] = true;
    for (int value = 0; value < problem.value_count(); ++value)
      if (!stays[value])
        emission.drop(value);
  }
  return without_dead_runs(problem, emission.runs());
}

}  // namespace gradc
