#include "compiler/plan/core/shift.h"

#include <algorithm>

namespace gradc {

Shifter::Shifter(const Problem& problem)
    : problem_(problem), read_(problem.values.size()), written_(problem.values.size()) {}

// Whether the two, of which `first` comes right before `second`, may change places. The values that
// the one which moves reads and makes are marked.
bool Shifter::may_swap(int first, int second, bool second_moves) const {
  const PlanKernel& a = problem_.kernels[first];
  const PlanKernel& b = problem_.kernels[second];
  const PlanKernel& passed = second_moves ? a : b;
  auto none = [](const std::vector<int>& values, const std::vector<char>& marked) {
    return std::none_of(values.begin(), values.end(), [&](int value) { return marked[value]; });
  };
  return first != second && none(passed.writes, written_) && none(passed.reads, written_) &&
         (!second_moves || none(passed.writes, read_)) && !contains(a.overwriters, second) &&
         !contains(b.after, first);
}

int Shifter::shift(Timeline& timeline, int run, bool earlier, int most) {
  const RunList& runs = timeline.runs();
  int kernel = timeline.kernel_of(run);
  const PlanKernel& moving = problem_.kernels[kernel];
  for (int value : moving.reads)
    read_[value] = true;
  for (int value : moving.writes)
    written_[value] = true;
  int moved = 0;
  int before = earlier ? run : runs.next(run);
  while (moved < most) {
    int other = earlier ? runs.previous(before) : before;
    if (other == Timeline::kNone)
      break;
    int passed = timeline.kernel_of(other);
    if (earlier ? !may_swap(passed, kernel, true) : !may_swap(kernel, passed, false))
      break;
    before = earlier ? other : runs.next(other);
    ++moved;
  }
  for (int value : moving.reads)
    read_[value] = false;
  for (int value : moving.writes)
    written_[value] = false;
  return moved > 0 ? timeline.move(run, before) : Timeline::kNone;
}

}  // namespace gradc
