#pragma once
// The planning problem of an entry: kernels that read and write buffers of the arena, what may
// share bytes, and what must come before what. Parameters, state and the caller's buffers take no
// part but in the order.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// A call. Numbered in the entry's order.
struct PlanKernel {
  OpId op;
  Phase phase = Phase::forward;
  int64_t cost = 0;  // nanoseconds
  int64_t workspace = 0;  // bytes, shared and of all threads
  std::vector<int> reads, writes;  // values of the arena, each once
  std::vector<std::pair<int, int>> inplace;  // (read, written): may be the same bytes
  // Results outside of the arena are written by the first run; a rerun needs bytes for them.
  int64_t rerun_bytes = 0;
  std::vector<int> after;  // kernels whose results it reads, those outside of the arena included
  // Kernels that overwrite state whose old content this one reads: it cannot run after any of them.
  std::vector<int> overwriters;
  bool overwrites_own_state = false;  // overwrites what it reads itself: never rerun
};

// A value of the arena with all of its views.
struct PlanValue {
  ValueId id;
  int64_t bytes = 0;  // a multiple of kAlignment
  int producer = 0;
  std::vector<int> readers;
};

struct Problem {
  std::vector<PlanKernel> kernels;
  std::vector<PlanValue> values;
  std::vector<int> value_of;  // by ValueId: the arena's value it is or is a view of, or -1
};

// Fails when the entry is not in the form of compiler/kernel.h, or when a kernel would overwrite
// state that it still reads.
Problem make_problem(const Module& module, const Function& entry, const Options& options);

// No plan can do with a smaller arena: the most that one kernel holds alone, and the kernel.
struct KernelFloor {
  int64_t bytes = 0;
  int kernel = -1;
};
KernelFloor kernel_floor(const Problem& problem);

}  // namespace gradc
