#pragma once
// Writes a schedule down run by run: what a kernel reads and is not there any more is made again
// first.
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

class Emission {
 public:
  explicit Emission(const Problem& problem)
      : problem_(problem),
        available_(problem.values.size()),
        busy_(problem.values.size()),
        failed_in_(problem.values.size()),
        ran_(problem.kernels.size()) {}

  bool available(int value) const { return available_[value]; }
  bool has_run(int kernel) const { return ran_[kernel]; }
  void drop(int value) { available_[value] = false; }
  // Supposed to be there, for schedules of a part.
  void assume(int value) { available_[value] = true; }

  // False when something that it takes cannot be made again.
  bool run(int kernel);
  bool make(int value);
  // By an optional kernel, from what that reads; those values by any means.
  bool make_by_inverse(int value) {
    ++attempt_;
    return make_by_inverse(value, 0);
  }

  const Schedule& runs() const { return schedule_; }

 private:
  bool can_run(int kernel) const;
  bool make_by_inverse(int value, int depth);
  void execute(int kernel);

  const Problem& problem_;
  std::vector<char> available_, busy_;  // by value
  // By value: the attempt in which it could not be made. A value is tried once in each, as there
  // are exponentially many ways to come by it.
  std::vector<int> failed_in_;
  int attempt_ = 0;
  std::vector<char> ran_;  // by kernel
  Schedule schedule_;
};

}  // namespace gradc
