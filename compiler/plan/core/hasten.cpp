#include "compiler/plan/core/hasten.h"

#include <algorithm>
#include <numeric>

namespace gradc {

Schedule hastened(const Problem& problem, const Schedule& schedule) {
  std::vector<char> needed(problem.values.size());  // behind the step
  std::vector<int64_t> freed(schedule.size());  // what is read for the last time less what is made
  for (size_t step = schedule.size(); step-- > 0;) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    for (int value : kernel.writes) {
      needed[value] = false;
      freed[step] -= problem.values[value].bytes;
    }
    for (int value : kernel.reads) {
      freed[step] += needed[value] ? 0 : problem.values[value].bytes;
      needed[value] = true;
    }
  }
  std::vector<int> last(problem.values.size(), -1);  // step that reads or writes the value
  std::vector<int> behind(schedule.size());  // by step: the step that it may follow at once
  for (int step = 0; step < static_cast<int>(schedule.size()); ++step) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    behind[step] = step;
    if (!kernel.required && freed[step] >= 0) {
      int other = -1;
      for (const auto* values : {&kernel.reads, &kernel.writes})
        for (int value : *values)
          other = std::max(other, last[value]);
      if (other >= 0)
        behind[step] = other;
    }
    for (const auto* values : {&kernel.reads, &kernel.writes})
      for (int value : *values)
        last[value] = step;
  }
  std::vector<int> order(schedule.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return std::pair(behind[a], behind[a] != a) < std::pair(behind[b], behind[b] != b);
  });
  Schedule result;
  for (int step : order)
    result.push_back(schedule[step]);
  return result;
}

}  // namespace gradc
