#pragma once
#include <llvm/IR/IRBuilder.h>

#include "ir/loop.h"

namespace gradc::codegen {

// gelu, its slope, and the same in the tanh form.
bool is_gelu(loop::Code code);

// One of these by erf or sigmoid, for a scalar or a vector of floats.
llvm::Value* gelu_by_formula(llvm::IRBuilder<>& b, loop::Code code, llvm::Value* x);

}  // namespace gradc::codegen
