#pragma once
// A schedule is the order in which kernels run; one that comes again recomputes its results. When a
// value is dropped follows from it: after the last read before it is made again, or is not.
#include <cstdint>
#include <vector>

#include "compiler/plan/core/problem.h"

namespace gradc {

using Schedule = std::vector<int>;  // kernels of a Problem

struct Usage {
  int64_t peak = 0;  // the most bytes live at once, workspace included
  size_t peak_step = 0;
  int64_t cost = 0;  // of all runs, nanoseconds
  std::vector<int64_t> bytes;  // live while each step runs
};

// One scan from the end.
Usage evaluate(const Problem& problem, const Schedule& schedule);

// The steps that run a kernel again, or one that is not required.
std::vector<int> recomputing_steps(const Problem& problem, const Schedule& schedule);

// Without recomputations that nothing reads.
Schedule without_dead_runs(const Problem& problem, const Schedule& schedule);

// Bytes that are needed during steps [first, last]; values made in place of one another are one
// buffer.
struct Buffer {
  int64_t bytes = 0;
  int first = 0, last = 0;
};

struct Buffers {
  static constexpr int kNone = -1;
  struct Step {
    std::vector<int> writes;  // the buffer of each value the kernel writes
    int workspace = kNone;
    int rerun = kNone;  // of the results that the first run left outside of the arena
  };
  std::vector<Buffer> buffers;
  std::vector<Step> steps;
};

// The most bytes that are live at once is evaluate()'s peak.
Buffers buffers_of(const Problem& problem, const Schedule& schedule);

}  // namespace gradc
