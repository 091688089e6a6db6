#pragma once
// The planning problem of an entry. Parameters, state and the caller's buffers take no part but in
// the order.
#include <vector>

#include "compiler/options.h"
#include "compiler/plan/core/problem.h"
#include "ir/module.h"

namespace gradc {

// Kernels are the entry's calls, in its order; bytes are multiples of kAlignment.
struct EntryProblem : Problem {
  std::vector<OpId> op_of;  // by kernel
  std::vector<int> value_of;  // by ValueId: the arena's value it is or is a view of, or -1
};

// Fails when the entry is not in the form of compiler/kernel.h, or when a kernel would overwrite
// state that it still reads.
EntryProblem make_problem(const Module& module, const Function& entry, const Options& options);

}  // namespace gradc
