#pragma once
// When each value is made and read in a schedule.
#include <span>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

class Accesses {
 public:
  struct Access {
    int step = 0;
    bool write = false;
  };
  // The accesses of a value next to a step: the last before it, and the first at it or after it.
  struct Neighbours {
    int before = -1, after = -1;  // steps, or -1
    bool live = false;  // the one after is a read: the value is held over the step's beginning
  };

  Accesses(const Problem& problem, const Schedule& schedule);
  Neighbours around(int value, int step) const;
  std::span<const Access> of(int value) const {
    return {accesses_.data() + first_[value], accesses_.data() + first_[value + 1]};
  }

 private:
  std::vector<int> first_;  // by value: where its accesses begin
  std::vector<Access> accesses_;  // by value, then by step
};

}  // namespace gradc
