// Writing at positions that are values. Positions may repeat: updates are taken in row-major order.
#include <array>
#include <numeric>
#include <optional>

#include "ir/ops/index.h"

namespace gradc::ops {
namespace {

enum class Reduction : uint8_t { none, add, mul, max, min };
constexpr std::array<std::string_view, 5> kReductions = {"none", "add", "mul", "max", "min"};

Reduction reduction_of(const Attrs& attrs, DType dtype) {
  const std::string& name = attrs.string("reduction");
  for (size_t i = 0; i < kReductions.size(); ++i)
    if (kReductions[i] == name) {
      if (i > 0 && dtype == DType::boolean)
        fail("`reduction` \"{}\" needs numbers, got {}", name, name_of(dtype));
      return static_cast<Reduction>(i);
    }
  fail("`reduction` must be \"none\", \"add\", \"mul\", \"max\" or \"min\", got \"{}\"", name);
}

double reduced(Reduction reduction, double x, double update) {
  switch (reduction) {
    case Reduction::none:
      return update;
    case Reduction::add:
      return x + update;
    case Reduction::mul:
      return x * update;
    case Reduction::max:
      return std::isnan(x) || x > update ? x : update;
    case Reduction::min:
      return std::isnan(x) || x < update ? x : update;
  }
  return update;
}

// x, in which `place(position of an update)` takes each update in.
template <typename F>
Tensor scattered(const Tensor& x, const Tensor& updates, Reduction reduction, F place) {
  Tensor y = x;
  auto next = updates.data.begin();
  for_each_index(updates.type.dims, [&](const Dims& at) {
    double& element = y.data[static_cast<size_t>(ravel(place(at), y.type.dims))];
    element = reduced(reduction, element, *next++);
  });
  return y;
}

// A gradient rule's view of scatter or scatter_elements: writing at its indices, and reading there.
class Places {
 public:
  Places(Vjp& g, Opcode gather) : g_(g), gather_(gather) {}

  ValueId put(ValueId x, ValueId updates, Reduction reduction) {
    Attrs attrs = g_.attrs();
    attrs.set("reduction", std::string(kReductions[static_cast<size_t>(reduction)]));
    return g_.b.op(g_.op().code, {x, g_.x(1), updates}, attrs);
  }
  ValueId read(ValueId x) {
    return g_.b.op(gather_, {x, g_.x(1)}, {{"axis", g_.attrs().integer("axis")}});
  }
  ValueId where(ValueId condition, ValueId x) {
    return g_.b.select(condition, x, g_.b.constant_like(x, 0.0));
  }
  ValueId equal(ValueId x, ValueId y) { return g_.b.op(Opcode::equal, {x, y}); }
  ValueId as_number(ValueId condition) {
    return g_.b.op(Opcode::cast, {condition}, {{"dtype", g_.x_type().dtype}});
  }

 private:
  Vjp& g_;
  Opcode gather_;
};

// Of the updates of one place the last one counts: the one that finds its own number there.
void vjp_of_none(Vjp& g, Places p) {
  Builder& b = g.b;
  g.add(0, p.put(g.dy(), b.constant(g.x_type(2), 0.0), Reduction::none));
  ValueId numbers =
      b.reshape(b.op(Opcode::iota, {},
                     {{"axis", 0}, {"dtype", DType::i32}, {"shape", Dims{g.x_type(2).elements()}}}),
                g.x_type(2).dims);
  ValueId last = p.put(b.constant({DType::i32, g.x_type().dims}, 0.0), numbers, Reduction::none);
  g.add(2, p.where(p.equal(p.read(last), numbers), p.read(g.dy())));
}

// An update's gradient is dy times all other factors of its place. These are the product without
// zeros, divided by the update, or where the update is the only zero, that product itself.
void vjp_of_mul(Vjp& g, Places p) {
  Builder& b = g.b;
  ValueId update = g.x(2), one = b.constant(g.x_type(2), 1.0);
  ValueId is_zero = p.equal(update, b.constant(g.x_type(2), 0.0));
  ValueId zeros = p.read(p.put(b.constant(g.x_type(), 0.0), p.as_number(is_zero), Reduction::add));
  ValueId factor = b.select(is_zero, one, update);
  ValueId product = p.read(p.put(g.x(), factor, Reduction::mul));
  ValueId alone = p.equal(zeros, p.as_number(is_zero));
  g.add(0, b.mul(g.dy(), p.put(b.constant(g.x_type(), 1.0), update, Reduction::mul)));
  g.add(2, b.mul(p.read(g.dy()), p.where(alone, b.div(product, factor))));
}

// Equal extremes share the gradient equally, as those of reduce_max do.
void vjp_of_extreme(Vjp& g, Places p) {
  ValueId x_is = p.equal(g.x(), g.y()), update_is = p.equal(g.x(2), p.read(g.y()));
  ValueId count = p.put(p.as_number(x_is), p.as_number(update_is), Reduction::add);
  ValueId share = g.b.div(g.dy(), count);
  g.add(0, p.where(x_is, share));
  g.add(2, p.where(update_is, p.read(share)));
}

template <Opcode gather>
void vjp_scatter(Vjp& g) {
  Places p(g, gather);
  switch (reduction_of(g.attrs(), g.x_type().dtype)) {
    case Reduction::none:
      return vjp_of_none(g, p);
    case Reduction::add:
      g.add(0, g.dy());
      g.add(2, p.read(g.dy()));
      return;
    case Reduction::mul:
      return vjp_of_mul(g, p);
    case Reduction::max:
    case Reduction::min:
      return vjp_of_extreme(g, p);
  }
}

void check_updates(std::span<const Type> x, const Dims& expected) {
  Type updates{x[0].dtype, expected};
  if (x[2] != updates)
    fail("updates {} of {} at indices {} must be {}", to_string(x[2]), to_string(x[0]),
         to_string(x[1]), to_string(updates));
}

// dims with `axis` replaced by the axes of the indices.
Dims with_indices(const Dims& dims, int64_t axis, const Dims& indices) {
  Dims result(dims.begin(), dims.begin() + axis);
  result.insert(result.end(), indices.begin(), indices.end());
  result.insert(result.end(), dims.begin() + axis + 1, dims.end());
  return result;
}

Types infer_scatter(std::span<const Type> x, const Attrs& a) {
  reduction_of(a, x[0].dtype);
  check_indices(x[1]);
  check_updates(x, with_indices(x[0].dims, axis_of(a, x[0].rank()), x[1].dims));
  return one(x[0]);
}

std::vector<Tensor> eval_scatter(std::span<const Tensor> x, const Op& op,
                                 std::span<const Type> types) {
  int64_t axis = op.attrs.integer("axis"), rank = x[1].type.rank();
  int64_t size = types[0].dims[static_cast<size_t>(axis)];
  return {scattered(x[0], x[2], reduction_of(op.attrs, types[0].dtype), [&](const Dims& at) {
    double index = element(x[1], indices_part(at, axis, rank));
    return with_index(at, axis, rank, clamped(index, size));
  })};
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
  int64_t size = op.attrs.integer("size");
  Tensor zeros = tensor_of(types[0], [](const Dims&) { return 0.0; });
  return {scattered(zeros, x[1], Reduction::add, [&](const Dims& at) {
    double index = element(x[0], indices_part(at, axis, rank));
    return with_index(at, axis, rank, clamped(index, size));
  })};
}

int64_t one_per_update(std::span<const Type> x, std::span<const Type>, const Attrs&) {
  return x.back().elements();
}

std::vector<Tensor> eval_scatter_elements(std::span<const Tensor> x, const Op& op,
                                          std::span<const Type> types) {
  auto axis = static_cast<size_t>(op.attrs.integer("axis"));
  return {scattered(x[0], x[2], reduction_of(op.attrs, types[0].dtype), [&](Dims at) {
    at[axis] = clamped(element(x[1], at), types[0].dims[axis]);
    return at;
  })};
}

Types infer_scatter_nd(std::span<const Type> x, const Attrs& a) {
  reduction_of(a, x[0].dtype);
  NdAxes axes = nd_axes(x[0], x[1], a);
  Dims expected = axes.places;
  expected.insert(expected.end(), axes.inner.begin(), axes.inner.end());
  check_updates(x, expected);
  return one(x[0]);
}

std::vector<Tensor> eval_scatter_nd(std::span<const Tensor> x, const Op& op,
                                    std::span<const Type> types) {
  NdAxes axes = nd_axes(x[0].type, x[1].type, op.attrs);
  auto places = static_cast<ptrdiff_t>(axes.places.size());
  return {scattered(x[0], x[2], reduction_of(op.attrs, types[0].dtype), [&](const Dims& at) {
    Dims place(at.begin(), at.begin() + places), to(at.begin(), at.begin() + axes.batch);
    for (int64_t i = 0; i < axes.depth; ++i) {
      Dims number = place;
      number.push_back(i);
      to.push_back(clamped(element(x[1], number), types[0].dims[to.size()]));
    }
    to.insert(to.end(), at.begin() + places, at.end());
    return to;
  })};
}

// Number i of each position, an index into an axis of `size`.
ValueId number_of_position(Builder& b, ValueId indices, int64_t i, int64_t size, DType dtype) {
  Dims end = b.dims(indices), places(end.begin(), end.end() - 1);
  Dims begin(end.size(), 0), step(end.size(), 1);
  begin.back() = i;
  end.back() = i + 1;
  ValueId number = b.reshape(
      b.op(Opcode::slice, {indices}, {{"begin", begin}, {"end", end}, {"step", step}}), places);
  // Clamped before the type changes, which could cut bits.
  auto last = static_cast<double>(size - 1);
  number = b.op(Opcode::minimum, {number, b.constant_like(number, last)});
  number = b.op(Opcode::maximum, {number, b.constant_like(number, 0.0)});
  return b.op(Opcode::cast, {number}, {{"dtype", dtype}});
}

// The positions as row-major numbers in the axes before `inner`, then a scatter along these as one.
std::vector<ValueId> expand_scatter_nd(Builder& b, const Op& op) {
  ValueId x = op.operand(0), indices = op.operand(1), updates = op.operand(2);
  const Type type = b.type(x);
  NdAxes axes = nd_axes(type, b.type(indices), op.attrs);
  int64_t inner = element_count(axes.inner), rows = type.elements() / inner;
  DType dtype = rows < INT32_MAX ? DType::i32 : DType::i64;
  Type places{dtype, axes.places};
  ValueId row = b.constant(places, 0.0);
  for (int64_t axis = 0; axis < axes.batch + axes.depth; ++axis) {
    int64_t size = type.dims[static_cast<size_t>(axis)];
    ValueId index =
        axis < axes.batch
            ? b.op(Opcode::iota, {}, {{"axis", axis}, {"dtype", dtype}, {"shape", axes.places}})
            : number_of_position(b, indices, axis - axes.batch, size, dtype);
    row = b.add(b.scale(row, static_cast<double>(size)), index);
  }
  Dims update_dims = axes.places;
  update_dims.push_back(inner);
  ValueId y =
      b.op(Opcode::scatter, {b.reshape(x, {rows, inner}), row, b.reshape(updates, update_dims)},
           {{"axis", 0}, {"reduction", op.attrs.string("reduction")}});
  return {b.reshape(y, type.dims)};
}

}  // namespace

extern constexpr OpDef scatter = {
    .name = "scatter",
    .doc =
        "x, whose slices along `axis` take in those of the third operand at the numbers that the "
        "second holds, in row-major order: its axes stand in place of `axis` there. `reduction` is "
        "\"none\" (the last one replaces), \"add\", \"mul\", \"max\" or \"min\". A number out of "
        "range means the nearest slice.",
    .examples =
        "scatter(f32[4,3], i32[5], f32[5,3]) {axis=0, reduction=\"none\"}\n"
        "scatter(f32[2,4,3], i32[2,2], f32[2,2,2,3]) {axis=1, reduction=\"add\"}\n"
        "scatter(f32[4,3], i64[3], f32[3,3]) {axis=0, reduction=\"mul\"}\n"
        "scatter(f32[2,3], i64[], f32[2]) {axis=1, reduction=\"max\"}\n"
        "scatter(f32[4,3], i32[6], f32[6,3]) {axis=0, reduction=\"min\"}",
    .kernel = KernelClass::custom,
    .operands = 3,
    .attrs = {{"axis", AttrKind::integer}, {"reduction", AttrKind::string}},
    .domains = {Domain::real, Domain::index, Domain::real},
    .infer = infer_scatter,
    .eval = eval_scatter,
    .flops = one_per_update,
    .vjp = vjp_scatter<Opcode::gather>,
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
    .flops = one_per_update,
    .vjp =
        [](Vjp& g) {
          g.add(1, g.b.op(Opcode::gather, {g.dy(), g.x(0)}, {{"axis", g.attrs().integer("axis")}}));
        },
};

extern constexpr OpDef scatter_elements = {
    .name = "scatter_elements",
    .doc =
        "x, in which each element of the third operand goes to the same position but the index "
        "that the second holds along `axis`, in row-major order. `reduction` is \"none\" (the last "
        "one replaces), \"add\", \"mul\", \"max\" or \"min\". An index out of range means the "
        "nearest element.",
    .examples =
        "scatter_elements(f32[4,3], i32[2,3], f32[2,3]) {axis=0, reduction=\"none\"}\n"
        "scatter_elements(f32[4,3], i64[3,5], f32[3,5]) {axis=1, reduction=\"add\"}\n"
        "scatter_elements(f32[2,4,3], i32[2,4,2], f32[2,4,2]) {axis=1, reduction=\"mul\"}\n"
        "scatter_elements(f32[5], i32[7], f32[7]) {axis=0, reduction=\"max\"}\n"
        "scatter_elements(f32[2,4], i32[1,6], f32[1,6]) {axis=1, reduction=\"min\"}",
    .kernel = KernelClass::custom,
    .operands = 3,
    .attrs = {{"axis", AttrKind::integer}, {"reduction", AttrKind::string}},
    .domains = {Domain::real, Domain::index, Domain::real},
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          reduction_of(a, x[0].dtype);
          check_element_indices(x[0], x[1], a);
          check_updates(x, x[1].dims);
          return one(x[0]);
        },
    .eval = eval_scatter_elements,
    .flops = one_per_update,
    .vjp = vjp_scatter<Opcode::gather_elements>,
};

extern constexpr OpDef scatter_nd = {
    .name = "scatter_nd",
    .doc =
        "x, whose slices take in those of the third operand at the numbers that the second holds "
        "along its last axis, in row-major order, with `batch_dims` as in `gather_nd`. `reduction` "
        "is \"none\" (the last one replaces), \"add\", \"mul\", \"max\" or \"min\". A number out "
        "of range means the nearest slice.",
    .examples =
        "scatter_nd(f32[3,4,2], i32[5,2], f32[5,2]) {reduction=\"none\"}\n"
        "scatter_nd(f32[4,3], i64[2,3,1], f32[2,3,3]) {reduction=\"add\"}\n"
        "scatter_nd(f32[2,4,3], i32[2,3,1], f32[2,3,3]) {batch_dims=1, reduction=\"mul\"}\n"
        "scatter_nd(f32[3,4], i32[6,2], f32[6]) {reduction=\"max\"}\n"
        "scatter_nd(f32[3,4], i32[6,2], f32[6]) {reduction=\"min\"}",
    .kernel = KernelClass::composite,
    .operands = 3,
    .attrs = {{"batch_dims", AttrKind::integer, false}, {"reduction", AttrKind::string}},
    .domains = {Domain::real, Domain::index, Domain::real},
    .infer = infer_scatter_nd,
    .eval = eval_scatter_nd,
    .flops = one_per_update,
    .expand = expand_scatter_nd,
};

}  // namespace gradc::ops
