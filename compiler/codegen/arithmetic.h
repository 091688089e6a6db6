#pragma once
// The instructions of loop IR that have no effect, on scalars or vectors of LLVM values.
//
// In registers a bool is an i1, and f16 and bf16 are f32 values that the narrow type can hold: each
// result is rounded at once, so that the bits do not depend on what a CPU can do. In memory a bool
// is a byte, 0 or 1.
#include <llvm/IR/IRBuilder.h>

#include <span>

#include "ir/loop.h"

namespace gradc::codegen {

llvm::Type* register_type(llvm::LLVMContext& context, DType dtype);
llvm::Type* memory_type(llvm::LLVMContext& context, DType dtype);
llvm::Value* from_memory(llvm::IRBuilder<>& builder, DType dtype, llvm::Value* x);
llvm::Value* to_memory(llvm::IRBuilder<>& builder, DType dtype, llvm::Value* x);

// `result` and `operand` are the types of the result and of the last operand.
llvm::Value* emit_arithmetic(llvm::IRBuilder<>& builder, loop::Code code, DType result,
                             DType operand, std::span<llvm::Value* const> x);

// The mask of the first `count` of `lanes` lanes.
llvm::Constant* first_lanes(llvm::IRBuilder<>& builder, int64_t lanes, int64_t count);

// The neutral element of a fold.
llvm::Constant* identity_of(loop::Code fold, DType dtype, llvm::Type* type);

// What lanes of a fold begin with so that the first element needs no instruction: -0 + x is x,
// while 0 + x is not where x is -0. Where it is not the neutral element, that joins once in the
// end, and the result is the same.
llvm::Constant* beginning_of(loop::Code fold, DType dtype, llvm::Type* type);

}  // namespace gradc::codegen
