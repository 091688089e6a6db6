// Folds along axes, which disappear from the shape.
#include <limits>

#include "ir/ops/rules.h"

namespace gradc::ops {
namespace {

Types without_axes(std::span<const Type> x, const Attrs& a) {
  same_number(x, a);
  const auto& axes = a.integers("axes");
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= x[0].rank() || (i && axes[i] <= axes[i - 1]))
      fail("`axes` must rise and lie in [0, {}), got {}", x[0].rank(), to_string(axes));
  Type y{x[0].dtype, {}};
  for (int64_t axis : other_axes(axes, x[0].rank()))
    y.dims.push_back(x[0].dims[static_cast<size_t>(axis)]);
  return one(y);
}

template <auto F>
std::vector<Tensor> eval_fold(std::span<const Tensor> x, const Op& op,
                              std::span<const Type> types) {
  // Of integers, the least or largest number in place of an infinity.
  double identity = converted(types[0].dtype, def(op).reduce.identity);
  Tensor y = tensor_of(types[0], [&](const Dims&) { return identity; });
  std::vector<int64_t> kept = other_axes(op.attrs.integers("axes"), x[0].type.rank());
  auto next = x[0].data.begin();
  Dims to(kept.size());
  for_each_index(x[0].type.dims, [&](const Dims& from) {
    for (size_t i = 0; i < kept.size(); ++i)
      to[i] = from[static_cast<size_t>(kept[i])];
    double& slot = y.data[static_cast<size_t>(ravel(to, types[0].dims))];
    slot = F(slot, *next++);
  });
  return {y};
}

int64_t operand_elements(std::span<const Type> x, std::span<const Type>, const Attrs&) {
  return x[0].elements();
}

// x with the axes last, as one.
ValueId with_axes_last(Builder& b, ValueId x, const std::vector<int64_t>& axes) {
  Dims dims = b.dims(x), shape;
  std::vector<int64_t> order = other_axes(axes, static_cast<int64_t>(dims.size()));
  for (int64_t axis : order)
    shape.push_back(dims[static_cast<size_t>(axis)]);
  order.insert(order.end(), axes.begin(), axes.end());
  shape.push_back(element_count(dims) / element_count(shape));
  return b.reshape(b.transpose(x, order), shape);
}

ValueId with_axes_back(Builder& b, ValueId x, const std::vector<int64_t>& axes, const Dims& dims) {
  std::vector<int64_t> order = other_axes(axes, static_cast<int64_t>(dims.size()));
  order.insert(order.end(), axes.begin(), axes.end());
  Dims shape;
  std::vector<int64_t> back(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    shape.push_back(dims[static_cast<size_t>(order[i])]);
    back[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  }
  return b.transpose(b.reshape(x, shape), back);
}

// Elements begin..end of the last axis.
ValueId last_slice(Builder& b, ValueId x, int64_t begin, int64_t end) {
  std::vector<int64_t> first(b.dims(x).size()), last = b.dims(x), step(first.size(), 1);
  first.back() = begin;
  last.back() = end;
  return b.op(Opcode::slice, {x}, {{"begin", first}, {"end", last}, {"step", step}});
}

// dx = dy * the product of the other elements. A tree of products of two halves, and back: nothing
// is divided, so that zeros do no harm, in the gradient of this neither.
void vjp_reduce_prod(Vjp& g) {
  Builder& b = g.b;
  const std::vector<int64_t> axes = g.attrs().integers("axes");
  ValueId level = with_axes_last(b, g.x(), axes);
  int64_t size = b.dims(level).back(), width = 1;
  while (width < size)
    width *= 2;
  std::vector<int64_t> low(b.dims(level).size()), high = low;
  high.back() = width - size;
  if (width > size)
    level = b.op(Opcode::pad, {level}, {{"high", high}, {"low", low}, {"value", 1.0}});
  std::vector<std::pair<ValueId, ValueId>> halves;
  for (int64_t half = width / 2; half > 0; half /= 2) {
    halves.emplace_back(last_slice(b, level, 0, half), last_slice(b, level, half, 2 * half));
    level = b.mul(halves.back().first, halves.back().second);
  }
  ValueId gradient = b.reshape(g.dy(), b.dims(level));
  for (; !halves.empty(); halves.pop_back()) {
    auto [first, second] = halves.back();
    gradient = b.op(Opcode::concat, {b.mul(gradient, second), b.mul(gradient, first)},
                    {{"axis", static_cast<int64_t>(low.size()) - 1}});
  }
  if (width > size)
    gradient = last_slice(b, gradient, 0, size);
  g.add(0, with_axes_back(b, gradient, axes, g.x_type().dims));
}

// dx = dy / (how many elements equal the result) where x equals the result, 0 elsewhere
void vjp_of_extreme(Vjp& g) {
  const auto& axes = g.attrs().integers("axes");
  const Dims& dims = g.x_type().dims;
  ValueId equal = g.b.op(Opcode::equal, {g.x(), g.b.broadcast_over(g.y(), axes, dims)});
  ValueId ones = g.b.op(Opcode::cast, {equal}, {{"dtype", g.x_type().dtype}});
  ValueId share = g.b.div(g.dy(), g.b.reduce_sum(ones, axes));
  g.add(0, g.b.select(equal, g.b.broadcast_over(share, axes, dims), g.b.constant(g.x_type(), 0.0)));
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

// dx = dy repeated along the axes
extern constexpr OpDef reduce_sum = {
    .name = "reduce_sum",
    .doc = "Sum over `axes`.",
    .examples =
        "reduce_sum(f32[2,3]) {axes=[0]}\nreduce_sum(f32[2,3,4]) {axes=[0,2]}\nreduce_sum(f32[5]) "
        "{axes=[0]}",
    .kernel = KernelClass::reduce,
    .attrs = {{"axes", AttrKind::integers}},
    .infer = without_axes,
    .eval = eval_fold<[](double x, double y) { return x + y; }>,
    .flops = operand_elements,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.broadcast_over(g.dy(), g.attrs().integers("axes"), g.x_type().dims));
        },
    .reduce = {0.0, loop::Code::add},
};

extern constexpr OpDef reduce_prod = {
    .name = "reduce_prod",
    .doc = "Product over `axes`.",
    .examples =
        "reduce_prod(f32[2,3]) {axes=[0]}\nreduce_prod(f32[2,3,4]) {axes=[0,2]}\n"
        "reduce_prod(f32[5]) {axes=[0]}\nreduce_prod(i32[3]) {axes=[0]}",
    .kernel = KernelClass::reduce,
    .attrs = {{"axes", AttrKind::integers}},
    .infer = without_axes,
    .eval = eval_fold<[](double x, double y) { return x * y; }>,
    .flops = operand_elements,
    .vjp = vjp_reduce_prod,
    .reduce = {1.0, loop::Code::mul},
};

extern constexpr OpDef reduce_max = {
    .name = "reduce_max",
    .doc =
        "Largest element over `axes`; NaN if one is. Elements that are equally large share the "
        "gradient equally.",
    .examples =
        "reduce_max(f32[2,3]) {axes=[0]}\nreduce_max(f32[2,3,4]) {axes=[0,2]}\n"
        "reduce_max(i32[5]) {axes=[0]}",
    .kernel = KernelClass::reduce,
    .attrs = {{"axes", AttrKind::integers}},
    .infer = without_axes,
    .eval = eval_fold<[](double x, double y) { return (std::isnan(x) || x > y) ? x : y; }>,
    .flops = operand_elements,
    .vjp = vjp_of_extreme,
    .reduce = {-kInfinity, loop::Code::max},
};

extern constexpr OpDef reduce_max_number = {
    .name = "reduce_max_number",
    .doc =
        "Largest element over `axes`, as `reduce_max`, but NaN is passed over; -infinity if there "
        "is no other. Faster, where a NaN will be seen anyway.",
    .examples =
        "reduce_max_number(f32[2,3]) {axes=[1]}\nreduce_max_number(f32[2,3,4]) {axes=[0,2]}\n"
        "reduce_max_number(i32[5]) {axes=[0]}",
    .kernel = KernelClass::reduce,
    .attrs = {{"axes", AttrKind::integers}},
    .infer = without_axes,
    .eval = eval_fold<[](double x, double y) { return (y > x) ? y : x; }>,
    .flops = operand_elements,
    .vjp = vjp_of_extreme,
    .reduce = {-kInfinity, loop::Code::max_number},
};

extern constexpr OpDef reduce_min = {
    .name = "reduce_min",
    .doc =
        "Smallest element over `axes`; NaN if one is. Elements that are equally small share the "
        "gradient equally.",
    .examples =
        "reduce_min(f32[2,3]) {axes=[1]}\nreduce_min(f32[2,3,4]) {axes=[0,2]}\n"
        "reduce_min(i32[5]) {axes=[0]}",
    .kernel = KernelClass::reduce,
    .attrs = {{"axes", AttrKind::integers}},
    .infer = without_axes,
    .eval = eval_fold<[](double x, double y) { return (std::isnan(x) || x < y) ? x : y; }>,
    .flops = operand_elements,
    .vjp = vjp_of_extreme,
    .reduce = {kInfinity, loop::Code::min},
};

}  // namespace gradc::ops
