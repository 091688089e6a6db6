#pragma once
// Writes a schedule down run by run: what a kernel reads and is not there any more is made again
// first.
#include <optional>
#include <vector>

#include "compiler/plan/core/cheapest_way.h"
#include "compiler/plan/core/schedule.h"

namespace gradc {

class Emission {
 public:
  explicit Emission(const Problem& problem);

  bool available(int value) const { return available_[value]; }
  bool has_run(int kernel) const { return ran_[kernel]; }
  // At some time, by the kernel that defines it.
  bool was_made(int value) const {
    const std::vector<int>& producers = problem_.values[value].producers;
    return !producers.empty() && ran_[producers[0]];
  }
  void drop(int value) { available_[value] = false; }
  // Supposed to be there, for schedules of a part.
  void assume(int value) { available_[value] = true; }

  // False when something that it takes cannot be made again.
  bool run(int kernel);
  // In the cheapest way from what is there.
  bool make(int value);
  // Of the cheapest way to make the value again, what cannot be made once `writer` has run.
  void make_before(int writer, int value);
  // By an optional kernel, from what that reads; those values by any means.
  bool make_by_inverse(int value) {
    ++attempt_;
    return make_by_inverse(value, 0);
  }

  const Schedule& runs() const { return schedule_; }

 private:
  bool can_run(int kernel) const;
  bool find_way(int value);
  bool make_on_way(int value);
  void make_on_way_before(int writer, int value);
  bool make_by_inverse(int value, int depth);
  void execute(int kernel);

  const Problem& problem_;
  std::vector<char> available_, busy_;  // by value
  // By value: the last attempt that looked at it in vain. Each looks once, as there are
  // exponentially many ways to come by a value.
  std::vector<int> seen_in_;
  int attempt_ = 0;
  std::vector<char> ran_;  // by kernel
  std::optional<CheapestWay> way_;  // where a value has several producers
  Schedule schedule_;
};

}  // namespace gradc
