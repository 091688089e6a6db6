#pragma once
// A sharper bound for one kernel, from what must have been done before it runs.
#include <cstdint>
#include <vector>

#include "compiler/plan/core/keep_cut.h"

namespace gradc {

// When c runs for the first time, all that it reads is in memory. One of these values was made
// last, by a kernel p: while p ran, all others were there beside what p reads and makes. Before p
// ran, the others and what p reads were there, and again one of them was made last; and so on. Each
// p is a moment before c, with much held: a cut says what is paid after it at least. If p had
// certainly run before, that it ran is paid for as well. Which value was last is not known: the
// bound is the least over all these ways back, and the most along each. A way is followed from its
// cheapest end, so that what is reached after any number of looks is a bound.
class LastRuns {
 public:
  // `leading` as for KeepCut; `waits_for`, by kernel: those that must have run before it.
  LastRuns(const Problem& problem, const std::vector<int>& leading,
           const std::vector<std::vector<int>>& waits_for)
      : problem_(problem), leading_(leading), waits_for_(waits_for) {}

  struct Result {
    int64_t cost = 0;  // or bytes
    bool impossible = false;
    bool cut_short = false;  // more looks may give more
  };
  // `to_come`, by kernel: runs after c only. `known` is what c alone costs, `price` near the best
  // one there.
  Result bound(int c, const std::vector<char>& to_come, int64_t budget, KeepCut::Least known,
               int looks);
  // No schedule has a lower peak: the most bytes along a way back, the least over the ways. At
  // least `known`.
  Result least_bytes(int c, const std::vector<char>& to_come, int64_t known, int looks);

 private:
  // Before a moment, the values were in memory, and `last` made some of them last.
  struct Way {
    int64_t cost = 0;  // at least, from the moments behind; or bytes
    double price = 0;
    bool seen = false;  // the moment of `last` is counted
    int last = -1;
    std::vector<int> values;  // sorted
  };
  struct Later {
    bool operator()(const Way& a, const Way& b) const {
      return a.cost != b.cost ? a.cost > b.cost : a.seen < b.seen;
    }
  };

  template <typename Look>
  Result search(int c, Way start, int64_t small, int looks, Look look) const;
  std::vector<int> before(const Way& way) const;
  bool may_be(const Way& way, const Moment& moment, const std::vector<char>& to_come) const;
  bool look(Way& way, const std::vector<char>& to_come, int64_t budget) const;
  Moment moment_of(const Way& way, const std::vector<int>& values) const;

  const Problem& problem_;
  const std::vector<int>& leading_;
  const std::vector<std::vector<int>>& waits_for_;
};

}  // namespace gradc
