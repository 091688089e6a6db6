// Activation functions that treat negative numbers in another way than positive ones. Functions of
// min(x, 0), so that exp never overflows, in a gradient neither.
#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

// max(0, x) + alpha * (exp(min(0, x) / scale) - 1)
ValueId exponential_below_0(Builder& b, ValueId x, double alpha, double scale) {
  ValueId below = b.op(Opcode::minimum, {x, b.constant_like(x, 0.0)});
  ValueId left = b.op(Opcode::expm1, {b.scale(below, 1 / scale)});
  return b.add(b.op(Opcode::relu, {x}), b.scale(left, alpha));
}

}  // namespace

extern constexpr OpDef celu = {
    .name = "celu",
    .doc = "Each element x, but alpha * (exp(x / alpha) - 1) where it is negative.",
    .examples = "celu(f32[3,5]) {alpha=1.0}\ncelu(f32[3,5]) {alpha=0.5}",
    .kernel = KernelClass::composite,
    .attrs = {{"alpha", AttrKind::real}},
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          if (!(a.real("alpha") > 0))
            fail("`alpha` must be positive, got {}", a.real("alpha"));
          return same_float(x, a);
        },
    .eval = eval_with_attrs<[](double x, const Attrs& a) {
      double alpha = a.real("alpha");
      return x < 0 ? alpha * std::expm1(x / alpha) : x;
    }>,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      double alpha = op.attrs.real("alpha");
      return {exponential_below_0(b, op.operand(0), alpha, alpha)};
    },
};

extern constexpr OpDef prelu = {
    .name = "prelu",
    .doc = "Each element of the first operand, times that of the second where it is negative.",
    .examples = "prelu(f32[3,5], f32[3,5])",
    .kernel = KernelClass::composite,
    .operands = 2,
    .infer = same_number,
    .eval = eval_binary<[](double x, double slope) { return x < 0 ? x * slope : x; }>,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId x = op.operand(0), negative = b.op(Opcode::less, {x, b.constant_like(x, 0.0)});
      return {b.select(negative, b.mul(x, op.operand(1)), x)};
    },
};

extern constexpr OpDef selu = {
    .name = "selu",
    .doc = "gamma times each element x, or gamma * alpha * (exp(x) - 1) where it is negative.",
    .examples = "selu(f32[3,5]) {alpha=1.67326, gamma=1.0507}",
    .kernel = KernelClass::composite,
    .attrs = {{"alpha", AttrKind::real}, {"gamma", AttrKind::real}},
    .infer = same_float,
    .eval = eval_with_attrs<[](double x, const Attrs& a) {
      return a.real("gamma") * (x < 0 ? a.real("alpha") * std::expm1(x) : x);
    }>,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId y = exponential_below_0(b, op.operand(0), op.attrs.real("alpha"), 1);
      return {b.scale(y, op.attrs.real("gamma"))};
    },
};

extern constexpr OpDef thresholded_relu = {
    .name = "thresholded_relu",
    .doc = "Each element that is greater than `alpha`, 0 in place of the others.",
    .examples = "thresholded_relu(f32[3,5]) {alpha=1.0}\nthresholded_relu(f32[3,5]) {alpha=-0.5}",
    .kernel = KernelClass::composite,
    .attrs = {{"alpha", AttrKind::real}},
    .infer = same_float,
    .eval =
        eval_with_attrs<[](double x, const Attrs& a) { return (x > a.real("alpha")) ? x : 0.0; }>,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId x = op.operand(0), alpha = b.constant_like(x, op.attrs.real("alpha"));
      return {b.select(b.op(Opcode::less, {alpha, x}), x, b.constant_like(x, 0.0))};
    },
};

}  // namespace gradc::ops
