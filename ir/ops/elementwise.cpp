// Arithmetic on each element. A gradient reads the result where the formula allows, so that the
// operand can be freed early.
#include <algorithm>

#include "ir/builder.h"
#include "ir/magnitude.h"
#include "ir/ops/rules.h"

namespace gradc::ops {

using loop::Code;
using loop::Scalar;

extern constexpr OpDef add = {
    .name = "add",
    .doc = "Sum of two tensors of one type, element by element.",
    .examples = "add(f32[2,3], f32[2,3])\nadd(i32[4], i32[4])",
    .operands = 2,
    .commutative = true,
    .infer = same_number,
    .eval = eval_binary<[](double x, double y) { return x + y; }>,
    .vjp = [](Vjp& g) { g.add(0, g.dy()), g.add(1, g.dy()); },
    .element = element_binary<Code::add>,
    .inverse =
        [](Builder& b, const Op& op, std::span<const Type>, size_t sought, ValueId y) {
          ValueId other = op.operand(1 - sought);
          return other.valid() ? b.sub(y, other) : other;
        },
    .magnitude =
        [](const Op&, std::span<const Magnitude> x) {
          bool never_negative = x[0].never_negative && x[1].never_negative;
          return Magnitude{never_negative ? std::max(x[0].least, x[1].least) : 0, never_negative};
        },
};

extern constexpr OpDef sub = {
    .name = "sub",
    .doc = "Difference of two tensors of one type, element by element.",
    .examples = "sub(f32[2,3], f32[2,3])\nsub(i64[4], i64[4])",
    .operands = 2,
    .infer = same_number,
    .eval = eval_binary<[](double x, double y) { return x - y; }>,
    .vjp = [](Vjp& g) { g.add(0, g.dy()), g.add(1, g.b.neg(g.dy())); },
    .element = element_binary<Code::sub>,
    .inverse =
        [](Builder& b, const Op& op, std::span<const Type>, size_t sought, ValueId y) {
          ValueId other = op.operand(1 - sought);
          if (!other.valid())
            return other;
          return sought == 0 ? b.add(y, other) : b.sub(other, y);
        },
};

// da = dy * b, db = dy * a
extern constexpr OpDef mul = {
    .name = "mul",
    .doc = "Product of two tensors of one type, element by element.",
    .examples = "mul(f32[2,3], f32[2,3])\nmul(i32[4], i32[4])",
    .operands = 2,
    .commutative = true,
    .infer = same_number,
    .eval = eval_binary<[](double x, double y) { return x * y; }>,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.mul(g.dy(), g.x(1)));
          g.add(1, g.b.mul(g.dy(), g.x(0)));
        },
    .element = element_binary<Code::mul>,
    .inverse =
        [](Builder& b, const Op& op, std::span<const Type> types, size_t sought, ValueId y) {
          ValueId factor = op.operand(1 - sought);
          bool follows = factor.valid() && is_float(types[sought].dtype) &&
                         growth_of_quotient(b.function(), factor) <= kMostGrowth;
          return follows ? b.div(y, factor) : ValueId{};
        },
    .magnitude =
        [](const Op& op, std::span<const Magnitude> x) {
          bool is_square = op.operand(0) == op.operand(1);
          return Magnitude{x[0].least * x[1].least,
                           is_square || (x[0].never_negative && x[1].never_negative)};
        },
};

namespace {

std::vector<Tensor> eval_div(std::span<const Tensor> x, const Op& op, std::span<const Type> types) {
  if (is_float(types[0].dtype))
    return eval_binary<[](double a, double b) { return a / b; }>(x, op, types);
  return eval_binary<[](double a, double b) { return b == 0 ? a : std::trunc(a / b); }>(x, op,
                                                                                        types);
}

}  // namespace

// da = dy / b, db = -dy * y / b
extern constexpr OpDef div = {
    .name = "div",
    .doc =
        "Quotient of two tensors of one type, element by element. That of integers is cut toward "
        "zero, and x / 0 is x.",
    .examples = "div(f32[2,3], f32[2,3])\ndiv(i32[4], i32[4])",
    .operands = 2,
    .infer = same_number,
    .eval = eval_div,
    .vjp =
        [](Vjp& g) {
          ValueId quotient = g.b.div(g.dy(), g.x(1));
          g.add(0, quotient);
          g.add(1, g.b.neg(g.b.mul(quotient, g.y())));
        },
    .element = element_binary<Code::div>,
    .inverse =
        [](Builder& b, const Op& op, std::span<const Type> types, size_t sought, ValueId y) {
          bool follows = sought == 0 && op.operand(1).valid() && is_float(types[sought].dtype);
          return follows ? b.mul(y, op.operand(1)) : ValueId{};
        },
    .error_growth = [](const Function& function,
                       const Op& op) { return growth_of_quotient(function, op.operand(1)); },
};

namespace {

double floor_remainder(double x, double y) {
  double r = std::fmod(x, y);
  if (r == 0)
    return std::copysign(0, y);
  return (r < 0) != (y < 0) ? r + y : r;
}

// Integers have no NaN: their remainder by 0 is 0, as x / 0 is x.
template <auto F>
std::vector<Tensor> eval_remainder(std::span<const Tensor> x, const Op&,
                                   std::span<const Type> types) {
  Tensor y{types[0], x[0].data};
  for (size_t i = 0; i < y.data.size(); ++i)
    y.data[i] = !is_float(types[0].dtype) && x[1].data[i] == 0 ? 0 : F(x[0].data[i], x[1].data[i]);
  return {y};
}

// With y = a - q * b, q a whole number: da = dy, db = -dy * q
void vjp_remainder(Vjp& g) {
  g.add(0, g.dy());
  ValueId times = g.b.op(Opcode::round, {g.b.div(g.b.sub(g.x(0), g.y()), g.x(1))});
  g.add(1, g.b.neg(g.b.mul(g.dy(), times)));
}

}  // namespace

extern constexpr OpDef fmod = {
    .name = "fmod",
    .doc =
        "What remains of the first operand after division by the second, with the sign of the "
        "first, element by element. That of an integer by 0 is 0.",
    .examples = "fmod(f32[3,5], f32[3,5])\nfmod(i32[9], i32[9])",
    .operands = 2,
    .infer = same_number,
    .eval = eval_remainder<[](double x, double y) { return std::fmod(x, y); }>,
    .vjp = vjp_remainder,
    .element = element_binary<Code::rem>,
};

extern constexpr OpDef mod = {
    .name = "mod",
    .doc =
        "What remains of the first operand after division by the second, with the sign of the "
        "second, element by element. That of an integer by 0 is 0.",
    .examples = "mod(f32[3,5], f32[3,5])\nmod(i32[9], i32[9])",
    .operands = 2,
    .infer = same_number,
    .eval = eval_remainder<floor_remainder>,
    .vjp = vjp_remainder,
    .element =
        [](loop::ElementContext& c) {
          Scalar x = c.at(0), y = c.at(1), zero = c.b.constant(x.dtype, 0), r = c.b.rem(x, y);
          Scalar is_negative = c.b.compare(Code::less, y, zero);
          Scalar signs_differ =
              c.b.binary(Code::bit_xor, c.b.compare(Code::less, r, zero), is_negative);
          Scalar moved = c.b.select(signs_differ, c.b.add(r, y), r);
          Scalar nothing = zero;
          if (is_float(x.dtype))
            nothing = c.b.select(is_negative, c.b.constant(x.dtype, -0.0), zero);
          return c.b.select(c.b.compare(Code::equal, r, zero), nothing, moved);
        },
};

// da = dy * b * a^(b-1), db = dy * y * log(a). Where b = 0 the power is replaced by 1, so that
// a = 0 gives 0 and not 0 * inf; where a <= 0 the logarithm is that of 1: no gradient to b.
extern constexpr OpDef pow = {
    .name = "pow",
    .doc =
        "The first operand to the power of the second, element by element. A base that is not "
        "positive gives the exponent no gradient.",
    .examples = "pow(f32[2,3], f32[2,3])",
    .operands = 2,
    .domains = {Domain::positive, Domain::real},
    .infer = same_float,
    .eval = eval_binary<[](double x, double y) { return std::pow(x, y); }>,
    .vjp =
        [](Vjp& g) {
          ValueId zero = g.b.constant(g.x_type(), 0.0), one = g.b.constant(g.x_type(), 1.0);
          ValueId flat = g.b.op(Opcode::equal, {g.x(1), zero});
          ValueId exponent = g.b.select(flat, one, g.b.sub(g.x(1), one));
          ValueId slope = g.b.mul(g.x(1), g.b.op(Opcode::pow, {g.x(0), exponent}));
          g.add(0, g.b.mul(g.dy(), slope));
          ValueId positive = g.b.op(Opcode::less, {zero, g.x(0)});
          ValueId log_base = g.b.op(Opcode::log, {g.b.select(positive, g.x(0), one)});
          g.add(1, g.b.mul(g.dy(), g.b.mul(g.y(), log_base)));
        },
    .element = element_binary<Code::pow>,
};

extern constexpr OpDef neg = {
    .name = "neg",
    .doc = "Each element with its sign changed.",
    .examples = "neg(f32[5])\nneg(i32[3])",
    .exact = true,
    .infer = same_number,
    .eval = eval_unary<[](double x) { return -x; }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.neg(g.dy())); },
    .element = element_unary<Code::neg>,
    .inverse = [](Builder& b, const Op&, std::span<const Type>, size_t,
                  ValueId y) { return b.neg(y); },
    .magnitude = [](const Op&, std::span<const Magnitude> x) { return Magnitude{x[0].least}; },
};

// dx = dy * sign(x)
extern constexpr OpDef abs = {
    .name = "abs",
    .doc = "Magnitude of each element. Its gradient at 0 is 0.",
    .examples = "abs(f32[2,3])\nabs(i32[4])",
    .exact = true,
    .infer = same_number,
    .eval = eval_unary<[](double x) { return std::abs(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.mul(g.dy(), g.b.op(Opcode::sign, {g.x()}))); },
    .element = element_unary<Code::abs>,
    .magnitude = [](const Op&,
                    std::span<const Magnitude> x) { return Magnitude{x[0].least, true}; },
};

namespace {

double sign_of(double x) {
  if (x > 0)
    return 1;
  return x < 0 ? -1 : x;
}

}  // namespace

extern constexpr OpDef sign = {
    .name = "sign",
    .doc = "1 for each positive element, -1 for a negative one; 0 and NaN stay.",
    .examples = "sign(f32[2,3])",
    .infer = same_number,
    .eval = eval_unary<sign_of>,
    .vjp = zero_gradient,
    .element =
        [](loop::ElementContext& c) {
          Scalar x = c.at(0), zero = c.b.constant(x.dtype, 0);
          Scalar not_positive =
              c.b.select(c.b.compare(Code::less, x, zero), c.b.constant(x.dtype, -1), x);
          return c.b.select(c.b.compare(Code::less, zero, x), c.b.constant(x.dtype, 1),
                            not_positive);
        },
};

namespace {

// dy goes to the operand that the result was taken from; where both are equal, to the first.
// `first_loses` holds where operand 0 is not the result.
void vjp_of_choice(Vjp& g, ValueId first_loses) {
  ValueId zero = g.b.constant_like(g.dy(), 0.0);
  g.add(0, g.b.select(first_loses, zero, g.dy()));
  g.add(1, g.b.select(first_loses, g.dy(), zero));
}

}  // namespace

extern constexpr OpDef maximum = {
    .name = "maximum",
    .doc =
        "The larger of two elements; NaN if one is. Where both are equal the first gets the "
        "gradient.",
    .examples = "maximum(f32[2,3], f32[2,3])\nmaximum(i32[4], i32[4])",
    .operands = 2,
    .commutative = true,
    .exact = true,
    .infer = same_number,
    .eval = eval_binary<[](double x, double y) { return (std::isnan(x) || x > y) ? x : y; }>,
    .vjp = [](Vjp& g) { vjp_of_choice(g, g.b.op(Opcode::less, {g.x(0), g.x(1)})); },
    .element = element_binary<Code::max>,
};

extern constexpr OpDef minimum = {
    .name = "minimum",
    .doc =
        "The smaller of two elements; NaN if one is. Where both are equal the first gets the "
        "gradient.",
    .examples = "minimum(f32[2,3], f32[2,3])\nminimum(i32[4], i32[4])",
    .operands = 2,
    .commutative = true,
    .exact = true,
    .infer = same_number,
    .eval = eval_binary<[](double x, double y) { return (std::isnan(x) || x < y) ? x : y; }>,
    .vjp = [](Vjp& g) { vjp_of_choice(g, g.b.op(Opcode::less, {g.x(1), g.x(0)})); },
    .element = element_binary<Code::min>,
};

extern constexpr OpDef floor = {
    .name = "floor",
    .doc = "The next whole number at or below each element.",
    .examples = "floor(f32[2,3])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::floor(x); }>,
    .vjp = zero_gradient,
    .element = element_unary<Code::floor>,
};

extern constexpr OpDef ceil = {
    .name = "ceil",
    .doc = "The next whole number at or above each element.",
    .examples = "ceil(f32[2,3])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::ceil(x); }>,
    .vjp = zero_gradient,
    .element = element_unary<Code::ceil>,
};

extern constexpr OpDef trunc = {
    .name = "trunc",
    .doc = "Each element cut to a whole number, toward zero.",
    .examples = "trunc(f32[2,3])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::trunc(x); }>,
    .vjp = zero_gradient,
    .element =
        [](loop::ElementContext& c) {
          Scalar x = c.at(0), negative = c.b.compare(Code::less, x, c.b.constant(x.dtype, 0));
          return c.b.select(negative, c.b.unary(Code::ceil, x), c.b.unary(Code::floor, x));
        },
};

namespace {

double round_half_to_even(double x) {
  double below = std::floor(x), excess = x - below;
  bool below_is_odd = std::fmod(below, 2) != 0;
  return excess > 0.5 || (excess == 0.5 && below_is_odd) ? below + 1 : below;
}

}  // namespace

extern constexpr OpDef round = {
    .name = "round",
    .doc = "The nearest whole number; a half goes to the even one.",
    .examples = "round(f32[2,3])",
    .infer = same_float,
    .eval = eval_unary<round_half_to_even>,
    .vjp = zero_gradient,
    .element = element_unary<Code::round_even>,
};

namespace {

constexpr auto element_itself = [](loop::ElementContext& c) { return c.at(0); };
constexpr auto inverse_itself = [](Builder& b, const Op&, std::span<const Type>, size_t,
                                   ValueId y) { return b.op(Opcode::copy, {y}); };

}  // namespace

extern constexpr OpDef copy = {
    .name = "copy",
    .doc = "The same elements in memory of their own.",
    .examples = "copy(f32[2,3])\ncopy(bool[4])",
    .exact = true,
    .infer = same_type,
    .eval = eval_unary<[](double x) { return x; }>,
    .flops = no_flops,
    .vjp = [](Vjp& g) { g.add(0, g.dy()); },
    .element = element_itself,
    .inverse = inverse_itself,
};

extern constexpr OpDef stop_gradient = {
    .name = "stop_gradient",
    .doc = "The same elements, treated as constants by differentiation.",
    .examples = "stop_gradient(f32[2,3])",
    .exact = true,
    .infer = same_type,
    .eval = eval_unary<[](double x) { return x; }>,
    .flops = no_flops,
    .vjp = zero_gradient,
    .element = element_itself,
    .inverse = inverse_itself,
};

}  // namespace gradc::ops
