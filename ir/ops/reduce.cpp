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
  Tensor y = tensor_of(types[0], [&](const Dims&) { return def(op).reduce.identity; });
  std::vector<int64_t> kept = other_axes(op.attrs.integers("axes"), x[0].type.rank());
  for (int64_t i = 0; i < x[0].type.elements(); ++i) {
    Dims from = unravel(i, x[0].type.dims), to;
    for (int64_t axis : kept)
      to.push_back(from[static_cast<size_t>(axis)]);
    double& slot = y.data[static_cast<size_t>(ravel(to, types[0].dims))];
    slot = F(slot, x[0].data[static_cast<size_t>(i)]);
  }
  return {y};
}

int64_t operand_elements(std::span<const Type> x, std::span<const Type>, const Attrs&) {
  return x[0].elements();
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
