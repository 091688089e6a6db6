// Folds along axes that are made of sums and maxima.
#include <algorithm>
#include <limits>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

Types float_without_axes(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x);
  return one({x[0].dtype, sizes_along(x[0], other_axes(axes_of(x[0], attrs), x[0].rank()))});
}

// f(the elements of a line) for each position on the other axes.
template <auto F>
std::vector<Tensor> eval_lines(std::span<const Tensor> x, const Op& op,
                               std::span<const Type> types) {
  Tensor y{types[0], {}};
  for (const std::vector<size_t>& line : lines(x[0].type.dims, op.attrs.integers("axes"))) {
    std::vector<double> elements;
    for (size_t i : line)
      elements.push_back(x[0].data[i]);
    y.data.push_back(F(elements));
  }
  return {y};
}

double mean_of(const std::vector<double>& line) {
  double sum = 0;
  for (double x : line)
    sum += x;
  return sum / static_cast<double>(line.size());
}

double length_of(const std::vector<double>& line) {
  double sum = 0;
  for (double x : line)
    sum += x * x;
  return std::sqrt(sum);
}

double log_sum_exp_of(const std::vector<double>& line) {
  if (line.empty())
    return -std::numeric_limits<double>::infinity();
  double top = *std::max_element(line.begin(), line.end()), sum = 0;
  if (std::isinf(top))
    return top;
  for (double x : line)
    sum += std::exp(x - top);
  return top + std::log(sum);
}

int64_t two_per_element(std::span<const Type> x, std::span<const Type>, const Attrs&) {
  return 2 * x[0].elements();
}

}  // namespace

// dx = dy * x / y; where y = 0, so that x = 0, that is 0
extern constexpr OpDef reduce_l2 = {
    .name = "reduce_l2",
    .doc = "Square root of the sum of squares over `axes`. Its gradient at 0 is 0.",
    .examples = "reduce_l2(f32[3,5]) {axes=[1]}\nreduce_l2(f32[2,3,4]) {axes=[0,2]}",
    .kernel = KernelClass::composite,
    .attrs = {{"axes", AttrKind::integers}},
    .infer = float_without_axes,
    .eval = eval_lines<length_of>,
    .flops = two_per_element,
    .vjp =
        [](Vjp& g) {
          ValueId zero = g.b.constant_like(g.y(), 0.0), one = g.b.constant_like(g.y(), 1.0);
          ValueId length = g.b.select(g.b.op(Opcode::equal, {g.y(), zero}), one, g.y());
          ValueId share = g.b.div(g.dy(), length);
          const std::vector<int64_t>& axes = g.attrs().integers("axes");
          g.add(0, g.b.mul(g.x(), g.b.broadcast_over(share, axes, g.x_type().dims)));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId x = op.operand(0);
      return {b.op(Opcode::sqrt, {b.reduce_sum(b.mul(x, x), op.attrs.integers("axes"))})};
    },
};

// dx = dy * exp(x - y)
extern constexpr OpDef reduce_log_sum_exp = {
    .name = "reduce_log_sum_exp",
    .doc = "Logarithm of the sum of exp(x) over `axes`, which overflows nowhere.",
    .examples =
        "reduce_log_sum_exp(f32[3,5]) {axes=[1]}\nreduce_log_sum_exp(f32[2,3,4]) {axes=[0,2]}",
    .kernel = KernelClass::composite,
    .attrs = {{"axes", AttrKind::integers}},
    .infer = float_without_axes,
    .eval = eval_lines<log_sum_exp_of>,
    .flops = two_per_element,
    .vjp =
        [](Vjp& g) {
          const std::vector<int64_t>& axes = g.attrs().integers("axes");
          const Dims dims = g.x_type().dims;
          ValueId shifted = g.b.sub(g.x(), g.b.broadcast_over(g.y(), axes, dims));
          ValueId dy = g.b.broadcast_over(g.dy(), axes, dims);
          g.add(0, g.b.mul(dy, g.b.op(Opcode::exp, {shifted})));
        },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId x = op.operand(0);
      const std::vector<int64_t>& axes = op.attrs.integers("axes");
      ValueId top = b.op(Opcode::reduce_max_number, {x}, {{"axes", axes}});
      // Infinity less infinity is NaN.
      ValueId shift = b.select(b.op(Opcode::is_finite, {top}), top, b.constant_like(top, 0.0));
      ValueId power = b.op(Opcode::exp, {b.sub(x, b.broadcast_over(shift, axes, b.dims(x)))});
      return {b.add(shift, b.op(Opcode::log, {b.reduce_sum(power, axes)}))};
    },
};

extern constexpr OpDef reduce_mean = {
    .name = "reduce_mean",
    .doc = "Mean over `axes`.",
    .examples = "reduce_mean(f32[3,5]) {axes=[1]}\nreduce_mean(f32[2,3,4]) {axes=[0,2]}",
    .kernel = KernelClass::composite,
    .attrs = {{"axes", AttrKind::integers}},
    .infer = float_without_axes,
    .eval = eval_lines<mean_of>,
    .flops = [](std::span<const Type> x, std::span<const Type>,
                const Attrs&) { return x[0].elements(); },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      const std::vector<int64_t>& axes = op.attrs.integers("axes");
      ValueId x = op.operand(0);
      return {b.scale(b.reduce_sum(x, axes), 1 / count_along(b, x, axes))};
    },
};

}  // namespace gradc::ops
