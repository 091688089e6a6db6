#pragma once
// Runs loop IR in double precision, one lane after the other, and checks every access: what the
// lowering means, before any of it is machine code.
#include <span>
#include <vector>

#include "ir/loop.h"

namespace gradc {

// One vector per operand of the kernel; returns one per result. Scratch starts as NaN. Fails on an
// access outside of a buffer. `in_place`: pairs of an operand and the result that has its bytes, as
// in a kernel's attribute.
std::vector<std::vector<double>> run_loops(const loop::Kernel& kernel,
                                           const std::vector<std::vector<double>>& operands,
                                           std::span<const int64_t> in_place = {});

}  // namespace gradc
