// Positions as values, reading and adding at positions, running sums.
#include <algorithm>

#include "ir/ops/rules.h"

namespace gradc::ops {

using loop::Code;
using loop::Scalar;

namespace {

// Indices out of range mean the nearest element, in reading and in adding.
size_t clamped(double index, int64_t size) {
  return static_cast<size_t>(std::clamp<int64_t>(static_cast<int64_t>(index), 0, size - 1));
}

void check_indices(const Type& indices) {
  if (!is_integer(indices.dtype))
    fail("indices must be integers, got {}", to_string(indices));
}

// A position in dims[:axis] + indices.dims + dims[axis+1:], taken apart: the middle is a position
// in the indices; the ends, with the index between them, a position in dims.
Dims indices_part(const Dims& at, int64_t axis, int64_t indices_rank) {
  return Dims(at.begin() + axis, at.begin() + axis + indices_rank);
}

Dims with_index(const Dims& at, int64_t axis, int64_t indices_rank, int64_t index) {
  Dims result(at.begin(), at.begin() + axis);
  result.push_back(index);
  result.insert(result.end(), at.begin() + axis + indices_rank, at.end());
  return result;
}

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
    size_t index = clamped(element(x[1], indices_part(at, axis, rank)), size);
    return element(x[0], with_index(at, axis, rank, static_cast<int64_t>(index)));
  })};
}

Scalar element_gather(loop::ElementContext& c) {
  auto axis = static_cast<size_t>(c.attrs().integer("axis"));
  size_t rank = c.operand_type(1).dims.size();
  std::span<const Scalar> at = c.position();
  Scalar index = c.b.convert(c.at(1, at.subspan(axis, rank)), DType::i64);
  Scalar last = c.b.index(c.operand_type(0).dims[axis] - 1);
  std::vector<Scalar> from(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(axis));
  from.push_back(c.b.max(c.b.min(index, last), c.b.index(0)));
  from.insert(from.end(), at.begin() + static_cast<std::ptrdiff_t>(axis + rank), at.end());
  return c.at(0, from);
}

Types infer_scatter_add(std::span<const Type> x, const Attrs& a) {
  check_indices(x[0]);
  same_number(x.subspan(1), a);
  int64_t axis = a.integer("axis"), size = a.integer("size"), rank = x[0].rank();
  if (axis < 0 || axis > x[1].rank() - rank || indices_part(x[1].dims, axis, rank) != x[0].dims)
    fail("updates {} do not hold the indices' shape {} at axis {}", to_string(x[1]),
         to_string(x[0].dims), axis);
  if (size < 1)
    fail("`size` must be at least 1, got {}", size);
  return one({x[1].dtype, with_index(x[1].dims, axis, rank, size)});
}

std::vector<Tensor> eval_scatter_add(std::span<const Tensor> x, const Op& op,
                                     std::span<const Type> types) {
  int64_t axis = op.attrs.integer("axis"), rank = x[0].type.rank();
  Tensor y = tensor_of(types[0], [](const Dims&) { return 0.0; });
  for (int64_t i = 0; i < x[1].type.elements(); ++i) {
    Dims at = unravel(i, x[1].type.dims);
    size_t index = clamped(element(x[0], indices_part(at, axis, rank)), op.attrs.integer("size"));
    Dims to = with_index(at, axis, rank, static_cast<int64_t>(index));
    y.data[static_cast<size_t>(ravel(to, types[0].dims))] += x[1].data[static_cast<size_t>(i)];
  }
  return {y};
}

int64_t flops_scatter_add(std::span<const Type> x, std::span<const Type>, const Attrs&) {
  return x[1].elements();
}

std::vector<Tensor> eval_cumulative_sum(std::span<const Tensor> x, const Op& op,
                                        std::span<const Type> types) {
  auto axis = static_cast<size_t>(op.attrs.integer("axis"));
  bool reverse = op.attrs.flag("reverse"), exclusive = op.attrs.flag("exclusive");
  return {tensor_of(types[0], [&](const Dims& to) {
    double sum = 0;
    Dims from = to;
    for (int64_t i = 0; i < types[0].dims[axis]; ++i) {
      bool before = reverse ? i > to[axis] : i < to[axis];
      from[axis] = i;
      if (before || (i == to[axis] && !exclusive))
        sum += element(x[0], from);
    }
    return sum;
  })};
}

// The gradient sums dy from the other end.
void vjp_cumulative_sum(Vjp& g) {
  Attrs attrs = g.attrs();
  attrs.set("reverse", !attrs.flag("reverse"));
  g.add(0, g.b.op(Opcode::cumulative_sum, {g.dy()}, attrs));
}

Types infer_one_hot(std::span<const Type> x, const Attrs& a) {
  check_indices(x[0]);
  if (a.integer("size") < 1)
    fail("`size` must be at least 1, got {}", a.integer("size"));
  Type y{a.dtype("dtype"), x[0].dims};
  y.dims.push_back(a.integer("size"));
  return one(y);
}

std::vector<ValueId> expand_one_hot(Builder& b, const Op& op) {
  Type wide = b.type(op.operand(0));
  std::vector<int64_t> new_axis = {wide.rank()};
  wide.dims.push_back(op.attrs.integer("size"));
  ValueId positions =
      b.op(Opcode::iota, {}, {{"axis", new_axis[0]}, {"dtype", wide.dtype}, {"shape", wide.dims}});
  ValueId indices = b.broadcast_over(op.operand(0), new_axis, wide.dims);
  ValueId hot = b.op(Opcode::equal, {positions, indices});
  return {b.op(Opcode::cast, {hot}, {{"dtype", op.attrs.dtype("dtype")}})};
}

Types infer_arg_extreme(std::span<const Type> x, const Attrs& a) {
  same_number(x, a);
  Type y{DType::i32, x[0].dims};
  y.dims.erase(y.dims.begin() + axis_of(a, x[0].rank()));
  return one(y);
}

// `better` is whether one element ranks before another.
template <auto better>
std::vector<Tensor> eval_arg_extreme(std::span<const Tensor> x, const Op& op,
                                     std::span<const Type> types) {
  int64_t axis = op.attrs.integer("axis");
  bool last = op.attrs.flag("last");
  return {tensor_of(types[0], [&](Dims at) {
    at.insert(at.begin() + axis, 0);
    Dims best = at;
    for (int64_t& i = at[static_cast<size_t>(axis)]; i < x[0].type.dims[static_cast<size_t>(axis)];
         ++i)
      if (better(element(x[0], at), element(x[0], best)) ||
          (last && !better(element(x[0], best), element(x[0], at))))
        best = at;
    return static_cast<double>(best[static_cast<size_t>(axis)]);
  })};
}

// The first or the last position at which x equals its extreme. Where nothing does (NaN), the other
// end.
template <Opcode reduction>
std::vector<ValueId> expand_arg_extreme(Builder& b, const Op& op) {
  ValueId x = op.operand(0);
  Dims dims = b.dims(x);
  std::vector<int64_t> axes = {op.attrs.integer("axis")};
  bool last = op.attrs.flag("last");
  ValueId extreme = b.op(reduction, {x}, {{"axes", axes}});
  ValueId equal = b.op(Opcode::equal, {x, b.broadcast_over(extreme, axes, dims)});
  ValueId positions =
      b.op(Opcode::iota, {}, {{"axis", axes[0]}, {"dtype", DType::i32}, {"shape", dims}});
  auto end = static_cast<double>(last ? 0 : dims[static_cast<size_t>(axes[0])] - 1);
  ValueId candidates = b.select(equal, positions, b.constant_like(positions, end));
  return {b.op(last ? Opcode::reduce_max : Opcode::reduce_min, {candidates}, {{"axes", axes}})};
}

}  // namespace

extern constexpr OpDef iota = {
    .name = "iota",
    .doc = "Each element's index along `axis`.",
    .examples = "iota() {axis=1, dtype=i32, shape=[2,3]}\niota() {axis=0, dtype=f32, shape=[4]}",
    .operands = 0,
    .attrs = {{"axis", AttrKind::integer},
              {"dtype", AttrKind::dtype},
              {"shape", AttrKind::integers}},
    .infer =
        [](std::span<const Type>, const Attrs& a) {
          Type y{a.dtype("dtype"), a.integers("shape")};
          same_number({&y, 1}, a);
          axis_of(a, y.rank());
          return one(y);
        },
    .eval =
        [](std::span<const Tensor>, const Op& op, std::span<const Type> types) {
          auto axis = static_cast<size_t>(op.attrs.integer("axis"));
          return std::vector{
              tensor_of(types[0], [&](const Dims& at) { return static_cast<double>(at[axis]); })};
        },
    .flops = no_flops,
    .vjp = zero_gradient,
    .element =
        [](loop::ElementContext& c) {
          Scalar index = c.position()[static_cast<size_t>(c.attrs().integer("axis"))];
          return c.b.convert(index, c.result_type().dtype);
        },
};

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

extern constexpr OpDef scatter_add = {
    .name = "scatter_add",
    .doc =
        "Zeros, to which slices of the second operand are added at the numbers that the first "
        "holds, in row-major order: the numbers' axes, which begin at `axis`, become one axis of "
        "`size`. A number out of range means the nearest slice.",
    .examples =
        "scatter_add(i32[5], f32[5,3]) {axis=0, size=4}\n"
        "scatter_add(i32[2,2], f32[2,2,2,3]) {axis=1, size=3}\n"
        "scatter_add(i64[], f32[2]) {axis=1, size=3}",
    .kernel = KernelClass::custom,
    .operands = 2,
    .attrs = {{"axis", AttrKind::integer}, {"size", AttrKind::integer}},
    .domains = {Domain::index, Domain::real},
    .infer = infer_scatter_add,
    .eval = eval_scatter_add,
    .flops = flops_scatter_add,
    .vjp =
        [](Vjp& g) {
          g.add(1, g.b.op(Opcode::gather, {g.dy(), g.x(0)}, {{"axis", g.attrs().integer("axis")}}));
        },
};

extern constexpr OpDef cumulative_sum = {
    .name = "cumulative_sum",
    .doc =
        "Sums of the elements up to each position along `axis`: without the element itself if "
        "`exclusive`, from the end if `reverse`.",
    .examples =
        "cumulative_sum(f32[2,5]) {axis=1, exclusive=false, reverse=false}\n"
        "cumulative_sum(f32[3,2]) {axis=0, exclusive=true, reverse=true}",
    .kernel = KernelClass::custom,
    .attrs = {{"axis", AttrKind::integer},
              {"exclusive", AttrKind::boolean},
              {"reverse", AttrKind::boolean}},
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          axis_of(a, x[0].rank());
          return same_number(x, a);
        },
    .eval = eval_cumulative_sum,
    .vjp = vjp_cumulative_sum,
};

extern constexpr OpDef one_hot = {
    .name = "one_hot",
    .doc =
        "1 at each index along a new last axis of `size`, 0 elsewhere; all 0 where the index is "
        "out of range.",
    .examples = "one_hot(i32[4]) {dtype=f32, size=3}\none_hot(i64[2,2]) {dtype=f32, size=4}",
    .kernel = KernelClass::composite,
    .attrs = {{"dtype", AttrKind::dtype}, {"size", AttrKind::integer}},
    .domains = {Domain::index},
    .infer = infer_one_hot,
    .eval =
        [](std::span<const Tensor> x, const Op&, std::span<const Type> types) {
          return std::vector{tensor_of(types[0], [&](Dims at) {
            auto position = static_cast<double>(at.back());
            at.pop_back();
            return element(x[0], at) == position ? 1.0 : 0.0;
          })};
        },
    .flops = no_flops,
    .vjp = zero_gradient,
    .expand = expand_one_hot,
};

extern constexpr OpDef arg_max = {
    .name = "arg_max",
    .doc =
        "Index (i32) of the largest element along `axis`, which disappears; of equal ones the "
        "first, or if `last` the last.",
    .examples =
        "arg_max(f32[2,3]) {axis=1}\narg_max(f32[3,2,2]) {axis=0}\n"
        "arg_max(i32[3,9]) {axis=1, last=true}",
    .kernel = KernelClass::composite,
    .attrs = {{"axis", AttrKind::integer}, {"last", AttrKind::boolean, false}},
    .infer = infer_arg_extreme,
    .eval = eval_arg_extreme<[](double x, double y) { return (x > y); }>,
    .vjp = zero_gradient,
    .expand = expand_arg_extreme<Opcode::reduce_max>,
};

extern constexpr OpDef arg_min = {
    .name = "arg_min",
    .doc =
        "Index (i32) of the smallest element along `axis`, which disappears; of equal ones the "
        "first, or if `last` the last.",
    .examples =
        "arg_min(f32[2,3]) {axis=1}\narg_min(f32[3,2,2]) {axis=0}\n"
        "arg_min(i32[3,9]) {axis=1, last=true}",
    .kernel = KernelClass::composite,
    .attrs = {{"axis", AttrKind::integer}, {"last", AttrKind::boolean, false}},
    .infer = infer_arg_extreme,
    .eval = eval_arg_extreme<[](double x, double y) { return x < y; }>,
    .vjp = zero_gradient,
    .expand = expand_arg_extreme<Opcode::reduce_min>,
};

}  // namespace gradc::ops
