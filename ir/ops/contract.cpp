// Sums of products over axes: matrix products and convolutions.
#include <algorithm>

#include "ir/ops/rules.h"

namespace gradc::ops {
namespace {

// The axes of one operand of a dot, by use.
struct DotAxes {
  std::vector<int64_t> batch, summed, free;
};

DotAxes dot_axes(const Type& type, const Attrs& a, int side) {
  DotAxes axes{a.integers(side ? "batch_b" : "batch_a"), a.integers(side ? "sum_b" : "sum_a"), {}};
  std::vector<bool> seen(type.dims.size());
  for (const auto* named : {&axes.batch, &axes.summed})
    for (int64_t axis : *named) {
      if (axis < 0 || axis >= type.rank() || seen[static_cast<size_t>(axis)])
        fail("batch axes {} and summed axes {} do not fit {}: each must be in range and named once",
             to_string(axes.batch), to_string(axes.summed), to_string(type));
      seen[static_cast<size_t>(axis)] = true;
    }
  for (int64_t axis = 0; axis < type.rank(); ++axis)
    if (!seen[static_cast<size_t>(axis)])
      axes.free.push_back(axis);
  return axes;
}

Dims sizes(const Type& type, const std::vector<int64_t>& axes) {
  Dims dims;
  for (int64_t axis : axes)
    dims.push_back(type.dims[static_cast<size_t>(axis)]);
  return dims;
}

void check_equal_sizes(std::string_view what, std::span<const Type> x,
                       const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  if (sizes(x[0], a) != sizes(x[1], b))
    fail("{} sizes differ: {} of {} and {} of {}", what, to_string(sizes(x[0], a)), to_string(x[0]),
         to_string(sizes(x[1], b)), to_string(x[1]));
}

Types infer_dot(std::span<const Type> x, const Attrs& attrs) {
  DotAxes a = dot_axes(x[0], attrs, 0), b = dot_axes(x[1], attrs, 1);
  if (x[0].dtype != x[1].dtype)
    fail("element types differ: {} and {}", to_string(x[0]), to_string(x[1]));
  if (x[0].dtype == DType::boolean)
    fail("operands must be numbers, got {}", to_string(x[0]));
  check_equal_sizes("batch", x, a.batch, b.batch);
  check_equal_sizes("inner", x, a.summed, b.summed);
  Type y{x[0].dtype, sizes(x[0], a.batch)};
  for (int64_t dim : sizes(x[0], a.free))
    y.dims.push_back(dim);
  for (int64_t dim : sizes(x[1], b.free))
    y.dims.push_back(dim);
  return one(y);
}

// The loops are the result's axes (batch, free of a, free of b), then the summed ones.
Contraction contraction_of_dot(std::span<const Type> x, const Type& result, const Attrs& attrs) {
  DotAxes axes[2] = {dot_axes(x[0], attrs, 0), dot_axes(x[1], attrs, 1)};
  Contraction c{result.dims, sizes(x[0], axes[0].summed), {}};
  auto free_loop = static_cast<int>(axes[0].batch.size());
  for (size_t side : {0, 1}) {
    std::vector<AffineIndex>& indices = c.operand_indices[side];
    indices.resize(x[side].dims.size());
    int batch_loop = 0, summed_loop = static_cast<int>(result.dims.size());
    for (int64_t axis : axes[side].batch)
      indices[static_cast<size_t>(axis)].terms = {{batch_loop++, 1}};
    for (int64_t axis : axes[side].free)
      indices[static_cast<size_t>(axis)].terms = {{free_loop++, 1}};
    for (int64_t axis : axes[side].summed)
      indices[static_cast<size_t>(axis)].terms = {{summed_loop++, 1}};
  }
  return c;
}

std::vector<Tensor> eval_dot(std::span<const Tensor> x, const Op& op, std::span<const Type> types) {
  DotAxes axes[2] = {dot_axes(x[0].type, op.attrs, 0), dot_axes(x[1].type, op.attrs, 1)};
  Dims summed = sizes(x[0].type, axes[0].summed);
  Dims at[2] = {Dims(x[0].type.dims.size()), Dims(x[1].type.dims.size())};
  auto place_out = [&](size_t side, const Dims& out) {
    size_t free = axes[0].batch.size() + (side ? axes[0].free.size() : 0);
    for (size_t k = 0; k < axes[side].batch.size(); ++k)
      at[side][static_cast<size_t>(axes[side].batch[k])] = out[k];
    for (size_t k = 0; k < axes[side].free.size(); ++k)
      at[side][static_cast<size_t>(axes[side].free[k])] = out[free + k];
  };
  return {tensor_of(types[0], [&](const Dims& out) {
    place_out(0, out);
    place_out(1, out);
    double sum = 0;
    for_each_index(summed, [&](const Dims& inner) {
      for (size_t side : {0, 1})
        for (size_t k = 0; k < inner.size(); ++k)
          at[side][static_cast<size_t>(axes[side].summed[k])] = inner[k];
      sum += element(x[0], at[0]) * element(x[1], at[1]);
    });
    return sum;
  })};
}

std::vector<int64_t> range(size_t begin, size_t count) {
  std::vector<int64_t> values;
  for (size_t i = 0; i < count; ++i)
    values.push_back(static_cast<int64_t>(begin + i));
  return values;
}

// The gradient of one operand is the product of dy and the other operand, summed over the other's
// free axes. Its axes come as batch, own free, own summed (in the order of the other operand); a
// transpose sorts them.
void vjp_dot_operand(Vjp& g, size_t side) {
  DotAxes axes[2] = {dot_axes(g.x_type(0), g.attrs(), 0), dot_axes(g.x_type(1), g.attrs(), 1)};
  const DotAxes &own = axes[side], &other = axes[1 - side];
  size_t batch = own.batch.size();
  size_t other_free_begin = batch + (side ? 0 : own.free.size());
  ValueId gradient = g.b.op(Opcode::dot, {g.dy(), g.x(1 - side)},
                            {{"batch_a", range(0, batch)},
                             {"batch_b", other.batch},
                             {"sum_a", range(other_free_begin, other.free.size())},
                             {"sum_b", other.free}});
  std::vector<std::pair<int64_t, int64_t>> summed;  // (axis of the other operand, axis of this one)
  for (size_t i = 0; i < own.summed.size(); ++i)
    summed.emplace_back(other.summed[i], own.summed[i]);
  std::sort(summed.begin(), summed.end());
  std::vector<int64_t> origin =
      own.batch;  // origin[i]: the operand's axis that axis i of the product is
  origin.insert(origin.end(), own.free.begin(), own.free.end());
  for (const auto& [unused, axis] : summed)
    origin.push_back(axis);
  std::vector<int64_t> permutation(origin.size());
  for (size_t i = 0; i < origin.size(); ++i)
    permutation[static_cast<size_t>(origin[i])] = static_cast<int64_t>(i);
  g.add(side, g.b.transpose(gradient, permutation));
}

int64_t flops_dot(std::span<const Type> x, std::span<const Type> y, const Attrs& attrs) {
  return 2 * y[0].elements() * element_count(sizes(x[0], dot_axes(x[0], attrs, 0).summed));
}

}  // namespace

extern constexpr OpDef dot = {
    .name = "dot",
    .doc =
        "Product of two tensors, summed over axes sum_a of the first and sum_b of the second, for "
        "each index of the "
        "paired axes batch_a and batch_b. The result's axes: batch, the first's other axes, the "
        "second's others.",
    .examples =
        "dot(f32[2,3], f32[3,4]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
        "dot(f32[2,3], f32[4,3]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}\n"
        "dot(f32[3,2], f32[3,4]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}\n"
        "dot(f32[5,2,3], f32[5,3,4]) {batch_a=[0], batch_b=[0], sum_a=[2], sum_b=[1]}\n"
        "dot(f32[2,3,4], f32[4,3]) {batch_a=[], batch_b=[], sum_a=[1,2], sum_b=[1,0]}",
    .kernel = KernelClass::contract,
    .operands = 2,
    .attrs = {{"batch_a", AttrKind::integers},
              {"batch_b", AttrKind::integers},
              {"sum_a", AttrKind::integers},
              {"sum_b", AttrKind::integers}},
    .infer = infer_dot,
    .eval = eval_dot,
    .flops = flops_dot,
    .vjp = [](Vjp& g) { vjp_dot_operand(g, 0), vjp_dot_operand(g, 1); },
    .contraction = contraction_of_dot,
};

}  // namespace gradc::ops
