#pragma once
// The least memory a model could need for what its most demanding op reads and writes, whatever the
// kernels and the order: what a plan's arena is compared with.
#include <cstdint>

#include "ir/module.h"

namespace gradc {

// Of a function before fusion, with composites: the largest sum over one op of the bytes of its
// distinct operands and results. Views count as what they view, broadcasts as the operand at its
// own size, state and what is only moved out of it as nothing.
int64_t floor_bytes(const Function& function);

}  // namespace gradc
