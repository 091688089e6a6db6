// Reading at positions that are values.
#include <algorithm>

#include "ir/ops/index.h"

namespace gradc::ops {

using loop::Scalar;

void check_indices(const Type& indices) {
  if (!is_integer(indices.dtype))
    fail("indices must be integers, got {}", to_string(indices));
}

int64_t clamped(double index, int64_t size) {
  return std::clamp<int64_t>(static_cast<int64_t>(index), 0, size - 1);
}

Scalar clamped(loop::Builder& b, Scalar index, int64_t size) {
  return b.max(b.min(b.convert(index, DType::i64), b.index(size - 1)), b.index(0));
}

Dims indices_part(const Dims& at, int64_t axis, int64_t indices_rank) {
  return Dims(at.begin() + axis, at.begin() + axis + indices_rank);
}

Dims with_index(const Dims& at, int64_t axis, int64_t indices_rank, int64_t index) {
  Dims result(at.begin(), at.begin() + axis);
  result.push_back(index);
  result.insert(result.end(), at.begin() + axis + indices_rank, at.end());
  return result;
}

void check_element_indices(const Type& x, const Type& indices, const Attrs& attrs) {
  check_indices(indices);
  int64_t axis = axis_of(attrs, x.rank());
  bool fits = x.rank() == indices.rank();
  for (int64_t i = 0; fits && i < x.rank(); ++i)
    fits = i == axis || indices.dims[static_cast<size_t>(i)] <= x.dims[static_cast<size_t>(i)];
  if (!fits)
    fail("indices {} do not fit {}: one rank, and no size above it but along axis {}",
         to_string(indices), to_string(x), axis);
}

NdAxes nd_axes(const Type& x, const Type& indices, const Attrs& attrs) {
  check_indices(indices);
  if (indices.rank() == 0)
    fail("indices {} need an axis, the last, that holds the numbers of a position",
         to_string(indices));
  NdAxes axes{attrs.integer_or("batch_dims", 0), indices.dims.back(), {}, {}};
  auto batch = static_cast<ptrdiff_t>(axes.batch);
  if (axes.batch < 0 || axes.batch >= indices.rank() || axes.batch > x.rank() ||
      !std::equal(x.dims.begin(), x.dims.begin() + batch, indices.dims.begin()))
    fail("the first {} axes of {} and of indices {} must be equal", axes.batch, to_string(x),
         to_string(indices));
  if (axes.depth > x.rank() - axes.batch)
    fail("indices {} hold {} numbers a position, {} has {} axes to be indexed", to_string(indices),
         axes.depth, to_string(x), x.rank() - axes.batch);
  axes.places.assign(indices.dims.begin(), indices.dims.end() - 1);
  axes.inner.assign(x.dims.begin() + batch + static_cast<ptrdiff_t>(axes.depth), x.dims.end());
  return axes;
}

namespace {

Types infer_gather(std::span<const Type> x, const Attrs& a) {
  int64_t axis = axis_of(a, x[0].rank());
  check_indices(x[1]);
  Type y{x[0].dtype, Dims(x[0].dims.begin(), x[0].dims.begin() + axis)};
  y.dims.insert(y.dims.end(), x[1].dims.begin(), x[1].dims.end());
  y.dims.insert(y.dims.end(), x[0].dims.begin() + axis + 1, x[0].dims.end());
  return one(y);
}

std::vector<Tensor> eval_gather(std::span<const Tensor> x, const Op& op,
                                std::span<const Type> types) {
  int64_t axis = op.attrs.integer("axis"), rank = x[1].type.rank();
  int64_t size = x[0].type.dims[static_cast<size_t>(axis)];
  return {tensor_of(types[0], [&](const Dims& at) {
    int64_t index = clamped(element(x[1], indices_part(at, axis, rank)), size);
    return element(x[0], with_index(at, axis, rank, index));
  })};
}

Scalar element_gather(loop::ElementContext& c) {
  auto axis = static_cast<size_t>(c.attrs().integer("axis"));
  size_t rank = c.operand_type(1).dims.size();
  std::span<const Scalar> at = c.position();
  std::vector<Scalar> from(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(axis));
  from.push_back(clamped(c.b, c.at(1, at.subspan(axis, rank)), c.operand_type(0).dims[axis]));
  from.insert(from.end(), at.begin() + static_cast<std::ptrdiff_t>(axis + rank), at.end());
  return c.at(0, from);
}

std::vector<Tensor> eval_gather_elements(std::span<const Tensor> x, const Op& op,
                                         std::span<const Type> types) {
  auto axis = static_cast<size_t>(op.attrs.integer("axis"));
  return {tensor_of(types[0], [&](const Dims& at) {
    Dims from = at;
    from[axis] = clamped(element(x[1], at), x[0].type.dims[axis]);
    return element(x[0], from);
  })};
}

Scalar element_gather_elements(loop::ElementContext& c) {
  auto axis = static_cast<size_t>(c.attrs().integer("axis"));
  std::vector<Scalar> from(c.position().begin(), c.position().end());
  from[axis] = clamped(c.b, c.at(1), c.operand_type(0).dims[axis]);
  return c.at(0, from);
}

Types infer_gather_nd(std::span<const Type> x, const Attrs& a) {
  NdAxes axes = nd_axes(x[0], x[1], a);
  Type y{x[0].dtype, axes.places};
  y.dims.insert(y.dims.end(), axes.inner.begin(), axes.inner.end());
  return one(y);
}

std::vector<Tensor> eval_gather_nd(std::span<const Tensor> x, const Op& op,
                                   std::span<const Type> types) {
  NdAxes axes = nd_axes(x[0].type, x[1].type, op.attrs);
  auto places = static_cast<ptrdiff_t>(axes.places.size());
  return {tensor_of(types[0], [&](const Dims& at) {
    Dims place(at.begin(), at.begin() + places), from(at.begin(), at.begin() + axes.batch);
    for (int64_t i = 0; i < axes.depth; ++i) {
      Dims number = place;
      number.push_back(i);
      from.push_back(clamped(element(x[1], number), x[0].type.dims[from.size()]));
    }
    from.insert(from.end(), at.begin() + places, at.end());
    return element(x[0], from);
  })};
}

Scalar element_gather_nd(loop::ElementContext& c) {
  NdAxes axes = nd_axes(c.operand_type(0), c.operand_type(1), c.attrs());
  std::span<const Scalar> at = c.position();
  auto places = static_cast<ptrdiff_t>(axes.places.size());
  std::vector<Scalar> from(at.begin(), at.begin() + axes.batch);
  for (int64_t i = 0; i < axes.depth; ++i) {
    std::vector<Scalar> number(at.begin(), at.begin() + places);
    number.push_back(c.b.index(i));
    from.push_back(clamped(c.b, c.at(1, number), c.operand_type(0).dims[from.size()]));
  }
  from.insert(from.end(), at.begin() + places, at.end());
  return c.at(0, from);
}

// dx = dy, added up where each of its elements was read.
template <Opcode scatter>
void vjp_by_adding(Vjp& g) {
  Attrs attrs = g.attrs();
  attrs.set("reduction", "add");
  ValueId zeros = g.b.constant(g.x_type(), 0.0);
  g.add(0, g.b.op(scatter, {zeros, g.x(1), g.dy()}, attrs));
}

}  // namespace

// dx = dy added up at the indices
extern constexpr OpDef gather = {
    .name = "gather",
    .doc =
        "The slices of x along `axis` that the second operand, of any shape, numbers: its axes "
        "replace `axis`. A number out of range means the nearest slice.",
    .examples =
        "gather(f32[4,3], i32[5]) {axis=0}\ngather(f32[2,4,3], i32[2,2]) {axis=1}\n"
        "gather(f32[2,3], i64[]) {axis=1}",
    .operands = 2,
    .attrs = {{"axis", AttrKind::integer}},
    .domains = {Domain::real, Domain::index},
    .exact = true,
    .infer = infer_gather,
    .eval = eval_gather,
    .flops = no_flops,
    .vjp =
        [](Vjp& g) {
          int64_t axis = g.attrs().integer("axis");
          int64_t size = g.x_type().dims[static_cast<size_t>(axis)];
          g.add(0, g.b.op(Opcode::scatter_add, {g.x(1), g.dy()}, {{"axis", axis}, {"size", size}}));
        },
    .element = element_gather,
};

extern constexpr OpDef gather_elements = {
    .name = "gather_elements",
    .doc =
        "For each index, which the second operand holds, the element of x at the same position but "
        "that index along `axis`. An index out of range means the nearest element.",
    .examples =
        "gather_elements(f32[4,3], i32[2,3]) {axis=0}\n"
        "gather_elements(f32[4,3], i64[3,5]) {axis=1}\n"
        "gather_elements(f32[2,4,3], i32[2,4,2]) {axis=1}",
    .operands = 2,
    .attrs = {{"axis", AttrKind::integer}},
    .domains = {Domain::real, Domain::index},
    .exact = true,
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          check_element_indices(x[0], x[1], a);
          return one({x[0].dtype, x[1].dims});
        },
    .eval = eval_gather_elements,
    .flops = no_flops,
    .vjp = vjp_by_adding<Opcode::scatter_elements>,
    .element = element_gather_elements,
};

extern constexpr OpDef gather_nd = {
    .name = "gather_nd",
    .doc =
        "For each line of the second operand along its last axis, the slice of x at these numbers. "
        "The first `batch_dims` (0 when absent) axes are those of x and of the numbers, which "
        "index the axes behind them. A number out of range means the nearest slice.",
    .examples =
        "gather_nd(f32[3,4,2], i32[5,2])\ngather_nd(f32[4,3], i64[2,3,1])\n"
        "gather_nd(f32[2,4,3], i32[2,3,1]) {batch_dims=1}\n"
        "gather_nd(f32[2,3,4], i32[2,5,2]) {batch_dims=1}",
    .operands = 2,
    .attrs = {{"batch_dims", AttrKind::integer, false}},
    .domains = {Domain::real, Domain::index},
    .exact = true,
    .infer = infer_gather_nd,
    .eval = eval_gather_nd,
    .flops = no_flops,
    .vjp = vjp_by_adding<Opcode::scatter_nd>,
    .element = element_gather_nd,
};

}  // namespace gradc::ops
