#pragma once
// Moves runs of a timeline to where all that they read, and all that reads what they make, allows.
#include <vector>

#include "compiler/plan/core/timeline.h"

namespace gradc {

class Shifter {
 public:
  explicit Shifter(const Problem& problem);

  // Up to `most` runs further to the front or to the back. Gives its new number; kNone if it cannot
  // move at all.
  int shift(Timeline& timeline, int run, bool earlier, int most);

 private:
  bool may_swap(int first, int second, bool second_moves) const;

  const Problem& problem_;
  std::vector<char> read_, written_;  // by value: by the kernel that moves
};

}  // namespace gradc
