#pragma once
// The least memory a model could need for what its most demanding op reads and writes, whatever the
// kernels and the order: what a plan's arena is compared with.
#include <cstdint>

#include "ir/module.h"

namespace gradc {

// Of a function before fusion, with composites: the largest sum over one op of the bytes of its
// distinct operands and results. Views count as what they view, broadcasts as the operand at its
// own size, a slice as what it reads of its operand, state and what is only moved out of it as
// nothing.
//
// An arena can still be below: fused ops never have all of their tensors in memory, and what an op
// reads or writes of the entry's inputs and outputs lies in the caller's buffers.
int64_t floor_bytes(const Function& function);

}  // namespace gradc
