#include "compiler/import/composed_functions.h"

#include <numbers>

#include "ir/eval.h"

namespace gradc {
namespace composed {
namespace {

ValueId is_less(Builder& b, ValueId x, double bound) {
  return b.op(Opcode::less, {x, b.constant_like(x, bound)});
}

// 1 - x
ValueId one_minus(Builder& b, ValueId x) {
  return b.sub(b.constant_like(x, 1), x);
}

// For x >= 0: e = exp(x / 2), which overflows late, 1 / e, and e - 1 / e = 2 sinh(x / 2)
struct Half {
  ValueId e, inverse, difference;
};
Half half(Builder& b, ValueId x) {
  ValueId less_one = b.op(Opcode::expm1, {b.scale(x, 0.5)});
  ValueId e = b.shift(less_one, 1);
  ValueId inverse = b.div(b.constant_like(e, 1), e);
  return {e, inverse, b.mul(less_one, b.shift(inverse, 1))};
}

// From here on x + sqrt(x^2 +- 1) is 2 x to all digits of f64; its square is finite in f32.
constexpr double kLarge = 0x1p60;

// log(1 + below) where x < kLarge, else log(2 x)
ValueId log1p_or_of_twice(Builder& b, ValueId below, ValueId x) {
  ValueId is_small = is_less(b, x, kLarge);
  ValueId y = b.op(Opcode::log1p, {b.select(is_small, below, x)});
  return b.select(is_small, y, b.shift(y, std::numbers::ln2));
}

// At 1 the quotient is infinite, and beyond NaN.
ValueId make_asin(Builder& b, ValueId x) {
  ValueId cosine = b.op(Opcode::sqrt, {b.mul(one_minus(b, x), b.shift(x, 1))});
  return b.op(Opcode::atan, {b.div(x, cosine)});
}

// Twice the angle whose tangent is sqrt((1 - x) / (1 + x))
ValueId make_acos(Builder& b, ValueId x) {
  ValueId tangent = b.op(Opcode::sqrt, {b.div(one_minus(b, x), b.shift(x, 1))});
  return b.scale(b.op(Opcode::atan, {tangent}), 2);
}

ValueId make_tan(Builder& b, ValueId x) {
  return b.div(b.op(Opcode::sin, {x}), b.op(Opcode::cos, {x}));
}

// cosh x = 1 + 2 sinh(x / 2)^2, whose gradient keeps its digits near 0
ValueId make_cosh(Builder& b, ValueId x) {
  ValueId difference = half(b, b.op(Opcode::abs, {x})).difference;
  return b.shift(b.mul(b.scale(difference, 0.5), difference), 1);
}

// log(x + sqrt(x^2 - 1)), where x^2 - 1 = t (t + 2) with t = x - 1
ValueId make_acosh(Builder& b, ValueId x) {
  ValueId t = b.shift(x, -1);
  ValueId root = b.mul(b.op(Opcode::sqrt, {t}), b.op(Opcode::sqrt, {b.shift(t, 2)}));
  return log1p_or_of_twice(b, b.add(t, root), t);
}

// An odd function that `make` gives for x >= 0. Not by |x| and the sign, whose gradients are 0 at
// 0.
template <ValueId (*make)(Builder& b, ValueId x)>
ValueId odd(Builder& b, ValueId x) {
  ValueId is_negative = is_less(b, x, 0);
  ValueId y = make(b, b.select(is_negative, b.neg(x), x));
  return b.select(is_negative, b.neg(y), y);
}

// sinh x = 2 sinh(x / 2) cosh(x / 2)
ValueId make_sinh(Builder& b, ValueId x) {
  auto [e, inverse, difference] = half(b, x);
  return b.mul(b.scale(difference, 0.5), b.add(e, inverse));
}

// log(x + sqrt(x^2 + 1)), where x + sqrt(x^2 + 1) - 1 = x (1 + x / (1 + sqrt(x^2 + 1)))
ValueId make_asinh(Builder& b, ValueId x) {
  ValueId small = b.op(Opcode::minimum, {x, b.constant_like(x, kLarge)});
  ValueId root = b.op(Opcode::sqrt, {b.shift(b.mul(small, small), 1)});
  ValueId factor = b.shift(b.div(small, b.shift(root, 1)), 1);
  return log1p_or_of_twice(b, b.mul(small, factor), x);
}

// log((1 + x) / (1 - x)) / 2
ValueId make_atanh(Builder& b, ValueId x) {
  return b.scale(b.op(Opcode::log1p, {b.div(b.scale(x, 2), one_minus(b, x))}), 0.5);
}

}  // namespace

extern constexpr ComposedFunction acos = {"acos", make_acos};
extern constexpr ComposedFunction acosh = {"acosh", make_acosh};
extern constexpr ComposedFunction asin = {"asin", make_asin};
extern constexpr ComposedFunction asinh = {"asinh", odd<make_asinh>};
extern constexpr ComposedFunction atanh = {"atanh", odd<make_atanh>};
extern constexpr ComposedFunction cosh = {"cosh", make_cosh};
extern constexpr ComposedFunction sinh = {"sinh", odd<make_sinh>};
extern constexpr ComposedFunction tan = {"tan", make_tan};

}  // namespace composed

ValueId compose(const ComposedFunction& function, Builder& b, ValueId x) {
  DType dtype = b.type(x).dtype;
  if (dtype != DType::f16 && dtype != DType::bf16)
    return function.make(b, x);
  ValueId wide = b.op(Opcode::cast, {x}, {{"dtype", DType::f32}});
  return b.op(Opcode::cast, {function.make(b, wide)}, {{"dtype", dtype}});
}

double value_at(const ComposedFunction& function, double x) {
  Function f;
  Builder b(f);
  b.result(function.make(b, b.parameter(scalar_type(DType::f64), "x")));
  Tensor operand{scalar_type(DType::f64), {x}};
  return eval_closed({}, f, {&operand, 1})[0].data[0];
}

}  // namespace gradc
