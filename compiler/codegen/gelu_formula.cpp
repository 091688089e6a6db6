#include "compiler/codegen/gelu_formula.h"

#include <numbers>

#include "compiler/codegen/vector_math.h"
#include "ir/gelu.h"

namespace gradc::codegen {

using llvm::Value;
using loop::Code;

bool is_gelu(Code code) {
  return code == Code::gelu || code == Code::gelu_slope || code == Code::gelu_tanh ||
         code == Code::gelu_tanh_slope;
}

Value* gelu_by_formula(llvm::IRBuilder<>& b, Code code, Value* x) {
  constexpr double kLeast = -40;  // where the slope is 0
  auto real = [&](double value) { return llvm::ConstantFP::get(x->getType(), value); };
  auto scaled = [&](Value* y, double factor) { return b.CreateFMul(y, real(factor)); };
  auto shifted = [&](Value* y, double by) { return b.CreateFAdd(y, real(by)); };
  auto math = [&](Code function, Value* y) { return emit_math(b, function, {&y, 1}); };
  bool tanh_form = code == Code::gelu_tanh || code == Code::gelu_tanh_slope;
  auto gate = [&](Value* y, Value* square) {
    if (tanh_form)
      return math(Code::sigmoid, b.CreateFMul(y, shifted(scaled(square, kGeluCubic), kGeluLinear)));
    return scaled(shifted(math(Code::erf, scaled(y, std::numbers::sqrt2 / 2)), 1), 0.5);
  };
  if (code == Code::gelu || code == Code::gelu_tanh)
    return b.CreateFMul(x, gate(x, b.CreateFMul(x, x)));
  // The slope at -|x|, where nothing cancels; it is 1 less that at |x|.
  Value* y = b.CreateFNeg(b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x));
  y = b.CreateSelect(b.CreateFCmpOLT(y, real(kLeast)), real(kLeast), y);
  Value* square = b.CreateFMul(y, y);
  Value* share = gate(y, square);
  Value* derivative = tanh_form
                          ? b.CreateFMul(b.CreateFSub(share, b.CreateFMul(share, share)),
                                         shifted(scaled(square, 3 * kGeluCubic), kGeluLinear))
                          : scaled(math(Code::exp_normal, scaled(square, -0.5)), kGeluDensity);
  Value* slope = b.CreateFAdd(share, b.CreateFMul(y, derivative));
  return b.CreateSelect(b.CreateFCmpOLT(x, real(0)), slope, b.CreateFSub(real(1), slope));
}

}  // namespace gradc::codegen
