#pragma once
// The logarithm, and powers by it.
#include <array>

#include "compiler/codegen/lane_math.h"

namespace gradc::codegen {

class LogMath : LaneMath {
 public:
  using LaneMath::LaneMath;

  // log x = k ln 2 + log(1 + f) with x = 2^k (1 + f)
  Value* log(Value* x) {
    Value* tiny = less(x, real(1.17549435e-38));  // denormals are scaled up first
    Value* scaled = b.CreateSelect(tiny, mul(x, real(8388608)), x);
    Value* bits = b.CreateBitCast(scaled, integer_);
    Value* k = b.CreateAShr(b.CreateSub(bits, integer(0x3f3504f3)), 23);
    Value* one_plus_f = b.CreateBitCast(b.CreateSub(bits, b.CreateShl(k, 23)), real_);
    Value* exponent = sub(b.CreateSIToFP(k, real_), b.CreateSelect(tiny, real(23), real(0)));
    Value* y = log_of_sum(sub(one_plus_f, real(1)), exponent);
    y = b.CreateSelect(b.CreateFCmpOEQ(x, real(0)), real(-infinity()), y);
    y = b.CreateSelect(less(x, real(0)), real(nan()), y);
    return b.CreateSelect(b.CreateFCmpUGE(x, real(infinity())), x, y);  // infinity or NaN
  }

  // log(1 + x) = log(u) + (x - (u - 1)) / u with u = 1 + x rounded
  Value* log1p(Value* x) {
    Value* u = add(real(1), x);
    Value* lost = b.CreateFDiv(sub(x, sub(u, real(1))), u);
    Value* y = add(log(u), lost);
    y = b.CreateSelect(b.CreateFCmpOEQ(x, real(-1)), real(-infinity()), y);
    y = b.CreateSelect(b.CreateFCmpOEQ(x, real(infinity())), x, y);
    return b.CreateSelect(b.CreateFCmpOEQ(x, real(0)), x, y);
  }

  // x^y = 2^(y log2 |x|) in double precision, whose error is far below half a unit of f32.
  Value* pow(Value* x, Value* y) {
    Value* magnitude = abs(x);
    llvm::Type* wide = real_->getWithNewType(b.getDoubleTy());
    LogMath d(b, wide);
    Value* exponent = d.clamp(
        d.mul(b.CreateFPExt(y, wide), d.log2_wide(b.CreateFPExt(magnitude, wide))), -160, 160);
    Value* result = b.CreateFPTrunc(d.exp2_wide(exponent), real_);
    return pow_special_cases(x, y, magnitude, result);
  }

 private:
  // (log(1 + f) - f + f^2 / 2) / f^3 for sqrt(1/2) <= 1 + f < sqrt(2)
  static constexpr double kLog[] = {3.333333171e-01,  -2.500082106e-01, 2.000122667e-01,
                                    -1.662335648e-01, 1.420176247e-01,  -1.316019507e-01,
                                    1.276155034e-01,  -7.634429838e-02};

  // log(1 + f) + k ln 2; ln 2 in two parts, k times the first is exact.
  Value* log_of_sum(Value* f, Value* k) {
    Value* square = mul(f, f);
    Value* y = mul(square, mul(f, polynomial(kLog, f)));
    y = fma(k, real(-2.12194440e-4), y);
    y = fma(square, real(-0.5), y);
    return fma(k, real(0.693359375), add(f, y));
  }

  // For x = 2^k m of type double with m in [sqrt(1/2), sqrt(2)): k + 2 artanh((m - 1) / (m + 1)) /
  // ln 2. Zero, infinity and NaN give some number.
  Value* log2_wide(Value* x) {
    llvm::Type* bits_type = real_->getWithNewType(b.getInt64Ty());
    auto bits_of = [&](uint64_t value) { return llvm::ConstantInt::get(bits_type, value); };
    Value* bits = b.CreateBitCast(x, bits_type);
    Value* k = b.CreateAShr(b.CreateSub(bits, bits_of(0x3fe6a09e667f3bcd)), 52);
    Value* m = b.CreateBitCast(b.CreateSub(bits, b.CreateShl(k, 52)), real_);
    Value* s = b.CreateFDiv(sub(m, real(1)), add(m, real(1)));
    std::array<double, 7> series;
    for (size_t i = 0; i < series.size(); ++i)
      series[i] = 2 * kLog2e / static_cast<double>(2 * i + 1);
    Value* k32 = b.CreateTrunc(k, real_->getWithNewType(b.getInt32Ty()));
    return fma(s, polynomial(series, mul(s, s)), b.CreateSIToFP(k32, real_));
  }

  // 2^x of type double for |x| <= 160
  Value* exp2_wide(Value* x) {
    Value* n = round(x);
    std::array<double, 12> series = {1};
    for (size_t i = 1; i < series.size(); ++i)
      series[i] = series[i - 1] / kLog2e / static_cast<double>(i);
    Value* fraction = polynomial(series, sub(x, n));
    llvm::Type* bits_type = real_->getWithNewType(b.getInt64Ty());
    Value* k = b.CreateSExt(b.CreateFPToSI(n, real_->getWithNewType(b.getInt32Ty())), bits_type);
    Value* biased = b.CreateAdd(k, llvm::ConstantInt::get(bits_type, 1023));
    return mul(fraction, b.CreateBitCast(b.CreateShl(biased, 52), real_));
  }

  // What C's pow says about zeros, infinities, NaN and negative x.
  Value* pow_special_cases(Value* x, Value* y, Value* magnitude, Value* result) {
    Value* y_is_whole = b.CreateFCmpOEQ(round(y), y);
    Value* half = mul(y, real(0.5));
    Value* y_is_odd = b.CreateAnd(y_is_whole, b.CreateFCmpUNE(round(half), half));
    Value* y_is_negative = less(y, real(0));
    Value* zero_or_infinite = b.CreateOr(b.CreateFCmpOEQ(magnitude, real(0)),
                                         b.CreateFCmpOEQ(magnitude, real(infinity())));
    auto zero_if = [&](Value* vanishes) {
      return b.CreateSelect(vanishes, real(0), real(infinity()));
    };
    Value* y_is_infinite = b.CreateFCmpOEQ(abs(y), real(infinity()));
    Value* below_one = b.CreateXor(less(magnitude, real(1)), y_is_negative);
    result =
        b.CreateSelect(b.CreateOr(zero_or_infinite, y_is_infinite), zero_if(below_one), result);
    Value* x_is_negative = b.CreateICmpSLT(b.CreateBitCast(x, integer_), integer(0));
    Value* no_number =
        b.CreateAnd(b.CreateAnd(x_is_negative, b.CreateNot(y_is_whole)),
                    b.CreateAnd(b.CreateNot(zero_or_infinite), b.CreateNot(y_is_infinite)));
    result = b.CreateSelect(no_number, real(nan()), result);
    result = b.CreateSelect(b.CreateAnd(x_is_negative, y_is_odd), negate(result), result);
    result = b.CreateSelect(b.CreateFCmpUNO(x, y), real(nan()), result);
    Value* is_one = b.CreateOr(b.CreateFCmpOEQ(y, real(0)), b.CreateFCmpOEQ(x, real(1)));
    is_one = b.CreateOr(is_one, b.CreateAnd(y_is_infinite, b.CreateFCmpOEQ(magnitude, real(1))));
    return b.CreateSelect(is_one, real(1), result);
  }
};

}  // namespace gradc::codegen
