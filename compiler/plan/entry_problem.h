#pragma once
// The planning problem of an entry. Parameters, state and the caller's buffers take no part but in
// the order.
#include <vector>

#include "compiler/options.h"
#include "compiler/plan/core/problem.h"
#include "ir/module.h"

namespace gradc {

// Kernels are the entry's calls, in its order, and behind them calls of recipes (compiler/kernel.h)
// that the entry does not have, which are not required. Bytes are multiples of kAlignment.
struct EntryProblem : Problem {
  std::vector<OpId> op_of;  // by kernel that the entry has
  struct Recipe {
    Op call;  // from values of the entry to one of them
    bool inverts = false;  // gives what others are made of
  };
  std::vector<Recipe> recipes;  // by the other kernels
  std::vector<int> value_of;  // by ValueId: the arena's value it is or is a view of, or -1

  const Op& call(const Function& entry, int kernel) const {
    auto i = static_cast<size_t>(kernel);
    return i < op_of.size() ? entry.ops[op_of[i].index] : recipes[i - op_of.size()].call;
  }
  bool inverts(int kernel) const {
    auto i = static_cast<size_t>(kernel);
    return i >= op_of.size() && recipes[i - op_of.size()].inverts;
  }
};

// Fails when the entry is not in the form of compiler/kernel.h, or when a kernel would overwrite
// state that it still reads.
EntryProblem make_problem(const Module& module, const Function& entry, const Options& options);

}  // namespace gradc
