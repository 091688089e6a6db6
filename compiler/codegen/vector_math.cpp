#include "compiler/codegen/vector_math.h"

#include <llvm/IR/Module.h>

#include <algorithm>
#include <array>
#include <numbers>

#include "compiler/codegen/exp_math.h"
#include "compiler/codegen/gelu_formula.h"
#include "compiler/codegen/log_math.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {

bool has_avx512(llvm::IRBuilder<>& b) {
  llvm::Attribute features = b.GetInsertBlock()->getParent()->getFnAttribute("target-features");
  return features.isStringAttribute() &&
         std::ranges::all_of(
             std::array{"+avx512f", "+avx512vl", "+avx512bw", "+avx512dq"},
             [&](const char* feature) { return features.getValueAsString().contains(feature); });
}

namespace {

using llvm::Value;
using loop::Code;
using Operands = std::span<Value* const>;

class SineMath : LaneMath {
 public:
  using LaneMath::LaneMath;

  Value* sin(Value* x) { return sine(x, 0); }
  Value* cos(Value* x) { return sine(x, 1); }

 private:
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

  // (sin r - r) / r^3 and (cos r - 1 + r^2 / 2) / r^4 in r^2 for |r| <= pi / 4 (Cephes, sinf.c)
  static constexpr double kSin[] = {-1.6666654611e-1, 8.3321608736e-3, -1.9515295891e-4};
  static constexpr double kCos[] = {4.166664568298827e-2, -1.388731625493765e-3,
                                    2.443315711809948e-5};
};

class ArctangentMath : LaneMath {
 public:
  using LaneMath::LaneMath;

  // Beyond 1, pi / 2 - atan(1 / x).
  Value* atan(Value* x) {
    Value* magnitude = abs(x);
    Value* beyond = less(real(1), magnitude);
    Value* t = b.CreateSelect(beyond, b.CreateFDiv(real(1), magnitude), magnitude);
    Value* square = mul(t, t);
    Value* y = fma(mul(t, square), polynomial(kAtan, square), t);
    Value* rest = sub(real(kHalfPi), add(y, real(kHalfPi - std::numbers::pi / 2)));
    return copy_sign(b.CreateSelect(beyond, rest, y), x);
  }

 private:
  static constexpr double kHalfPi = 1.57079637050628662109375;  // of f32
  // (atan t - t) / t^3 in t^2 for 0 <= t <= 1, fitted for the least largest relative error of atan
  static constexpr double kAtan[] = {-3.333315273e-01, 1.999377279e-01,  -1.421105491e-01,
                                     1.066600298e-01,  -7.552210552e-02, 4.321181464e-02,
                                     -1.636789837e-02, 2.920684524e-03};
};

struct Function {
  Code code;
  const char* libm;
  Value* (*emit)(llvm::IRBuilder<>& b, Operands x);
  bool has_table = false;  // of AVX-512, for whole vectors
};

// A member function of one of the classes above.
template <auto function>
Value* by(llvm::IRBuilder<>& b, Operands x) {
  auto call = [&]<typename Class>(Value* (Class::*member)(Value*)) {
    return (Class(b, x[0]->getType()).*member)(x[0]);
  };
  return call(function);
}

constexpr Function kFunctions[] = {
    {Code::exp, "exp", by<&ExpMath::exp>, true},
    {Code::exp_normal, "exp", by<&ExpMath::exp_normal>, true},
    {Code::log, "log", by<&LogMath::log>},
    {Code::sin, "sin", by<&SineMath::sin>},
    {Code::cos, "cos", by<&SineMath::cos>},
    {Code::atan, "atan", by<&ArctangentMath::atan>},
    {Code::tanh, "tanh", by<&ExpMath::tanh>, true},
    {Code::sigmoid, "", by<&ExpMath::sigmoid>, true},
    {Code::erf, "erf", by<&ExpMath::erf>, true},
    {Code::expm1, "expm1", by<&ExpMath::expm1>},
    {Code::log1p, "log1p", by<&LogMath::log1p>},
    {Code::gelu, "", by<&ExpMath::gelu<false>>, true},
    {Code::gelu_slope, "", by<&ExpMath::gelu_slope<false>>, true},
    {Code::gelu_tanh, "", by<&ExpMath::gelu<true>>, true},
    {Code::gelu_tanh_slope, "", by<&ExpMath::gelu_slope<true>>, true},
    {Code::pow, "pow",
     [](llvm::IRBuilder<>& b, Operands x) { return LogMath(b, x[0]->getType()).pow(x[0], x[1]); }},
};

const Function* find(Code code) {
  for (const Function& function : kFunctions)
    if (function.code == code)
      return &function;
  return nullptr;
}

// A call of libm for each lane.
Value* call_libm(llvm::IRBuilder<>& b, const char* name, Operands x) {
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

Value* emit_math(llvm::IRBuilder<>& b, Code code, Operands x) {
  const Function* function = find(code);
  GRADC_CHECK(function, "{} is not a function", loop::name_of(code));
  llvm::Type* type = x[0]->getType();
  if (is_gelu(code) && !(type->getScalarType()->isFloatTy() && has_avx512(b)))
    return gelu_by_formula(b, code, x[0]);
  if (type->getScalarType()->isFloatTy()) {
    if (type->isVectorTy() || !function->has_table || !has_avx512(b))
      return function->emit(b, x);
    // A scalar goes the same way as a vector, for the same bits.
    Value* all = b.CreateVectorSplat(kLanes, x[0]);
    return b.CreateExtractElement(function->emit(b, {&all, 1}), uint64_t{0});
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
