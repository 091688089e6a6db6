#include "compiler/plan/schedule.h"

#include <algorithm>

namespace gradc {
namespace {

std::vector<int> run_counts(const Problem& problem, const Schedule& schedule) {
  std::vector<int> counts(problem.kernels.size());
  for (int kernel : schedule)
    ++counts[kernel];
  return counts;
}

// Calls share(read, written) for the pairs of a step that share bytes: the operand is read for the
// last time, and neither has another partner yet.
template <typename Dies, typename Share>
void for_each_shared_pair(const PlanKernel& kernel, Dies dies, Share share) {
  const auto& pairs = kernel.inplace;
  uint64_t shared = 0;
  for (size_t i = 0; i < std::min<size_t>(pairs.size(), 64); ++i) {
    bool taken = false;
    for (size_t j = 0; j < i; ++j)
      taken |= (shared >> j & 1) &&
               (pairs[j].first == pairs[i].first || pairs[j].second == pairs[i].second);
    if (taken || !dies(pairs[i].first))
      continue;
    shared |= uint64_t{1} << i;
    share(pairs[i].first, pairs[i].second);
  }
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
        kernel, [&](int read) { return dying[read]; },
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

Schedule without_dead_runs(const Problem& problem, const Schedule& schedule) {
  std::vector<int> earlier_runs = run_counts(problem, schedule);
  std::vector<char> needed(problem.values.size());
  Schedule kept;
  for (size_t step = schedule.size(); step-- > 0;) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    bool rerun = --earlier_runs[schedule[step]] > 0;
    bool read = std::any_of(kernel.writes.begin(), kernel.writes.end(),
                            [&](int value) { return needed[value]; });
    if (rerun && !read)
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

Buffers buffers_of(const Problem& problem, const Schedule& schedule) {
  // A run of a value's kernel makes an instance, read until the next run; first without sharing.
  struct Instance {
    int first = 0, last = 0, buffer = Buffers::kNone;
  };
  std::vector<Instance> instances;
  std::vector<int> current(problem.values.size(), -1);
  for (int step = 0; step < static_cast<int>(schedule.size()); ++step) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    for (int value : kernel.reads)
      instances[current[value]].last = step;
    for (int value : kernel.writes) {
      current[value] = static_cast<int>(instances.size());
      instances.push_back({step, step});
    }
  }
  Buffers result;
  auto add = [&](int64_t bytes, int first, int last) {
    result.buffers.push_back({bytes, first, last});
    return static_cast<int>(result.buffers.size()) - 1;
  };
  std::vector<char> ran(problem.kernels.size());
  int next = 0;
  for (int step = 0; step < static_cast<int>(schedule.size()); ++step) {
    const PlanKernel& kernel = problem.kernels[schedule[step]];
    Buffers::Step placed;
    std::vector<int> shared(kernel.writes.size(), Buffers::kNone);
    for_each_shared_pair(
        kernel, [&](int read) { return instances[current[read]].last == step; },
        [&](int read, int written) {
          auto at = std::find(kernel.writes.begin(), kernel.writes.end(), written);
          shared[at - kernel.writes.begin()] = instances[current[read]].buffer;
        });
    for (size_t i = 0; i < kernel.writes.size(); ++i) {
      Instance& made = instances[next];
      current[kernel.writes[i]] = next++;
      int64_t bytes = problem.values[kernel.writes[i]].bytes;
      made.buffer = shared[i] == Buffers::kNone ? add(bytes, made.first, made.last) : shared[i];
      result.buffers[made.buffer].last = std::max(result.buffers[made.buffer].last, made.last);
      placed.writes.push_back(made.buffer);
    }
    if (kernel.workspace > 0)
      placed.workspace = add(kernel.workspace, step, step);
    if (ran[schedule[step]] && kernel.rerun_bytes > 0)
      placed.rerun = add(kernel.rerun_bytes, step, step);
    ran[schedule[step]] = true;
    result.steps.push_back(std::move(placed));
  }
  return result;
}

}  // namespace gradc
