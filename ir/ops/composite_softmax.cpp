// Softmax and its logarithm. Both subtract the maximum first, so that exp never overflows, and what
// is below the normal numbers vanishes in the sum.
#include <algorithm>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

Types float_with_axis(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x);
  axis_of(attrs, x[0].rank());
  return one(x[0]);
}

// The logarithm of the sum of exp over a line.
double log_sum_exp(const Tensor& x, const std::vector<size_t>& line) {
  double top = x.data[line[0]];
  for (size_t i : line)
    top = std::max(top, x.data[i]);
  double sum = 0;
  for (size_t i : line)
    sum += std::exp(x.data[i] - top);
  return top + std::log(sum);
}

template <auto F>
std::vector<Tensor> eval_from_log_sum(std::span<const Tensor> x, const Op& op,
                                      std::span<const Type> types) {
  Tensor y{types[0], x[0].data};
  for (const std::vector<size_t>& line : lines(types[0].dims, {op.attrs.integer("axis")})) {
    double log_sum = log_sum_exp(x[0], line);
    for (size_t i : line)
      y.data[i] = F(x[0].data[i] - log_sum);
  }
  return {y};
}

}  // namespace

// dx = y * (dy - sum(dy * y))
extern constexpr OpDef softmax = {
    .name = "softmax",
    .doc = "exp(x) over its sum along `axis`.",
    .examples = "softmax(f32[3,5]) {axis=1}\nsoftmax(f32[2,4,3]) {axis=1}",
    .kernel = KernelClass::composite,
    .attrs = {{"axis", AttrKind::integer}},
    .infer = float_with_axis,
    .eval = eval_from_log_sum<[](double x) { return std::exp(x); }>,
    .vjp =
        [](Vjp& g) {
          ValueId weighted = g.b.mul(g.dy(), g.y());
          ValueId sum = repeated_sum(g.b, weighted, {g.attrs().integer("axis")});
          g.add(0, g.b.sub(weighted, g.b.mul(g.y(), sum)));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      std::vector<int64_t> axes = {op.attrs.integer("axis")};
      ValueId x = op.operand(0);
      ValueId power = b.op(Opcode::exp_normal, {b.sub(x, repeated_max(b, x, axes))});
      if (byte_size(b.type(x).dtype) < 4)  // one more rounding would cost a digit
        return {b.div(power, repeated_sum(b, power, axes))};
      ValueId sum = b.reduce_sum(power, axes);  // a division per row, a product per element
      ValueId factor = b.div(b.constant_like(sum, 1), sum);
      return {b.mul(power, b.broadcast_over(factor, axes, b.dims(x)))};
    },
};

// dx = dy - exp(y) * sum(dy)
extern constexpr OpDef log_softmax = {
    .name = "log_softmax",
    .doc = "The logarithm of `softmax` along `axis`.",
    .examples = "log_softmax(f32[3,5]) {axis=1}\nlog_softmax(f32[2,4,3]) {axis=1}",
    .kernel = KernelClass::composite,
    .attrs = {{"axis", AttrKind::integer}},
    .infer = float_with_axis,
    .eval = eval_from_log_sum<[](double x) { return x; }>,
    .vjp =
        [](Vjp& g) {
          ValueId sum = repeated_sum(g.b, g.dy(), {g.attrs().integer("axis")});
          ValueId share = g.b.mul(g.b.op(Opcode::exp_normal, {g.y()}), sum);
          g.add(0, g.b.sub(g.dy(), share));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      std::vector<int64_t> axes = {op.attrs.integer("axis")};
      ValueId x = op.operand(0);
      ValueId shifted = b.sub(x, repeated_max(b, x, axes));
      ValueId sum = b.reduce_sum(b.op(Opcode::exp_normal, {shifted}), axes);
      ValueId log_sum = b.broadcast_over(b.op(Opcode::log, {sum}), axes, b.dims(x));
      return {b.sub(shifted, log_sum)};
    },
};

}  // namespace gradc::ops
