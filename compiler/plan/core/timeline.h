#pragma once
// A schedule that is being changed: exact bytes and cost after each insertion or removal of a run,
// at a price that hardly depends on its length, and a history to take changes back.
#include <cstdint>
#include <vector>

#include "compiler/plan/core/run_list.h"
#include "compiler/plan/core/schedule.h"

namespace gradc {

class Timeline {
 public:
  static constexpr int kNone = -1;

  Timeline(const Problem& problem, const Schedule& schedule);
  Schedule schedule() const;
  // Starts again from another schedule, without a history.
  void assign(const Schedule& schedule);

  const Problem& problem() const { return problem_; }
  const RunList& runs() const { return runs_; }
  // kNone for a run that was removed.
  int kernel_of(int run) const { return kernel_of_[run]; }
  const PlanKernel& kernel(int run) const { return problem_.kernels[kernel_of_[run]]; }
  int count_of(int kernel) const { return count_[kernel]; }
  // The first run of a kernel that the timeline was given; kNone when there is none any more.
  int first_run(int kernel) const { return first_[kernel]; }
  int64_t cost() const { return cost_; }
  int64_t peak() const { return runs_.peak_bytes(); }

  // Runs that read or write a value, in order.
  struct Access {
    int64_t label = 0;
    int run = 0;
    bool write = false;
  };
  const std::vector<Access>& accesses(int value) const { return accesses_[value]; }
  // The last access before a run, and the first at it or after it; kNone if there is none.
  struct Gap {
    int before = kNone, after = kNone;
    bool held = false;  // the one after is a read: the value is there when the run begins
  };
  Gap around(int value, int run) const {
    const std::vector<Access>& accesses = accesses_[value];
    size_t at = position(accesses, runs_.label(run));
    Gap gap;
    if (at > 0)
      gap.before = accesses[at - 1].run;
    if (at < accesses.size()) {
      gap.after = accesses[at].run;
      gap.held = !accesses[at].write;
    }
    return gap;
  }
  // Whether something reads what the run makes of the value.
  bool is_read(int value, int run) const {
    const std::vector<Access>& accesses = accesses_[value];
    size_t next = position(accesses, runs_.label(run)) + 1;
    return next < accesses.size() && !accesses[next].write;
  }
  // The values that are accessed both before and after a run, in order; some may be dropped there.
  void find_spanning(int run, std::vector<int>& values) const;
  // All runs of the kernels that run more than once or are not required, in no order.
  void find_repeated(std::vector<int>& runs) const;
  size_t run_count() const { return kernel_of_.size() - unused_.size() - removed_.size(); }

  // What the kernel reads must have been made before.
  int insert(int kernel, int before);
  // Whether all that reads what the run makes could read what an earlier run made, and all required
  // kernels would still run.
  bool removable(int run) const;
  // Also removes runs whose results nobody reads any more.
  void remove(int run);
  // Moves a run in front of another one, kNone for the end; what it reads must have been made
  // there, and nothing in between may read what it makes. Gives its new number.
  int move(int run, int before);

  size_t mark() const { return history_.size(); }
  void undo_to(size_t mark);
  // What was done cannot be undone any more.
  void forget_history();

 private:
  struct Change {
    int run = 0, kernel = 0, next = 0;
    bool inserted = false;
    int first = kNone;  // of the kernel, before the change
  };

  void link(int run, int kernel, int before);
  void unlink(int run);
  void take_out(int run);
  void set_first(int kernel, int run);
  bool is_needless(int run) const;
  void refresh(int run);
  void update_labels();
  void update_span(int value);
  void add_run_of(int kernel, int run);
  void erase_run_of(int kernel, int run);
  // The first access at or behind the label.
  static size_t position(const std::vector<Access>& accesses, int64_t label) {
    size_t first = 0, count = accesses.size();
    while (count > 0) {  // without branches that depend on what is compared
      size_t half = (count + 1) / 2;
      first += accesses[first + half - 1].label < label ? half : 0;
      count -= half;
    }
    return first;
  }

  const Problem& problem_;
  RunList runs_;
  std::vector<int> kernel_of_;  // by run
  std::vector<int64_t> beside_;  // by run: workspace and the like, less what is shared in place
  std::vector<std::vector<Access>> accesses_;  // by value
  // By value: labels of its first and last access. Whole numbers, which are compared faster so.
  struct Span {
    double first = 0, last = 0;
  };
  std::vector<Span> spans_;
  std::vector<int> count_, first_;  // by kernel
  std::vector<std::vector<int>> runs_of_;  // by kernel
  std::vector<int> repeated_;  // kernels that run more than once or are not required
  std::vector<int> repeated_at_;  // by kernel: its place in repeated_
  std::vector<int> unused_, removed_;  // runs; the latter are still in the history
  std::vector<Change> history_;
  int64_t cost_ = 0;
  int renumberings_ = 0;
};

}  // namespace gradc
