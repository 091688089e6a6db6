#pragma once
// The planning problem: kernels that read and write values of the arena, what may share bytes, and
// what must come before what. It knows nothing of models: entry_problem.h makes one of an entry,
// tools/io/plan_instance.h of a file.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace gradc {

// Of kernels, or of values.
inline bool contains(const std::vector<int>& list, int item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

struct PlanKernel {
  // The order of forward kernels stays as given; others may run as soon as they free something.
  bool forward = true;
  bool required = true;  // else only one more way to make a value, such as an inverse
  bool once = false;  // never run again: it overwrites state that it reads
  int64_t cost = 0;  // nanoseconds
  int64_t workspace = 0;  // bytes, shared and of all threads
  std::vector<int> reads, writes;  // values of the arena, each once
  std::vector<std::pair<int, int>> inplace;  // (read, written): may be the same bytes
  // Results outside of the arena are written by the first run; a rerun needs bytes for them.
  int64_t rerun_bytes = 0;
  std::vector<int> after;  // kernels whose results it reads, those outside of the arena included
  // Kernels that overwrite state whose old content this one reads: it cannot run after any of them.
  std::vector<int> overwriters;
};

// A value of the arena with all of its views.
struct PlanValue {
  int64_t bytes = 0;
  // Kernels that make it. The first is the one that defines it, and is required.
  std::vector<int> producers;
};

struct Problem {
  // Which of a kernel's pairs share bytes in a run, of those whose operand is read for the last
  // time: `each` takes every pair of equal bytes whose operand and result are not taken yet;
  // `largest` the one with most bytes, of results that are no larger than their operand.
  enum class Sharing : uint8_t { each, largest };

  std::vector<PlanKernel> kernels;  // in an order that is possible
  std::vector<PlanValue> values;
  Sharing sharing = Sharing::each;

  int kernel_count() const { return static_cast<int>(kernels.size()); }
  int value_count() const { return static_cast<int>(values.size()); }
  // Of running every required kernel once: no schedule costs less.
  int64_t base_cost() const;
};

// No plan can do with a smaller arena: the most that one required kernel holds alone, and the
// kernel.
struct KernelFloor {
  int64_t bytes = 0;
  int kernel = -1;
};
KernelFloor kernel_floor(const Problem& problem);
// What a kernel holds alone, at least.
int64_t own_bytes(const Problem& problem, const PlanKernel& kernel);
// With values that are held over its run, those that it makes excepted.
int64_t bytes_beside(const Problem& problem, const PlanKernel& kernel,
                     const std::vector<int>& held);

// Calls share(read, written) for the pairs of a run that share bytes, given which operands are read
// for the last time.
template <typename Dies, typename Share>
void for_each_shared_pair(const Problem& problem, const PlanKernel& kernel, Dies dies,
                          Share share) {
  const auto& pairs = kernel.inplace;
  if (problem.sharing == Problem::Sharing::largest) {
    int best = -1;
    for (int i = 0; i < static_cast<int>(pairs.size()); ++i) {
      auto [read, written] = pairs[i];
      if (dies(read) && problem.values[written].bytes <= problem.values[read].bytes &&
          (best < 0 || problem.values[written].bytes > problem.values[pairs[best].second].bytes))
        best = i;
    }
    if (best >= 0)
      share(pairs[best].first, pairs[best].second);
    return;
  }
  uint64_t shared = 0;
  for (size_t i = 0; i < pairs.size() && i < 64; ++i) {
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

}  // namespace gradc
