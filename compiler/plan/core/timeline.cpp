#include "compiler/plan/core/timeline.h"

#include "ir/diagnostic.h"

namespace gradc {

Timeline::Timeline(const Problem& problem, const Schedule& schedule) : problem_(problem) {
  assign(schedule);
}

void Timeline::assign(const Schedule& schedule) {
  runs_.clear();
  kernel_of_.clear();
  beside_.clear();
  unused_.clear();
  removed_.clear();
  history_.clear();
  accesses_.resize(problem_.values.size());
  for (std::vector<Access>& accesses : accesses_)
    accesses.clear();
  spans_.assign(problem_.values.size(), {});
  count_.assign(problem_.kernels.size(), 0);
  runs_of_.resize(problem_.kernels.size());
  for (std::vector<int>& runs : runs_of_)
    runs.clear();
  repeated_.clear();
  repeated_at_.assign(problem_.kernels.size(), kNone);
  first_.assign(problem_.kernels.size(), kNone);
  cost_ = 0;
  for (int kernel : schedule)
    insert(kernel, kNone);
  forget_history();
}

Schedule Timeline::schedule() const {
  Schedule schedule;
  for (int run = runs_.front(); run != kNone; run = runs_.next(run))
    schedule.push_back(kernel_of_[run]);
  return schedule;
}

void Timeline::update_span(int value) {
  const std::vector<Access>& accesses = accesses_[value];
  spans_[value] = accesses.empty() ? Span{}
                                   : Span{static_cast<double>(accesses.front().label),
                                          static_cast<double>(accesses.back().label)};
}

void Timeline::find_spanning(int run, std::vector<int>& values) const {
  auto label = static_cast<double>(runs_.label(run));
  values.resize(spans_.size());
  size_t count = 0;
  for (size_t value = 0; value < spans_.size(); ++value) {
    values[count] = static_cast<int>(value);
    count += int{spans_[value].first < label} & int{label < spans_[value].last};
  }
  values.resize(count);
}

void Timeline::find_repeated(std::vector<int>& runs) const {
  runs.clear();
  for (int kernel : repeated_)
    runs.insert(runs.end(), runs_of_[kernel].begin(), runs_of_[kernel].end());
}

void Timeline::add_run_of(int kernel, int run) {
  runs_of_[kernel].push_back(run);
  if (repeated_at_[kernel] == kNone && (count_[kernel] > 1 || !problem_.kernels[kernel].required)) {
    repeated_at_[kernel] = static_cast<int>(repeated_.size());
    repeated_.push_back(kernel);
  }
}

void Timeline::erase_run_of(int kernel, int run) {
  std::vector<int>& runs = runs_of_[kernel];
  *std::find(runs.begin(), runs.end(), run) = runs.back();
  runs.pop_back();
  if (int at = repeated_at_[kernel];
      at != kNone &&
      (count_[kernel] == 0 || (count_[kernel] == 1 && problem_.kernels[kernel].required))) {
    repeated_[at] = repeated_.back();
    repeated_at_[repeated_[at]] = at;
    repeated_.pop_back();
    repeated_at_[kernel] = kNone;
  }
}

void Timeline::refresh(int run) {
  const PlanKernel& made = kernel(run);
  int64_t beside = made.workspace;
  if (made.rerun_bytes > 0 && first_[kernel_of_[run]] != run)
    beside += made.rerun_bytes;
  if (!made.inplace.empty())
    for_each_shared_pair(
        problem_, made, [&](int read) { return !is_read(read, run); },
        [&](int, int written) { beside -= problem_.values[written].bytes; });
  if (beside != beside_[run]) {
    runs_.add(run, beside - beside_[run]);
    beside_[run] = beside;
  }
}

void Timeline::update_labels() {
  renumberings_ = runs_.renumberings();
  for (std::vector<Access>& accesses : accesses_)
    for (Access& access : accesses)
      access.label = runs_.label(access.run);
  for (int value = 0; value < problem_.value_count(); ++value)
    update_span(value);
}

void Timeline::link(int run, int number, int before) {
  const PlanKernel& made = problem_.kernels[number];
  int64_t held = 0;  // over the boundary in front of `before`
  if (before != kNone) {
    held = runs_.bytes(before) - beside_[before];
    for (int value : kernel(before).writes)
      held -= problem_.values[value].bytes;
  }
  kernel_of_[run] = number;
  beside_[run] = 0;
  runs_.insert(run, before, held);
  if (runs_.renumberings() != renumberings_)
    update_labels();
  if (count_[number]++ == 0)
    first_[number] = run;
  add_run_of(number, run);
  cost_ += made.cost;
  int64_t label = runs_.label(run), own = 0;
  auto insert_access = [&](int value, bool write) {
    std::vector<Access>& accesses = accesses_[value];
    size_t at = position(accesses, label);
    bool read_next = at < accesses.size() && !accesses[at].write;
    GRADC_CHECK(at > 0 || (write && !read_next), "a value is read before it is made");
    accesses.insert(accesses.begin() + static_cast<std::ptrdiff_t>(at), {label, run, write});
    update_span(value);
    int64_t bytes = problem_.values[value].bytes;
    own += read_next ? 0 : bytes;
    // A read behind all others holds the value until here; a write before others no longer does.
    if (read_next != write)
      return;
    int last = accesses[at - 1].run;
    runs_.add_between(last, run, write ? -bytes : bytes);
    refresh(last);
  };
  for (int value : made.reads)
    insert_access(value, false);
  for (int value : made.writes)
    insert_access(value, true);
  runs_.add(run, own);
  refresh(run);
}

void Timeline::unlink(int run) {
  const PlanKernel& made = kernel(run);
  int64_t label = runs_.label(run);
  auto erase_access = [&](int value, bool write) {
    std::vector<Access>& accesses = accesses_[value];
    size_t at = position(accesses, label);
    accesses.erase(accesses.begin() + static_cast<std::ptrdiff_t>(at));
    update_span(value);
    bool read_next = at < accesses.size() && !accesses[at].write;
    if (read_next != write)
      return;
    GRADC_CHECK(at > 0, "a value is read that nothing makes");
    int last = accesses[at - 1].run;
    int64_t bytes = problem_.values[value].bytes;
    runs_.add_between(last, run, write ? bytes : -bytes);
    refresh(last);
  };
  for (int value : made.writes)
    erase_access(value, true);
  for (int value : made.reads)
    erase_access(value, false);
  runs_.erase(run);
  int number = kernel_of_[run];
  cost_ -= made.cost;
  --count_[number];
  erase_run_of(number, run);
  if (first_[number] == run)
    first_[number] = kNone;
  kernel_of_[run] = kNone;
}

int Timeline::insert(int kernel, int before) {
  int run = static_cast<int>(kernel_of_.size());
  if (unused_.empty()) {
    kernel_of_.push_back(kernel);
    beside_.push_back(0);
  } else {
    run = unused_.back();
    unused_.pop_back();
  }
  int first = first_[kernel];
  link(run, kernel, before);
  history_.push_back({run, kernel, before, true, first});
  return run;
}

bool Timeline::removable(int run) const {
  const PlanKernel& made = kernel(run);
  int number = kernel_of_[run];
  if (made.once || (made.required && count_[number] == 1) ||
      (made.rerun_bytes > 0 && first_[number] == run))
    return false;
  for (int value : made.writes)
    if (accesses_[value].front().run == run && is_read(value, run))
      return false;
  return true;
}

// Whether nothing reads what the run makes, and it may go.
bool Timeline::is_needless(int run) const {
  for (int value : kernel(run).writes)
    if (is_read(value, run))
      return false;
  return removable(run);
}

void Timeline::take_out(int run) {
  int kernel = kernel_of_[run];
  history_.push_back({run, kernel, runs_.next(run), false, first_[kernel]});
  unlink(run);
  removed_.push_back(run);
}

void Timeline::set_first(int kernel, int run) {
  if (first_[kernel] == run)
    return;
  int other = first_[kernel];
  first_[kernel] = run;
  for (int changed : {other, run})
    if (changed != kNone)
      refresh(changed);
}

int Timeline::move(int run, int before) {
  int kernel = kernel_of_[run];
  bool first = first_[kernel] == run;
  int moved = insert(kernel, before);
  take_out(run);
  if (first)
    set_first(kernel, moved);
  return moved;
}

void Timeline::remove(int first) {
  std::vector<int> needless = {first};
  while (!needless.empty()) {
    int run = needless.back();
    needless.pop_back();
    if (run != first && !is_needless(run))
      continue;
    std::vector<int> makers;
    for (int value : kernel(run).reads) {
      const std::vector<Access>& accesses = accesses_[value];
      size_t at = position(accesses, runs_.label(run));
      while (!accesses[at].write)
        --at;
      makers.push_back(accesses[at].run);
    }
    take_out(run);
    for (int maker : makers)
      if (std::find(needless.begin(), needless.end(), maker) == needless.end() &&
          is_needless(maker))
        needless.push_back(maker);
  }
}

void Timeline::undo_to(size_t mark) {
  while (history_.size() > mark) {
    Change change = history_.back();
    history_.pop_back();
    if (change.inserted) {
      unlink(change.run);
      unused_.push_back(change.run);
    } else {
      link(change.run, change.kernel, change.next);
      removed_.pop_back();
    }
    set_first(change.kernel, change.first);
  }
}

void Timeline::forget_history() {
  history_.clear();
  unused_.insert(unused_.end(), removed_.begin(), removed_.end());
  removed_.clear();
}

}  // namespace gradc
