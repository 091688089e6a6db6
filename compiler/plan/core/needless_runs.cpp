#include "compiler/plan/core/needless_runs.h"

#include <algorithm>
#include <functional>

namespace gradc {

NeedlessRuns::NeedlessRuns(Timeline& timeline) : timeline_(timeline), problem_(timeline.problem()) {
  std::vector<int64_t> costs;
  for (const PlanKernel& kernel : problem_.kernels)
    costs.push_back(kernel.cost);
  std::sort(costs.begin(), costs.end(), std::greater());
  for (const PlanKernel& kernel : problem_.kernels)
    cost_rank_.push_back(static_cast<uint64_t>(
        std::lower_bound(costs.begin(), costs.end(), kernel.cost, std::greater()) - costs.begin()));
}

// A quick look: whether each value that the run makes fits from its last use before until the run.
bool NeedlessRuns::may_be_kept(int run, int64_t budget) {
  const RunList& runs = timeline_.runs();
  if (static_cast<size_t>(run) >= witnesses_.size())
    witnesses_.resize(static_cast<size_t>(run) + 1, RunList::kNone);
  int& witness = witnesses_[run];
  for (int value : timeline_.kernel(run).writes) {
    if (!timeline_.is_read(value, run))
      continue;
    work_ += 40;
    int from = timeline_.around(value, run).before;
    int64_t limit = budget - problem_.values[value].bytes;
    if (witness != RunList::kNone && timeline_.kernel_of(witness) != Timeline::kNone &&
        runs.precedes(from, witness) && runs.precedes(witness, run) && runs.bytes(witness) > limit)
      return false;
    int above = runs.above_between(from, run, limit);
    if (above != RunList::kNone) {
      witness = above;
      return false;
    }
  }
  return true;
}

void NeedlessRuns::undo(int64_t budget) {
  for (bool undone = true; undone;) {
    undone = false;
    removable_.clear();
    timeline_.find_repeated(repeated_);
    for (int run : repeated_)
      if (timeline_.removable(run))
        removable_.push_back(cost_rank_[timeline_.kernel_of(run)] << 32 |
                             static_cast<uint64_t>(run));
    work_ += 2 * static_cast<int64_t>(timeline_.run_count());
    std::sort(removable_.begin(), removable_.end());
    for (uint64_t ranked : removable_) {
      auto run = static_cast<int>(ranked & UINT32_MAX);
      // Others may have gone with an earlier one.
      if (timeline_.kernel_of(run) < 0 || !timeline_.removable(run) || !may_be_kept(run, budget))
        continue;
      size_t mark = timeline_.mark();
      timeline_.remove(run);
      work_ += 400;
      if (timeline_.peak() <= budget)
        undone = true;
      else
        timeline_.undo_to(mark);
    }
  }
}

}  // namespace gradc
