// Functions of one float. A gradient reads the result where the formula allows, so that the operand
// can be freed early.
#include <numbers>

#include "ir/magnitude.h"
#include "ir/ops/composite.h"
#include "ir/ops/rules.h"

namespace gradc::ops {

using loop::Code;

// dx = dy * y
extern constexpr OpDef exp = {
    .name = "exp",
    .doc = "e to the power of each element.",
    .examples = "exp(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::exp(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.mul(g.dy(), g.y())); },
    .element = element_unary<Code::exp>,
    .magnitude = positive,
};

// dx = dy * y
extern constexpr OpDef exp_normal = {
    .name = "exp_normal",
    .doc =
        "e to the power of each element, which is at most 88; what is below 2^-126 is 0. Takes "
        "half "
        "of the time of `exp`.",
    .examples = "exp_normal(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return x < -87.33654 ? 0 : std::exp(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.mul(g.dy(), g.y())); },
    .element = element_unary<Code::exp_normal>,
};

// dx = dy * (y + 1)
extern constexpr OpDef expm1 = {
    .name = "expm1",
    .doc = "e to the power of each element, less 1; accurate near 0.",
    .examples = "expm1(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::expm1(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.mul(g.dy(), g.b.shift(g.y(), 1.0))); },
    .element = element_unary<Code::expm1>,
};

// dx = dy / x
extern constexpr OpDef log = {
    .name = "log",
    .doc = "Natural logarithm of each element.",
    .examples = "log(f32[3,5])",
    .domains = {Domain::positive},
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::log(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.div(g.dy(), g.x())); },
    .element = element_unary<Code::log>,
};

// dx = dy / (1 + x)
extern constexpr OpDef log1p = {
    .name = "log1p",
    .doc = "Natural logarithm of 1 + x for each element x; accurate near 0.",
    .examples = "log1p(f32[3,5])",
    .domains = {Domain::unit},
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::log1p(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.div(g.dy(), g.b.shift(g.x(), 1.0))); },
    .element = element_unary<Code::log1p>,
};

// dx = dy / (2 y)
extern constexpr OpDef sqrt = {
    .name = "sqrt",
    .doc = "Square root of each element.",
    .examples = "sqrt(f32[3,5])",
    .domains = {Domain::positive},
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::sqrt(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.div(g.b.scale(g.dy(), 0.5), g.y())); },
    .element = element_unary<Code::sqrt>,
    .magnitude = not_negative,
};

// dx = -dy * y^3 / 2
extern constexpr OpDef rsqrt = {
    .name = "rsqrt",
    .doc = "1 over the square root of each element.",
    .examples = "rsqrt(f32[3,5])",
    .domains = {Domain::positive},
    .infer = same_float,
    .eval = eval_unary<[](double x) { return 1 / std::sqrt(x); }>,
    .vjp =
        [](Vjp& g) {
          ValueId cube = g.b.mul(g.b.mul(g.y(), g.y()), g.y());
          g.add(0, g.b.mul(g.dy(), g.b.scale(cube, -0.5)));
        },
    .element =
        [](loop::ElementContext& c) {
          loop::Scalar x = c.at(0);
          return c.b.div(c.b.constant(x.dtype, 1), c.b.unary(Code::sqrt, x));
        },
    .magnitude = positive,
};

// dx = dy * cos(x)
extern constexpr OpDef sin = {
    .name = "sin",
    .doc = "Sine of each element, in radians.",
    .examples = "sin(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::sin(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.mul(g.dy(), g.b.op(Opcode::cos, {g.x()}))); },
    .element = element_unary<Code::sin>,
};

// dx = -dy * sin(x)
extern constexpr OpDef cos = {
    .name = "cos",
    .doc = "Cosine of each element, in radians.",
    .examples = "cos(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::cos(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.neg(g.b.mul(g.dy(), g.b.op(Opcode::sin, {g.x()})))); },
    .element = element_unary<Code::cos>,
};

// dx = dy / (1 + x^2)
extern constexpr OpDef atan = {
    .name = "atan",
    .doc = "Arctangent of each element, in radians.",
    .examples = "atan(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::atan(x); }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.div(g.dy(), g.b.shift(g.b.mul(g.x(), g.x()), 1.0))); },
    .element = element_unary<Code::atan>,
};

// dx = dy * (1 - y^2)
extern constexpr OpDef tanh = {
    .name = "tanh",
    .doc = "Hyperbolic tangent of each element.",
    .examples = "tanh(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::tanh(x); }>,
    .vjp =
        [](Vjp& g) {
          ValueId square = g.b.mul(g.y(), g.y());
          ValueId slope = g.b.sub(g.b.constant_like(square, 1.0), square);
          g.add(0, g.b.mul(g.dy(), slope));
        },
    .element = element_unary<Code::tanh>,
};

// dx = dy * y * (1 - y)
extern constexpr OpDef sigmoid = {
    .name = "sigmoid",
    .doc = "Logistic function 1 / (1 + exp(-x)) of each element.",
    .examples = "sigmoid(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return 1 / (1 + std::exp(-x)); }>,
    .vjp =
        [](Vjp& g) {
          ValueId slope = g.b.mul(g.y(), g.b.sub(g.b.constant_like(g.y(), 1.0), g.y()));
          g.add(0, g.b.mul(g.dy(), slope));
        },
    .element = element_unary<Code::sigmoid>,
    .magnitude = positive,
};

// dx = dy * 2 / sqrt(pi) * exp(-x^2)
extern constexpr OpDef erf = {
    .name = "erf",
    .doc = "Error function of each element.",
    .examples = "erf(f32[3,5])",
    .infer = same_float,
    .eval = eval_unary<[](double x) { return std::erf(x); }>,
    .vjp =
        [](Vjp& g) {
          ValueId bell = g.b.op(Opcode::exp_normal, {g.b.neg(g.b.mul(g.x(), g.x()))});
          g.add(0, g.b.mul(g.dy(), g.b.scale(bell, 2 * std::numbers::inv_sqrtpi)));
        },
    .element = element_unary<Code::erf>,
};

// dx = dy where y > 0
extern constexpr OpDef relu = {
    .name = "relu",
    .doc = "Each element, or 0 where it is negative. Its gradient at 0 is 0.",
    .examples = "relu(f32[3,5])",
    .exact = true,
    .infer = same_float,
    .eval = eval_unary<[](double x) { return x < 0 ? 0 : x; }>,
    .vjp =
        [](Vjp& g) {
          ValueId zero = g.b.constant_like(g.y(), 0.0);
          g.add(0, g.b.select(g.b.op(Opcode::less, {zero, g.y()}), g.dy(), zero));
        },
    .element =
        [](loop::ElementContext& c) {
          loop::Scalar x = c.at(0);
          return c.b.max(x, c.b.constant(x.dtype, 0));
        },
    .magnitude = not_negative,
};

// dx = dy where x > 0, else dy * slope. The result tells the sign of x unless the slope is
// negative, and all of x where it is positive: x = y where y > 0, else y / slope.
extern constexpr OpDef leaky_relu = {
    .name = "leaky_relu",
    .doc = "Each element, times `slope` where it is negative.",
    .examples =
        "leaky_relu(f32[3,5]) {slope=0.01}\nleaky_relu(f32[3,5]) {slope=-0.5}\n"
        "leaky_relu(f32[4]) {slope=0.0}",
    .attrs = {{"slope", AttrKind::real}},
    .infer = same_float,
    .eval =
        eval_with_attrs<[](double x, const Attrs& a) { return x < 0 ? x * a.real("slope") : x; }>,
    .vjp =
        [](Vjp& g) {
          double slope = g.attrs().real("slope");
          ValueId positive = is_positive(g.b, slope >= 0 ? g.y() : g.x());
          g.add(0, g.b.select(positive, g.dy(), g.b.scale(g.dy(), slope)));
        },
    .element =
        [](loop::ElementContext& c) {
          loop::Scalar x = c.at(0), zero = c.b.constant(x.dtype, 0);
          loop::Scalar slope = c.b.constant(x.dtype, c.attrs().real("slope"));
          return c.b.select(c.b.compare(Code::less, zero, x), x, c.b.mul(x, slope));
        },
    .inverse = [](Builder& b, const Op& op, std::span<const Type>, size_t, ValueId y) -> ValueId {
      double slope = op.attrs.real("slope");
      if (!(slope * kMostGrowth >= 1))
        return {};
      return b.op(Opcode::leaky_relu, {y}, {{"slope", 1 / slope}});
    },
    .error_growth = [](const Function&,
                       const Op& op) { return std::max(1.0, std::abs(op.attrs.real("slope"))); },
};

}  // namespace gradc::ops
