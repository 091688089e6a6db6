// x times the normal distribution function of x, and the derivative of that. Each is one function
// of the loop IR, because it has a short table of its own.
#include "ir/gelu.h"

#include <cmath>
#include <numbers>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

using loop::Code;

double gelu_of(double x, const Attrs& attrs) {
  if (attrs.flag("approximate"))
    return x / (1 + std::exp(-x * (kGeluLinear + kGeluCubic * x * x)));
  return 0.5 * x * (1 + std::erf(x / std::numbers::sqrt2));
}

double slope_of(double x, const Attrs& attrs) {
  double square = x * x;
  if (!attrs.flag("approximate"))
    return 0.5 * (1 + std::erf(x / std::numbers::sqrt2)) +
           kGeluDensity * x * std::exp(-0.5 * square);
  double gate = 1 / (1 + std::exp(-x * (kGeluLinear + kGeluCubic * square)));
  return gate + x * gate * (1 - gate) * (kGeluLinear + 3 * kGeluCubic * square);
}

// The derivative of the slope: of the normal density f it is f * (2 - x^2); of the tanh form, with
// the gate s = sigmoid(u), s' = s (1 - s) u' and s'' = s' (1 - 2 s) u' + s (1 - s) u'',
// it is 2 s' + x s''.
ValueId second_derivative(Builder& b, ValueId x, const Attrs& attrs) {
  ValueId square = b.mul(x, x);
  if (!attrs.flag("approximate")) {
    ValueId density = b.scale(b.op(Opcode::exp_normal, {b.scale(square, -0.5)}), kGeluDensity);
    return b.mul(density, b.shift(b.neg(square), 2.0));
  }
  ValueId gate =
      b.op(Opcode::sigmoid, {b.mul(x, b.shift(b.scale(square, kGeluCubic), kGeluLinear))});
  ValueId bell = b.sub(gate, b.mul(gate, gate));
  ValueId u1 = b.shift(b.scale(square, 3 * kGeluCubic), kGeluLinear),
          u2 = b.scale(x, 6 * kGeluCubic);
  ValueId s1 = b.mul(bell, u1);
  ValueId odd = b.shift(b.scale(gate, -2.0), 1.0);
  ValueId s2 = b.add(b.mul(b.mul(s1, odd), u1), b.mul(bell, u2));
  return b.add(b.scale(s1, 2.0), b.mul(x, s2));
}

template <Code exact, Code approximate>
loop::Scalar element_by_form(loop::ElementContext& c) {
  return c.b.unary(c.attrs().flag("approximate") ? approximate : exact, c.at(0));
}

}  // namespace

// dx = dy * gelu_slope(x)
extern constexpr OpDef gelu = {
    .name = "gelu",
    .doc =
        "x times the normal distribution function of x; `approximate` takes the tanh form of it.",
    .examples = "gelu(f32[3,5])\ngelu(f32[3,5]) {approximate=true}",
    .attrs = {{"approximate", AttrKind::boolean, false}},
    .infer = same_float,
    .eval = eval_with_attrs<gelu_of>,
    .vjp =
        [](Vjp& g) { g.add(0, g.b.mul(g.dy(), g.b.op(Opcode::gelu_slope, {g.x()}, g.attrs()))); },
    .element = element_by_form<Code::gelu, Code::gelu_tanh>,
};

extern constexpr OpDef gelu_slope = {
    .name = "gelu_slope",
    .doc = "The derivative of `gelu` at each element.",
    .examples = "gelu_slope(f32[3,5])\ngelu_slope(f32[3,5]) {approximate=true}",
    .attrs = {{"approximate", AttrKind::boolean, false}},
    .infer = same_float,
    .eval = eval_with_attrs<slope_of>,
    .vjp = [](Vjp& g) { g.add(0, g.b.mul(g.dy(), second_derivative(g.b, g.x(), g.attrs()))); },
    .element = element_by_form<Code::gelu_slope, Code::gelu_tanh_slope>,
};

}  // namespace gradc::ops
