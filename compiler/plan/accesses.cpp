#include "compiler/plan/accesses.h"

#include <algorithm>

namespace gradc {

Accesses::Accesses(const Problem& problem, const Schedule& schedule)
    : first_(problem.values.size() + 1) {
  for (int kernel : schedule) {
    for (int value : problem.kernels[kernel].reads)
      ++first_[value + 1];
    for (int value : problem.kernels[kernel].writes)
      ++first_[value + 1];
  }
  for (size_t i = 1; i < first_.size(); ++i)
    first_[i] += first_[i - 1];
  accesses_.resize(first_.back());
  std::vector<int> next(first_.begin(), first_.end() - 1);
  for (int step = 0; step < static_cast<int>(schedule.size()); ++step) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    for (int value : kernel.reads)
      accesses_[next[value]++] = {step, false};
    for (int value : kernel.writes)
      accesses_[next[value]++] = {step, true};
  }
}

Accesses::Neighbours Accesses::around(int value, int step) const {
  std::span<const Access> all = of(value);
  auto after = std::lower_bound(all.begin(), all.end(), step,
                                [](const Access& access, int at) { return access.step < at; });
  Neighbours result;
  if (after != all.begin())
    result.before = std::prev(after)->step;
  if (after != all.end()) {
    result.after = after->step;
    result.live = !after->write && result.before >= 0;
  }
  return result;
}

}  // namespace gradc
