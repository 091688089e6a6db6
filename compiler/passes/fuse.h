#pragma once
// Groups ops into kernels: afterwards entries only call kernels (compiler/kernel.h says what a
// kernel is).
//
// Greedy, in list order: each op starts as a group of its own and is merged with the groups of the
// values it reads, when the merged group can be lowered as one loop nest (same iteration space, or
// the rows and the domain of one reduction, or the result of one contraction), when every value
// that passes between the two is read where it is written, and when no third group would sit
// between them. What costs nothing to compute and is larger than what it is made from (constants,
// broadcasts) is repeated inside of every kernel that reads it.
//
// Reductions become one where they sweep over the same tensor or one over what another makes, so
// that a sum of sums of many tensors does not need them all at once.
//
// What the backward pass computes from values of the forward pass alone joins the kernel of its
// readers where the backward pass holds these values anyway, and else the kernel that it reads
// from: either way fewer bytes wait for the gradient (fuse_facts.h).
//
// Ops that no result needs make no kernel. Updates of state stay in kernels of their own, so that
// all others may run again (recomputation).
// Equal kernels become one function.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module fuse(const Module& module, const Options& options);

}  // namespace gradc
