// Positions as values, running sums.
#include "ir/ops/index.h"

namespace gradc::ops {

using loop::Code;
using loop::Scalar;

namespace {

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
