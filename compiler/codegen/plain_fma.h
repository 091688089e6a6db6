#pragma once
// Fused multiply-adds on processors that have none (x86-64-v2), where LLVM would call libm for each
// lane.
#include <llvm/IR/Instructions.h>

namespace gradc::codegen {

// For an fma whose one rounding matters: a range reduction that cancels.
void mark_exact(llvm::CallInst& fma);

// Replaces every fma of the function: x * y + z in two roundings, as sums of products are on such a
// target. One that is marked as exact is computed in double precision, where x * y is exact: the
// result is that of an fma but for about one in 2^29, which is the next number.
void replace_fma(llvm::Function& function);

}  // namespace gradc::codegen
