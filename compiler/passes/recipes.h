#pragma once
// Offers the planner more ways to make a value than the kernel that first made it: an inverse gives
// what a kernel has read back from its result (x = y - f(z) where y = x + f(z)); a part gives one
// of its results from the others without its products and sums (the activation from what was before
// it). Entries stay as they are; the module gets the kernels, which say in their attributes what
// they give (compiler/kernel.h), and `plan` calls those that pay.
//
// With Options::invert also inverses that round; without it, recipes give the same bits.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module recipes(const Module& module, const Options& options);

}  // namespace gradc
