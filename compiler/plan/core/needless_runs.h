#pragma once
// Takes recomputations out of a timeline where keeping the value instead fits the budget.
#include <cstdint>
#include <vector>

#include "compiler/plan/core/timeline.h"

namespace gradc {

class NeedlessRuns {
 public:
  explicit NeedlessRuns(Timeline& timeline);

  void undo(int64_t budget);  // the dearest first
  int64_t work() const { return work_; }  // of all calls, as Cutter counts it

 private:
  bool may_be_kept(int run, int64_t budget);

  Timeline& timeline_;
  const Problem& problem_;
  std::vector<uint64_t> cost_rank_;  // by kernel, the dearest first
  std::vector<int> repeated_;  // runs
  std::vector<uint64_t> removable_;  // runs, each behind its kernel's cost_rank_
  std::vector<int> witnesses_;  // by run: where its results did not fit, if they still do not
  int64_t work_ = 0;
};

}  // namespace gradc
