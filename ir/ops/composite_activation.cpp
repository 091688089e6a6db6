// Activation functions made of others.
#include <algorithm>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

double log_of_one_plus_exp(double x) {
  return x > 40 ? x : std::log1p(std::exp(x));  // the rest is below half a unit of x
}

// max(0, min(1, x * alpha + beta))
ValueId hard_gate(Builder& b, ValueId x, double alpha, double beta) {
  ValueId line = b.shift(b.scale(x, alpha), beta);
  ValueId capped = b.op(Opcode::minimum, {line, b.constant_like(x, 1.0)});
  return b.op(Opcode::relu, {capped});
}

// dy where 0 < gate < 1, else 0
ValueId where_between_0_and_1(Builder& b, ValueId gate, ValueId dy) {
  ValueId below = b.op(Opcode::less, {gate, b.constant_like(gate, 1.0)});
  ValueId inside = b.op(Opcode::logical_and, {is_positive(b, gate), below});
  return b.select(inside, dy, b.constant_like(dy, 0.0));
}

// max(x, 0) + log1p(exp(-|x|)), which overflows nowhere
ValueId softplus_of(Builder& b, ValueId x) {
  ValueId tail = b.op(Opcode::exp, {b.neg(b.op(Opcode::abs, {x}))});
  ValueId correction = b.op(Opcode::log1p, {tail});
  return b.add(b.op(Opcode::relu, {x}), correction);
}

}  // namespace

// dx = dy * (s + y * (1 - s)), s = sigmoid(x), y = x * s
extern constexpr OpDef silu = {
    .name = "silu",
    .doc = "x * sigmoid(x) for each element x.",
    .examples = "silu(f32[3,5])",
    .kernel = KernelClass::composite,
    .infer = same_float,
    .eval = eval_unary<[](double x) { return x * logistic(x); }>,
    .vjp =
        [](Vjp& g) {
          ValueId gate = g.b.op(Opcode::sigmoid, {g.x()});
          ValueId y = g.b.mul(g.x(), gate);
          ValueId slope = g.b.add(gate, g.b.sub(y, g.b.mul(y, gate)));
          g.add(0, g.b.mul(g.dy(), slope));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      return {b.mul(op.operand(0), b.op(Opcode::sigmoid, {op.operand(0)}))};
    },
};

// dx = dy where x > 0, else dy * (y + alpha)
extern constexpr OpDef elu = {
    .name = "elu",
    .doc = "Each element x, but alpha * (exp(x) - 1) where it is negative.",
    .examples = "elu(f32[3,5]) {alpha=1.0}\nelu(f32[3,5]) {alpha=-0.5}",
    .kernel = KernelClass::composite,
    .attrs = {{"alpha", AttrKind::real}},
    .infer = same_float,
    .eval = eval_with_attrs<[](double x, const Attrs& a) {
      return x < 0 ? a.real("alpha") * (std::exp(x) - 1) : x;
    }>,
    .vjp =
        [](Vjp& g) {
          double alpha = g.attrs().real("alpha");
          ValueId positive = is_positive(g.b, alpha >= 0 ? g.y() : g.x());
          ValueId left = g.b.mul(g.dy(), g.b.shift(g.y(), alpha));
          g.add(0, g.b.select(positive, g.dy(), left));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId x = op.operand(0), positive = is_positive(b, x);
      ValueId left = b.scale(b.op(Opcode::expm1, {x}), op.attrs.real("alpha"));
      return {b.select(positive, x, left)};
    },
};

// dx = dy * alpha where 0 < y < 1
extern constexpr OpDef hard_sigmoid = {
    .name = "hard_sigmoid",
    .doc = "x * alpha + beta for each element x, cut to [0, 1].",
    .examples =
        "hard_sigmoid(f32[3,5]) {alpha=0.2, beta=0.5}\nhard_sigmoid(f32[3,5]) {alpha=2.0, "
        "beta=0.5}",
    .kernel = KernelClass::composite,
    .attrs = {{"alpha", AttrKind::real}, {"beta", AttrKind::real}},
    .infer = same_float,
    .eval = eval_with_attrs<[](double x, const Attrs& a) {
      return std::clamp(x * a.real("alpha") + a.real("beta"), 0.0, 1.0);
    }>,
    .vjp =
        [](Vjp& g) {
          ValueId slope = g.b.scale(g.dy(), g.attrs().real("alpha"));
          g.add(0, where_between_0_and_1(g.b, g.y(), slope));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      return {hard_gate(b, op.operand(0), op.attrs.real("alpha"), op.attrs.real("beta"))};
    },
};

// dx = dy * gate, and dy * x / 6 more where 0 < gate < 1
extern constexpr OpDef hard_swish = {
    .name = "hard_swish",
    .doc = "x times x / 6 + 1 / 2 cut to [0, 1], for each element x.",
    .examples = "hard_swish(f32[3,5])",
    .kernel = KernelClass::composite,
    .infer = same_float,
    .eval = eval_unary<[](double x) { return x * std::clamp(x / 6 + 0.5, 0.0, 1.0); }>,
    .vjp =
        [](Vjp& g) {
          ValueId gate = hard_gate(g.b, g.x(), 1.0 / 6, 0.5);
          ValueId rest = where_between_0_and_1(g.b, gate, g.b.scale(g.x(), 1.0 / 6));
          g.add(0, g.b.mul(g.dy(), g.b.add(gate, rest)));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      return {b.mul(op.operand(0), hard_gate(b, op.operand(0), 1.0 / 6, 0.5))};
    },
};

extern constexpr OpDef softsign = {
    .name = "softsign",
    .doc = "x / (1 + |x|) for each element x.",
    .examples = "softsign(f32[3,5])",
    .kernel = KernelClass::composite,
    .infer = same_float,
    .eval = eval_unary<[](double x) { return x / (1 + std::abs(x)); }>,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId x = op.operand(0);
      return {b.div(x, b.shift(b.op(Opcode::abs, {x}), 1.0))};
    },
};

// dx = dy * sigmoid(x)
extern constexpr OpDef softplus = {
    .name = "softplus",
    .doc = "log(1 + exp(x)) for each element x.",
    .examples = "softplus(f32[3,5])",
    .kernel = KernelClass::composite,
    .infer = same_float,
    .eval = eval_unary<log_of_one_plus_exp>,
    .vjp = [](Vjp& g) { g.add(0, g.b.mul(g.dy(), g.b.op(Opcode::sigmoid, {g.x()}))); },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      return {softplus_of(b, op.operand(0))};
    },
};

// dx = dy * (t + x * (1 - t^2) * sigmoid(x)), t = tanh(softplus(x))
extern constexpr OpDef mish = {
    .name = "mish",
    .doc = "x * tanh(softplus(x)) for each element x.",
    .examples = "mish(f32[3,5])",
    .kernel = KernelClass::composite,
    .infer = same_float,
    .eval = eval_unary<[](double x) { return x * std::tanh(log_of_one_plus_exp(x)); }>,
    .vjp =
        [](Vjp& g) {
          ValueId gate = g.b.op(Opcode::tanh, {softplus_of(g.b, g.x())});
          ValueId flat = g.b.sub(g.b.constant_like(gate, 1.0), g.b.mul(gate, gate));
          ValueId slope = g.b.mul(flat, g.b.op(Opcode::sigmoid, {g.x()}));
          g.add(0, g.b.mul(g.dy(), g.b.add(gate, g.b.mul(g.x(), slope))));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      return {b.mul(op.operand(0), b.op(Opcode::tanh, {softplus_of(b, op.operand(0))}))};
    },
};

}  // namespace gradc::ops
