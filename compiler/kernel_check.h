#pragma once
// Holds the kernels of a loaded text to what compiler/kernel.h says of them, because lowering takes
// that for granted.
#include "ir/module.h"

namespace gradc {

// Fails with the kernel that is none: its class, the ops that the class allows, and the attributes
// that `fuse` sets. Those that `schedule` sets are compared with a schedule made anew
// (check_scheduled_kernels), and a plan has a checker of its own.
void check_kernels(const Module& module);

// Fails when an op reads or makes a tensor without elements: loops run at least once. Such tensors
// may only be parameters, and constants that are results.
void check_not_empty(const Function& function);

}  // namespace gradc
