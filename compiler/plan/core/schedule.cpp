#include "compiler/plan/core/schedule.h"

#include <algorithm>

namespace gradc {
namespace {

std::vector<int> run_counts(const Problem& problem, const Schedule& schedule) {
  std::vector<int> counts(problem.kernels.size());
  for (int kernel : schedule)
    ++counts[kernel];
  return counts;
}

}  // namespace

Usage evaluate(const Problem& problem, const Schedule& schedule) {
  Usage usage;
  usage.bytes.resize(schedule.size());
  std::vector<int> earlier_runs = run_counts(problem, schedule);
  std::vector<char> live(problem.values.size()), dying(problem.values.size());
  int64_t live_bytes = 0;
  for (size_t step = schedule.size(); step-- > 0;) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    bool rerun = --earlier_runs[schedule[step]] > 0;
    int64_t beside = kernel.workspace + (rerun ? kernel.rerun_bytes : 0);
    for (int value : kernel.writes)
      if (!live[value])
        beside += problem.values[value].bytes;
    for (int value : kernel.reads)
      if (!live[value]) {
        live[value] = dying[value] = true;
        live_bytes += problem.values[value].bytes;
      }
    for_each_shared_pair(
        problem, kernel, [&](int read) { return dying[read]; },
        [&](int, int written) { beside -= problem.values[written].bytes; });
    usage.bytes[step] = live_bytes + beside;
    usage.cost += kernel.cost;
    for (int value : kernel.reads)
      dying[value] = false;
    for (int value : kernel.writes)
      if (live[value]) {
        live[value] = false;
        live_bytes -= problem.values[value].bytes;
      }
  }
  auto most = std::max_element(usage.bytes.begin(), usage.bytes.end());
  if (most != usage.bytes.end()) {
    usage.peak = *most;
    usage.peak_step = static_cast<size_t>(most - usage.bytes.begin());
  }
  return usage;
}

std::vector<int> recomputing_steps(const Problem& problem, const Schedule& schedule) {
  std::vector<char> ran(problem.kernels.size());
  std::vector<int> steps;
  for (int step = 0; step < static_cast<int>(schedule.size()); ++step) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    if (ran[schedule[step]] || !kernel.required)
      steps.push_back(step);
    ran[schedule[step]] = true;
  }
  return steps;
}

Schedule without_dead_runs(const Problem& problem, const Schedule& schedule) {
  std::vector<int> earlier_runs = run_counts(problem, schedule);
  std::vector<char> needed(problem.values.size());
  Schedule kept;
  for (size_t step = schedule.size(); step-- > 0;) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    bool needless = --earlier_runs[schedule[step]] > 0 || !kernel.required;
    bool read = std::any_of(kernel.writes.begin(), kernel.writes.end(),
                            [&](int value) { return needed[value]; });
    if (needless && !read)
      continue;
    kept.push_back(schedule[step]);
    for (int value : kernel.writes)
      needed[value] = false;
    for (int value : kernel.reads)
      needed[value] = true;
  }
  std::reverse(kept.begin(), kept.end());
  return kept;
}

namespace {

// A run of a value's kernel makes an instance of it, which is read until the next run.
struct Instance {
  int first = 0, last = 0;
  int buffer = Buffers::kNone;
};

class BufferMaker {
 public:
  BufferMaker(const Problem& problem, const Schedule& schedule)
      : problem_(problem),
        schedule_(schedule),
        current_(problem.values.size()),
        ran_(problem.kernels.size()) {}

  Buffers run() {
    find_instances();
    int next = 0;
    for (int step = 0; step < static_cast<int>(schedule_.size()); ++step)
      add_step(step, next);
    return std::move(result_);
  }

 private:
  // In the order in which they are made.
  void find_instances() {
    for (int step = 0; step < static_cast<int>(schedule_.size()); ++step) {
      const PlanKernel& kernel = problem_.kernels[schedule_[step]];
      for (int value : kernel.reads)
        instances_[current_[value]].last = step;
      for (int value : kernel.writes) {
        current_[value] = static_cast<int>(instances_.size());
        instances_.push_back({step, step});
      }
    }
  }

  // `next` is the first instance that is made at this step or later.
  void add_step(int step, int& next) {
    const PlanKernel& kernel = problem_.kernels[schedule_[step]];
    std::vector<int> shared(kernel.writes.size(), Buffers::kNone);
    for_each_shared_pair(
        problem_, kernel, [&](int read) { return instances_[current_[read]].last == step; },
        [&](int read, int written) {
          auto at = std::find(kernel.writes.begin(), kernel.writes.end(), written);
          shared[at - kernel.writes.begin()] = instances_[current_[read]].buffer;
        });
    Buffers::Step placed;
    for (size_t i = 0; i < kernel.writes.size(); ++i) {
      Instance& made = instances_[next];
      int64_t bytes = problem_.values[kernel.writes[i]].bytes;
      made.buffer = shared[i] == Buffers::kNone ? add(bytes, made.first, made.last) : shared[i];
      int& last = result_.buffers[made.buffer].last;
      last = std::max(last, made.last);
      current_[kernel.writes[i]] = next++;
      placed.writes.push_back(made.buffer);
    }
    if (kernel.workspace > 0)
      placed.workspace = add(kernel.workspace, step, step);
    if (ran_[schedule_[step]] && kernel.rerun_bytes > 0)
      placed.rerun = add(kernel.rerun_bytes, step, step);
    ran_[schedule_[step]] = true;
    result_.steps.push_back(std::move(placed));
  }

  int add(int64_t bytes, int first, int last) {
    result_.buffers.push_back({bytes, first, last});
    return static_cast<int>(result_.buffers.size()) - 1;
  }

  const Problem& problem_;
  const Schedule& schedule_;
  std::vector<Instance> instances_;
  std::vector<int> current_;  // by value: its instance
  std::vector<char> ran_;  // by kernel
  Buffers result_;
};

}  // namespace

Buffers buffers_of(const Problem& problem, const Schedule& schedule) {
  return BufferMaker(problem, schedule).run();
}

}  // namespace gradc
