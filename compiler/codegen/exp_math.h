#pragma once
// e^x and what is made of it: for all of f32 without denormal arithmetic, by polynomials, and of
// AVX-512 by tables whose numbers a shuffle picks.
#include <llvm/IR/IntrinsicsX86.h>

#include <bit>
#include <cmath>

#include "compiler/codegen/erf_table.h"
#include "compiler/codegen/gelu_table.h"
#include "compiler/codegen/lane_math.h"
#include "compiler/codegen/tanh_table.h"

namespace gradc::codegen {

class ExpMath : LaneMath {
 public:
  using LaneMath::LaneMath;

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

  // 1 / (1 + e^-x), where 1 + e^-x = (1 + p) + p (e^r - 1) with p = 2^n is rounded once and below
  // 2^126. Results below the normal numbers are whole multiples of 2^-149, as those of exp are.
  Value* sigmoid(Value* x) {
    x = clamp(x, -104, 30);
    Value* is_tiny = less(x, real(kLogOfLeastNormal));
    Reduced reduced = reduce(negate(x), is_avx512() ? kLanes : 1);
    Value* power = is_avx512() ? power_of_two_by_table(reduced) : power_of_two(reduced);
    Value* bits = b.CreateBitCast(power, integer_);
    bits = b.CreateSelect(is_tiny, b.CreateSub(bits, integer(149 << 23)), bits);
    power = b.CreateBitCast(bits, real_);
    Value* is_normal = b.CreateFCmpUGE(x, real(kLogOfLeastNormal));
    Value* whole = b.CreateSelect(is_normal, add(power, real(1)), power);
    Value* sum = is_avx512() ? plus_expm1_of_part(whole, power, reduced.r)
                             : fma(power, expm1_of(reduced.r), whole);
    Value* y = b.CreateFDiv(real(1), sum);
    Value* y_bits = b.CreateBitCast(y, integer_);
    Value* multiples =
        is_avx512() ? rounded_to_integer(y) : b.CreateFPToSI(add(y, real(0.5)), integer_);
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

 private:
  static constexpr double kLogOfLeastNormal = -87.33654;
  static constexpr uint32_t kCurrentRounding = 4;  // of instructions of AVX-512
  // ln 2 in two parts; the first has few enough bits that n * kLn2High is exact for |n| < 2^9.
  static constexpr double kLn2High = 0.693145751953125, kLn2Low = 1.42860682030941723212e-6;

  // Polynomials, lowest power first, fitted for the least largest relative error.
  // (e^r - 1 - r) / r^2 for |r| <= ln 2 / 2
  static constexpr double kExp[] = {4.999999343e-01, 1.666652040e-01, 4.166839083e-02,
                                    8.368745320e-03, 1.381453790e-03};
  // (e^r - 1 - r) / r^2 for |r| <= ln 2 / 32, within 1.7e-9 of e^r
  static constexpr double kExpOfPart[] = {5.000161529e-01, 1.666666716e-01};
  // (2^r - 1) / r for |r| <= 1 / 2
  static constexpr double kExp2[] = {6.931472029e-01, 2.402264791e-01, 5.550332471e-02,
                                     9.618437358e-03, 1.339887444e-03, 1.535336182e-04};
  // log2(1 - erf x) / x for 0 < x <= 4, for the least largest relative error of erf
  static constexpr double kErf[] = {-1.627907035e+00, -9.184476253e-01, -1.482770662e-01,
                                    2.763202985e-02,  2.314033914e-04,  -2.405012981e-03,
                                    9.129909709e-04,  -1.697205801e-04, 1.335397874e-05};

  // 2^(k / 16) for k = 0 .. 15, and the same with k / 16 taken from the exponent, so that adding
  // (16 m + k) * 2^19 to the bits gives 2^(m + k / 16).
  struct Powers {
    float power[kLanes], below[kLanes];
  };
  static const Powers& powers() {
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

  // y + x (e^r - 1) for |r| <= ln 2 / 32
  Value* plus_expm1_of_part(Value* y, Value* x, Value* r) {
    return fma(mul(x, r), fma(r, polynomial(kExpOfPart, r), real(1)), y);
  }

  Value* rounded_to_integer(Value* x) {
    return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_mask_cvtps2dq_512, {},
                             {x, llvm::Constant::getNullValue(integer_), b.getInt16(0xffff),
                              b.getInt32(kCurrentRounding)});
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
    llvm::Constant* numbers = llvm::ConstantDataVector::get(b.getContext(), llvm::ArrayRef(table));
    return b.CreateIntrinsic(llvm::Intrinsic::x86_avx512_permvar_sf_512, {}, {numbers, number});
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
};

}  // namespace gradc::codegen
