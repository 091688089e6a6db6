#pragma once
// What the functions of vector_math.h are made of: arithmetic of f32 (or double, for pow), on a
// scalar or a vector.
#include <llvm/IR/IRBuilder.h>

#include <limits>
#include <span>

#include "compiler/codegen/plain_fma.h"

namespace gradc::codegen {

inline constexpr unsigned kLanes = 16;  // of AVX-512
inline constexpr double kLog2e = 1.44269504088896340736;

// Adding it to a small number rounds that to a whole one, which the low bits of the sum then hold.
inline constexpr double kRounder = 12582912;  // 1.5 * 2^23

// Whether the function that is built may use vectors of 16 lanes, as compiler/codegen/target.cpp
// says.
bool has_avx512(llvm::IRBuilder<>& builder);

class LaneMath {
 public:
  LaneMath(llvm::IRBuilder<>& builder, llvm::Type* type)
      : b(builder), real_(type), integer_(type->getWithNewType(builder.getInt32Ty())) {}

 protected:
  using Value = llvm::Value;

  static double infinity() { return std::numeric_limits<double>::infinity(); }
  static double nan() { return std::numeric_limits<double>::quiet_NaN(); }

  llvm::Constant* real(double value) { return llvm::ConstantFP::get(real_, value); }
  llvm::Constant* integer(int64_t value) {
    return llvm::ConstantInt::get(integer_, static_cast<uint64_t>(value), true);
  }
  Value* add(Value* x, Value* y) { return b.CreateFAdd(x, y); }
  Value* sub(Value* x, Value* y) { return b.CreateFSub(x, y); }
  Value* mul(Value* x, Value* y) { return b.CreateFMul(x, y); }
  Value* fma(Value* x, Value* y, Value* z) {
    llvm::CallInst* call = b.CreateIntrinsic(llvm::Intrinsic::fma, {real_}, {x, y, z});
    mark_exact(*call);
    return call;
  }
  Value* negate(Value* x) { return b.CreateFNeg(x); }
  Value* abs(Value* x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x); }
  Value* round(Value* x) { return b.CreateUnaryIntrinsic(llvm::Intrinsic::roundeven, x); }
  Value* copy_sign(Value* x, Value* sign) { return b.CreateCopySign(x, sign); }
  Value* less(Value* x, Value* y) { return b.CreateFCmpOLT(x, y); }
  // NaN stays NaN.
  Value* at_most(Value* x, double high) {
    return b.CreateSelect(less(real(high), x), real(high), x);
  }
  Value* clamp(Value* x, double low, double high) {
    x = at_most(x, high);
    return b.CreateSelect(b.CreateFCmpOGT(real(low), x), real(low), x);
  }

  Value* polynomial(std::span<const double> c, Value* x) {
    Value* sum = real(c.back());
    for (size_t i = c.size() - 1; i-- > 0;)
      sum = fma(sum, x, real(c[i]));
    return sum;
  }

  llvm::IRBuilder<>& b;
  llvm::Type* real_;
  llvm::Type* integer_;
};

}  // namespace gradc::codegen
