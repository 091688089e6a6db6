#pragma once
// What any execution of an entry must hold at once, before it is known how it will be split into
// kernels.
#include <cstdint>

#include "ir/module.h"

namespace gradc {

// The largest sum, over the ops of an entry as imported, of the bytes of an op's distinct operands
// and results. Composites count whole; a value that only repeats another counts at the other's
// size; parameters, and what is a view of them, count nothing.
int64_t floor_bytes(const Function& entry);

}  // namespace gradc
