#include "compiler/codegen/vector_math.h"

#include <llvm/IR/IntrinsicsX86.h>
#include <llvm/IR/Module.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "compiler/codegen/erf_table.h"
#include "compiler/codegen/gelu_formula.h"
#include "compiler/codegen/gelu_table.h"
#include "compiler/codegen/plain_fma.h"
#include "compiler/codegen/tanh_table.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {
namespace {

using llvm::Value;
using loop::Code;

constexpr double kLog2e = 1.44269504088896340736;
constexpr double kLogOfLeastNormal = -87.33654;
// ln 2 in two parts; the first has few enough bits that n * kLn2High is exact for |n| < 2^9.
constexpr double kLn2High = 0.693145751953125, kLn2Low = 1.42860682030941723212e-6;

// Adding it to a small number rounds that to a whole one, which the low bits of the sum then hold.
constexpr double kRounder = 12582912;  // 1.5 * 2^23

// Polynomials, lowest power first. All were fitted for the least largest relative error.
// (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
constexpr double kExp[] = {4.999999343e-01, 1.666652040e-01, 4.166839083e-02, 8.368745320e-03,
                           1.381453790e-03};
// (e^r - 1 - r) / r^2 for |r| <= ln 2 / 32, within 1.7e-9 of e^r
constexpr double kExpOfPart[] = {5.000161529e-01, 1.666666716e-01};
// (2^r - 1) / r for |r| <= 1 / 2
constexpr double kExp2[] = {6.931472029e-01, 2.402264791e-01, 5.550332471e-02,
                            9.618437358e-03, 1.339887444e-03, 1.535336182e-04};
// log2(1 - erf x) / x for 0 < x <= 4, for the least largest relative error of erf
constexpr double kErf[] = {-1.627907035e+00, -9.184476253e-01, -1.482770662e-01,
                           2.763202985e-02,  2.314033914e-04,  -2.405012981e-03,
                           9.129909709e-04,  -1.697205801e-04, 1.335397874e-05};
// (log(1 + f) - f + f^2 / 2) / f^3 for sqrt(1/2) <= 1 + f < sqrt(2)
constexpr double kLog[] = {3.333333171e-01, -2.500082106e-01, 2.000122667e-01, -1.662335648e-01,
                           1.420176247e-01, -1.316019507e-01, 1.276155034e-01, -7.634429838e-02};
// (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4 in r^2 for |r| <= pi / 4 (Cephes, sinf.c)
constexpr double kSin[] = {-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4};
constexpr double kCos[] = {4.166664568298827e-2, -1.388731625493765e-3, 2.443315711809948e-5};

constexpr unsigned kLanes = 16;  // of AVX-512

// 2^(k / 16) for k = 0 .. 15, and the same with k / 16 taken from the exponent, so that adding
// (16 m + k) * 2^19 to the bits gives 2^(m + k / 16).
struct Powers {
  float power[kLanes], below[kLanes];
};
const Powers& powers() {
  static const Powers all = [] {
    Powers p;
    for (uint32_t k = 0; k < kLanes; ++k) {
      p.power[k] = static_cast<float>(std::exp2(k / 16.0));
      p.below[k] = std::bit_cast<float>(std::bit_cast<uint32_t>(p.power[k]) - (k << 19));
    }
    return p;
  }();
  return all;
}

// As compiler/codegen/target.cpp says where vectors have 16 lanes.
bool has_avx512(llvm::IRBuilder<>& b) {
  llvm::Attribute features = b.GetInsertBlock()->getParent()->getFnAttribute("target-features");
  return features.isStringAttribute() &&
         std::ranges::all_of(
             std::array{"+avx512f", "+avx512vl", "+avx512bw", "+avx512dq"},
             [&](const char* feature) { return features.getValueAsString().contains(feature); });
}

class MathEmitter {
 public:
  MathEmitter(llvm::IRBuilder<>& builder, llvm::Type* type)
      : b(builder), real_(type), integer_(type->getWithNewType(builder.getInt32Ty())) {}

  // Results below the normal numbers are made as whole multiples of the least one, 2^-149, and
  // never by arithmetic: that is slower by a factor of twenty on many CPUs.
  Value* exp(Value* x) {
    x = clamp(x, -104, 89);
    Value* is_tiny = less(x, real(kLogOfLeastNormal));
    Reduced reduced = reduce(x, is_avx512() ? kLanes : 1);
    Value* power = is_avx512() ? times_exp_of_part(power_of_part(reduced), reduced.r)
                               : fma(polynomial_of_exp(reduced.r), reduced.r, real(1));
    Value* n = b.CreateSelect(is_tiny, add(reduced.n, real(149)), reduced.n);
    Value* y = scale(power, n);
    Value* multiples = b.CreateFPToSI(add(y, real(0.5)), integer_);
    return b.CreateSelect(is_tiny, b.CreateBitCast(multiples, real_), y);
  }

  // Without the denormals and the overflow of `exp`: a third less work.
  Value* exp_normal(Value* x) {
    Value* is_tiny = less(x, real(kLogOfLeastNormal));
    Value* y = nullptr;
    if (is_avx512()) {
      Reduced reduced = reduce(x, kLanes);
      y = times_exp_of_part(power_of_two_by_table(reduced), reduced.r);
    } else {
      Reduced reduced = reduce(x);
      Value* power = fma(polynomial_of_exp(reduced.r), reduced.r, real(1));
      y = mul(power, power_of_two(reduced));
    }
    return b.CreateSelect(is_tiny, real(0), y);
  }

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

  // Of AVX-512 from a table. Otherwise, for x >= 0, tanh x = E / (E + 2) with E = e^2x - 1 =
  // 2^n (e^r - 1) + (2^n - 1).
  Value* tanh(Value* x) {
    if (is_avx512())
      return odd_by_table(kTanhOverX, kTanhPiece, kTanhEnd, x);
    Value* near = at_most(abs(x), 9.1);
    Reduced reduced = reduce(add(near, near));
    Value* power = power_of_two(reduced);
    Value* e = fma(expm1_of(reduced.r), power, sub(power, real(1)));
    return copy_sign(b.CreateFDiv(e, add(e, real(2))), x);
  }

  // 1 / (1 + e^-x), where 1 + e^-x = (1 + 2^n) + 2^n (e^r - 1) is rounded once and below 2^126.
  // Results below the normal numbers are whole multiples of 2^-149, as those of exp are.
  Value* sigmoid(Value* x) {
    x = clamp(x, -104, 30);
    Value* is_tiny = less(x, real(kLogOfLeastNormal));
    Reduced reduced = reduce(negate(x));
    Value* bits = b.CreateBitCast(power_of_two(reduced), integer_);
    bits = b.CreateSelect(is_tiny, b.CreateSub(bits, integer(149 << 23)), bits);
    Value* power = b.CreateBitCast(bits, real_);
    Value* is_normal = b.CreateFCmpUGE(x, real(kLogOfLeastNormal));
    Value* whole = b.CreateSelect(is_normal, add(power, real(1)), power);
    Value* y = b.CreateFDiv(real(1), fma(power, expm1_of(reduced.r), whole));
    Value* y_bits = b.CreateBitCast(y, integer_);
    Value* multiples = b.CreateFPToSI(add(y, real(0.5)), integer_);
    return b.CreateBitCast(b.CreateSelect(is_tiny, multiples, y_bits), real_);
  }

  // Of AVX-512 from a table. Otherwise, for x >= 0, erf x = 1 - 2^u = (1 - 2^n) - 2^n (2^r - 1),
  // where u = n + r vanishes with x and keeps the relative error small there.
  Value* erf(Value* x) {
    if (is_avx512())
      return odd_by_table(kErfOverX, kErfPiece, kErfEnd, x);
    Value* near = at_most(abs(x), 4);
    Value* exponent = mul(near, polynomial(kErf, near));
    Reduced reduced{.rounded = add(exponent, real(kRounder))};
    reduced.n = sub(reduced.rounded, real(kRounder));
    reduced.r = sub(exponent, reduced.n);
    Value* power = power_of_two(reduced);
    Value* fraction = mul(reduced.r, polynomial(kExp2, reduced.r));
    return copy_sign(fma(negate(power), fraction, sub(real(1), power)), x);
  }

  // Both as gelu_table.h says, of AVX-512 only.
  template <bool tanh_form>
  Value* gelu(Value* x) {
    Place place = place_of(at_most(abs(x), GeluTable::kEnd), GeluTable::kPiece);
    Value* above = b.CreateSelect(less(real(0), x), x, real(0));
    return sub(above, by_table(gelu_table(tanh_form).part, place));
  }
  template <bool tanh_form>
  Value* gelu_slope(Value* x) {
    Place place = place_of(at_most(abs(x), GeluTable::kEnd), GeluTable::kPiece);
    Value* slope = by_table(gelu_table(tanh_form).slope, place);
    return b.CreateSelect(less(x, real(0)), slope, sub(real(1), slope));
  }

  // e^x - 1 = 2^n (e^r - 1) + (2^n - 1), halved so that 2^128 does not occur.
  Value* expm1(Value* x) {
    Reduced reduced = reduce(clamp(x, -20, 89));
    Value* half = power_of_two(reduced, -1);
    Value* y = fma(expm1_of(reduced.r), half, sub(half, real(0.5)));
    return b.CreateSelect(b.CreateFCmpOEQ(x, real(0)), x, add(y, y));  // keeps -0
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

  // x = n pi/2 + r; bits 0 and 1 of n choose sine or cosine of r and the sign.
  Value* sine(Value* x, int quadrant) {
    Value* n = round(mul(x, real(0.63661977236758134308)));
    Value* r = fma(n, real(-1.57079637050628662109375), x);
    r = fma(n, real(4.37113900018624283e-8), r);
    r = fma(n, real(1.71512451306168e-15), r);
    r = clamp(r, -0.8, 0.8);  // where n is too large to be exact
    n = clamp(n, -1e9, 1e9);
    Value* turns = b.CreateAdd(b.CreateFPToSI(n, integer_), integer(quadrant));
    Value* square = mul(r, r);
    Value* sin_r = fma(mul(square, r), polynomial(kSin, square), r);
    Value* cos_r =
        fma(mul(square, square), polynomial(kCos, square), fma(square, real(-0.5), real(1)));
    Value* odd = b.CreateICmpNE(b.CreateAnd(turns, integer(1)), integer(0));
    Value* sign = b.CreateShl(b.CreateAnd(turns, integer(2)), 30);
    Value* y = b.CreateBitCast(b.CreateSelect(odd, cos_r, sin_r), integer_);
    y = b.CreateBitCast(b.CreateXor(y, sign), real_);
    if (quadrant == 0)
      y = b.CreateSelect(b.CreateFCmpOEQ(x, real(0)), x, y);  // keeps -0
    return b.CreateSelect(less(abs(x), real(infinity())), y, real(nan()));
  }

  // x^y = 2^(y log2 |x|) in double precision, whose error is far below half a unit of f32.
  Value* pow(Value* x, Value* y) {
    Value* magnitude = abs(x);
    llvm::Type* wide = real_->getWithNewType(b.getDoubleTy());
    MathEmitter d(b, wide);
    Value* exponent = d.clamp(
        d.mul(b.CreateFPExt(y, wide), d.log2_wide(b.CreateFPExt(magnitude, wide))), -160, 160);
    Value* result = b.CreateFPTrunc(d.exp2_wide(exponent), real_);
    return pow_special_cases(x, y, magnitude, result);
  }

 private:
  static double infinity() { return std::numeric_limits<double>::infinity(); }
  static double nan() { return std::numeric_limits<double>::quiet_NaN(); }

  llvm::Constant* real(double value) { return llvm::ConstantFP::get(real_, value); }
  llvm::Constant* constants(const float* values) {
    return llvm::ConstantDataVector::get(b.getContext(), llvm::ArrayRef(values, kLanes));
  }
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

  // x = n ln 2 + r, where n is a multiple of 1 / parts
  struct Reduced {
    Value* rounded;  // kRounder / parts + n, whose last bits hold n * parts
    Value* n = nullptr;
    Value* r = nullptr;
  };
  Reduced reduce(Value* x, int parts = 1) {
    Value* rounder = real(kRounder / parts);
    Reduced reduced{.rounded = fma(x, real(kLog2e), rounder)};
    reduced.n = sub(reduced.rounded, rounder);
    reduced.r = fma(reduced.n, real(-kLn2High), x);
    reduced.r = fma(reduced.n, real(-kLn2Low), reduced.r);
    return reduced;
  }

  // (e^r - 1) / r and e^r - 1 for a reduced r
  Value* polynomial_of_exp(Value* r) { return fma(polynomial(kExp, r), r, real(1)); }
  Value* expm1_of(Value* r) { return fma(mul(r, r), polynomial(kExp, r), r); }

  // 2^(n + more) for n + more in [-126, 127]; where n is NaN, some number.
  Value* power_of_two(const Reduced& reduced, int64_t more = 0) {
    Value* exponent = b.CreateShl(b.CreateBitCast(reduced.rounded, integer_), 23);
    return b.CreateBitCast(b.CreateAdd(exponent, integer((127 + more) << 23)), real_);
  }

  // For n = m + k / 16 of AVX-512, a shuffle picks 2^(k / 16), which is times 2^m in the other.
  Value* power_of_part(const Reduced& reduced) {
    return picked(powers().power, b.CreateBitCast(reduced.rounded, integer_));
  }
  Value* power_of_two_by_table(const Reduced& reduced) {
    Value* number = b.CreateBitCast(reduced.rounded, integer_);
    Value* bits = b.CreateBitCast(picked(powers().below, number), integer_);
    return b.CreateBitCast(b.CreateAdd(bits, b.CreateShl(number, 19)), real_);
  }
  // x e^r for |r| <= ln 2 / 32
  Value* times_exp_of_part(Value* x, Value* r) {
    return fma(x, fma(mul(r, r), polynomial(kExpOfPart, r), r), x);
  }

  bool is_avx512() { return has_avx512(b); }

  // A function that is a polynomial in each of 16 pieces of |x|, whose coefficients a shuffle
  // picks. From some end on it is what it is there: `near` is |x| or that.
  struct Place {
    Value* piece;  // in the last bits
    Value* d;  // from the middle of the piece
  };
  Place place_of(Value* near, double piece) {
    Value* rounded = fma(near, real(1 / piece), real(kRounder));
    return {.piece = b.CreateBitCast(rounded, integer_),
            .d = fma(sub(rounded, real(kRounder)), real(-piece), near)};
  }
  template <size_t degrees>
  Value* by_table(const float (&table)[degrees][kLanes], const Place& place) {
    Value* sum = nullptr;
    for (size_t i = degrees; i-- > 0;) {
      Value* coefficient = picked(table[i], place.piece);
      sum = sum ? fma(sum, place.d, coefficient) : coefficient;
    }
    return sum;
  }
  Value* picked(const float (&table)[kLanes], Value* number) {
    return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_permvar_sf_512, {},
                             {constants(table), number});
  }

  // x * (f(x) / x) of an odd function f, whose quotient has a table.
  template <size_t degrees>
  Value* odd_by_table(const float (&table)[degrees][kLanes], double piece, double end, Value* x) {
    Value* near = clamp(x, -end, end);
    return mul(near, by_table(table, place_of(abs(near), piece)));
  }

  // x * 2^n for whole n in [-150, 150], rounded once. By two factors, unless the CPU can.
  Value* scale(Value* x, Value* n) {
    if (is_avx512()) {
      constexpr uint32_t kCurrentRounding = 4;
      return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_scalef_ps_512, {},
                               {x, n, llvm::Constant::getNullValue(real_), b.getInt16(0xffff),
                                b.getInt32(kCurrentRounding)});
    }
    Value* rounded = b.CreateBitCast(add(n, real(kRounder)), integer_);
    Value* whole = b.CreateSub(rounded, integer(0x4b400000));
    Value* first = b.CreateAShr(whole, 1);
    Value* second = b.CreateSub(whole, first);
    auto power = [&](Value* k) {
      return b.CreateBitCast(b.CreateShl(b.CreateAdd(k, integer(127)), 23), real_);
    };
    return mul(mul(x, power(first)), power(second));
  }

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

  llvm::IRBuilder<>& b;
  llvm::Type* real_;
  llvm::Type* integer_;
};

struct Function {
  Code code;
  const char* libm;
  Value* (*emit)(MathEmitter& math, std::span<Value* const> x);
  bool has_table = false;  // of AVX-512, for whole vectors
};

constexpr Function kFunctions[] = {
    {Code::exp, "exp", [](MathEmitter& m, std::span<Value* const> x) { return m.exp(x[0]); }, true},
    {Code::exp_normal, "exp",
     [](MathEmitter& m, std::span<Value* const> x) { return m.exp_normal(x[0]); }, true},
    {Code::log, "log", [](MathEmitter& m, std::span<Value* const> x) { return m.log(x[0]); }},
    {Code::sin, "sin", [](MathEmitter& m, std::span<Value* const> x) { return m.sine(x[0], 0); }},
    {Code::cos, "cos", [](MathEmitter& m, std::span<Value* const> x) { return m.sine(x[0], 1); }},
    {Code::tanh, "tanh", [](MathEmitter& m, std::span<Value* const> x) { return m.tanh(x[0]); },
     true},
    {Code::sigmoid, "", [](MathEmitter& m, std::span<Value* const> x) { return m.sigmoid(x[0]); }},
    {Code::erf, "erf", [](MathEmitter& m, std::span<Value* const> x) { return m.erf(x[0]); }, true},
    {Code::expm1, "expm1", [](MathEmitter& m, std::span<Value* const> x) { return m.expm1(x[0]); }},
    {Code::log1p, "log1p", [](MathEmitter& m, std::span<Value* const> x) { return m.log1p(x[0]); }},
    {Code::gelu, "", [](MathEmitter& m, std::span<Value* const> x) { return m.gelu<false>(x[0]); },
     true},
    {Code::gelu_slope, "",
     [](MathEmitter& m, std::span<Value* const> x) { return m.gelu_slope<false>(x[0]); }, true},
    {Code::gelu_tanh, "",
     [](MathEmitter& m, std::span<Value* const> x) { return m.gelu<true>(x[0]); }, true},
    {Code::gelu_tanh_slope, "",
     [](MathEmitter& m, std::span<Value* const> x) { return m.gelu_slope<true>(x[0]); }, true},
    {Code::pow, "pow", [](MathEmitter& m, std::span<Value* const> x) { return m.pow(x[0], x[1]); }},
};

const Function* find(Code code) {
  for (const Function& function : kFunctions)
    if (function.code == code)
      return &function;
  return nullptr;
}

// A call of libm for each lane.
Value* call_libm(llvm::IRBuilder<>& b, const char* name, std::span<Value* const> x) {
  std::vector<llvm::Type*> types(x.size(), b.getDoubleTy());
  llvm::FunctionCallee function = b.GetInsertBlock()->getModule()->getOrInsertFunction(
      name, llvm::FunctionType::get(b.getDoubleTy(), types, false));
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(x[0]->getType());
  if (!vector)
    return b.CreateCall(function, llvm::ArrayRef(x.data(), x.size()));
  Value* result = llvm::PoisonValue::get(vector);
  for (unsigned lane = 0; lane < vector->getNumElements(); ++lane) {
    std::vector<Value*> arguments;
    for (Value* operand : x)
      arguments.push_back(b.CreateExtractElement(operand, lane));
    result = b.CreateInsertElement(result, b.CreateCall(function, arguments), lane);
  }
  return result;
}

}  // namespace

bool is_math(Code code) {
  return find(code) != nullptr;
}

Value* emit_math(llvm::IRBuilder<>& b, Code code, std::span<Value* const> x) {
  const Function* function = find(code);
  GRADC_CHECK(function, "{} is not a function", loop::name_of(code));
  llvm::Type* type = x[0]->getType();
  if (is_gelu(code) && !(type->getScalarType()->isFloatTy() && has_avx512(b)))
    return gelu_by_formula(b, code, x[0]);
  if (type->getScalarType()->isFloatTy()) {
    if (type->isVectorTy() || !function->has_table || !has_avx512(b)) {
      MathEmitter math(b, type);
      return function->emit(math, x);
    }
    // A scalar goes the same way as a vector, for the same bits.
    Value* all = b.CreateVectorSplat(kLanes, x[0]);
    MathEmitter math(b, all->getType());
    return b.CreateExtractElement(function->emit(math, {&all, 1}), uint64_t{0});
  }
  if (code == Code::sigmoid) {
    Value* minus_x = b.CreateFNeg(x[0]);
    Value* e = call_libm(b, "exp", {&minus_x, 1});
    Value* one = llvm::ConstantFP::get(type, 1);
    return b.CreateFDiv(one, b.CreateFAdd(one, e));
  }
  return call_libm(b, function->libm, x);
}

}  // namespace gradc::codegen
