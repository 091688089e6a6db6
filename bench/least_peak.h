#pragma once
// The least peak that any order of a problem's kernels has, each run once: what the planner's
// orders are held to. It shares nothing with them but the problem.
#include <cstdint>

#include "compiler/plan/core/schedule.h"

namespace gradc::bench {

struct LeastPeak {
  int64_t peak = 0;
  Schedule order;
  bool exact = true;  // false: a beam search, the best that it found
  int64_t states = 0;  // sets of kernels that were looked at
};

// What is live follows from the set of kernels that have run, so the search goes over these sets,
// from small to large. Up to `beam` of each size go on, of the lowest peak, then of the fewest
// bytes; where there are never more, the result is exact.
LeastPeak least_peak(const Problem& problem, size_t beam);

}  // namespace gradc::bench
