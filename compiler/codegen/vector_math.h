#pragma once
// The functions of loop IR as polynomials, inline, for a scalar or a vector of f32: the same bits
// per element either way. Largest error in units of the last place, against double precision, over
// all inputs unless a range is given (tests/unit/vector_math_test.cpp measures them):
//
//   exp 1, exp_normal 1 for x <= 88, log 1, tanh 2.5, sigmoid 2.5, erf 2.5, expm1 2, log1p 2, pow 1,
//   atan 2, gelu and its slope 3 and 5e-8 (where there is no AVX-512, 4e-7),
//   sin 2 and cos 2 for |x| <= 1e5 (beyond, the result is only within [-1, 1])
//
// Infinities, zeros, NaN and denormals give what C's functions give. f64 calls libm, lane by lane.
#include <llvm/IR/IRBuilder.h>

#include <span>

#include "ir/loop.h"

namespace gradc::codegen {

bool is_math(loop::Code code);

// `x` holds the operands: two for pow, else one.
llvm::Value* emit_math(llvm::IRBuilder<>& builder, loop::Code code,
                       std::span<llvm::Value* const> x);

}  // namespace gradc::codegen
