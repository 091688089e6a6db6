// Resizing along one axis, the interpolation of images; several axes are several ops. Each element
// of the result is a weighted sum of T neighbours of a place in x. Numbers and weights of all
// neighbours are two small tables of [T, size] that ops compute, and the rest is gathers, which
// cost nothing beside the products that read them. The gradient is a sum of the same form, with
// the tables turned around: what an element of x gave to each of its K neighbours in the result.
// So neither direction adds up at positions that are values.
#include <algorithm>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

enum class Filter : uint8_t { half_down, half_up, floor, ceil, linear, cubic };

Filter filter_named(const std::string& name) {
  constexpr std::pair<std::string_view, Filter> kFilters[] = {
      {"nearest", Filter::half_down}, {"nearest_up", Filter::half_up}, {"floor", Filter::floor},
      {"ceil", Filter::ceil},         {"linear", Filter::linear},      {"cubic", Filter::cubic}};
  for (const auto& [known, filter] : kFilters)
    if (name == known)
      return filter;
  fail("`filter` is \"{}\"; it must be nearest, nearest_up, floor, ceil, linear or cubic", name);
}

// The attributes, with their defaults.
struct Resize {
  int64_t axis, from_size, size;
  Filter filter;
  double from, to, shift, offset;  // element o of the result is at (o + shift) * from / to + offset
  double width;  // of the filter, in its own widths
  double cubic;
  bool skips_outside;

  bool is_nearest() const { return filter != Filter::linear && filter != Filter::cubic; }
  double radius() const { return is_nearest() ? 0 : (filter == Filter::linear ? 1 : 2) * width; }
  // Neighbours of a place.
  int64_t taps() const { return is_nearest() ? 1 : static_cast<int64_t>(std::ceil(2 * radius())); }
  bool is_normalized() const { return skips_outside || width > 1; }
};

Resize resize_of(const Type& x, const Attrs& attrs) {
  int64_t axis = axis_of(attrs, x.rank()), size = attrs.integer("size");
  int64_t from_size = x.dims[static_cast<size_t>(axis)];
  return {axis,
          from_size,
          size,
          filter_named(attrs.string("filter")),
          attrs.real_or("from", static_cast<double>(from_size)),
          attrs.real_or("to", static_cast<double>(size)),
          attrs.real_or("shift", 0.5),
          attrs.real_or("offset", -0.5),
          attrs.real_or("width", 1),
          attrs.real_or("cubic", -0.75),
          attrs.flag("skip_outside")};
}

Types infer_resize(std::span<const Type> x, const Attrs& attrs) {
  Resize r = resize_of(x[0], attrs);
  if (!r.is_nearest())
    check_floats(x);
  if (r.size < 1)
    fail("`size` is {}, it must be at least 1", r.size);
  constexpr double kMost = 1e9;
  for (double number : {r.shift, r.offset, r.cubic})
    if (!(std::abs(number) <= kMost))
      fail("`shift`, `offset` and `cubic` must lie in [-1e9, 1e9], one is {}", number);
  if (!(r.from >= 0 && r.from <= kMost && r.to > 0 && r.to <= kMost))
    fail("`from` is {} and `to` {}; they must lie in [0, 1e9], and `to` above 0", r.from, r.to);
  if (!(r.width >= 1 && r.width <= std::max<double>(static_cast<double>(r.from_size), 1)))
    fail("`width` is {}, it must lie in [1, {}], the size along axis {}", r.width, r.from_size,
         r.axis);
  Type y = x[0];
  y.dims[static_cast<size_t>(r.axis)] = r.size;
  return one(y);
}

// --- In numbers: naive evaluation, and what the graph must know before it is built.

double place_of(const Resize& r, int64_t o) {
  return (static_cast<double>(o) + r.shift) * r.from / r.to + r.offset;
}

// The number of the first neighbour, which may lie outside.
double first_of(const Resize& r, double place) {
  switch (r.filter) {
    case Filter::half_down:
      return std::ceil(place - 0.5);
    case Filter::half_up:
      return std::floor(place + 0.5);
    case Filter::floor:
      return std::floor(place);
    case Filter::ceil:
      return std::ceil(place);
    default:
      return std::floor(place - r.radius()) + 1;
  }
}

int64_t inside(const Resize& r, double number) {
  return static_cast<int64_t>(std::clamp(number, 0.0, static_cast<double>(r.from_size - 1)));
}

double weight_at(const Resize& r, double distance) {
  double d = std::abs(distance) / r.width, a = r.cubic;
  if (r.filter == Filter::linear)
    return std::max(1 - d, 0.0);
  if (d <= 1)
    return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((d - 5) * d + 8) * d * a - 4 * a : 0;
}

struct Tap {
  int64_t number;
  double weight;
};

std::vector<Tap> taps_at(const Resize& r, int64_t o) {
  double place = place_of(r, o), first = first_of(r, place), sum = 0;
  std::vector<Tap> taps;
  for (int64_t t = 0; t < r.taps(); ++t) {
    double number = first + static_cast<double>(t);
    bool counts = !r.skips_outside || number == static_cast<double>(inside(r, number));
    double weight = !counts ? 0 : r.is_nearest() ? 1 : weight_at(r, number - place);
    sum += weight;
    taps.push_back({inside(r, number), weight});
  }
  for (Tap& tap : taps)
    tap.weight /= r.is_normalized() && sum != 0 ? sum : 1;
  return taps;
}

std::vector<Tensor> eval_resize(std::span<const Tensor> x, const Op& op,
                                std::span<const Type> types) {
  Resize r = resize_of(x[0].type, op.attrs);
  auto axis = static_cast<size_t>(r.axis);
  return {tensor_of(types[0], [&](const Dims& at) {
    double sum = 0;
    Dims from = at;
    for (const Tap& tap : taps_at(r, at[axis])) {
      from[axis] = tap.number;
      sum += r.is_nearest() ? element(x[0], from) : tap.weight * element(x[0], from);
    }
    return sum;
  })};
}

// How many elements of the result read one element of x, at most, and where the first of them is:
// floor((i - reach - offset) * to / from - shift) + more, brought into [0, size), is that or a
// little less.
struct Readers {
  int64_t most = 1;
  double reach = 0, more = 1;
};

double reach_of(const Resize& r) {
  switch (r.filter) {
    case Filter::half_down:
    case Filter::half_up:
      return 0.5;
    case Filter::floor:
      return 0;
    case Filter::ceil:
      return 1;
    default:
      return r.radius();
  }
}

double first_reader(const Resize& r, const Readers& readers, int64_t i) {
  if (r.from == 0)
    return 0;
  double at = (static_cast<double>(i) + (-readers.reach - r.offset)) * r.to / r.from - r.shift;
  return std::clamp(std::floor(at) + readers.more, 0.0, static_cast<double>(r.size - 1));
}

// Those that read i are from the first whose last neighbour is not before i up to the last whose
// first neighbour is not behind it.
Readers readers_of(const Resize& r) {
  Readers readers{1, reach_of(r), 1};
  auto neighbour = [&](int64_t o, int64_t t) {
    return inside(r, first_of(r, place_of(r, o)) + static_cast<double>(t));
  };
  int64_t begin = 0, end = 0;
  for (int64_t i = 0; i < r.from_size; ++i) {
    while (begin < r.size && neighbour(begin, r.taps() - 1) < i)
      ++begin;
    while (end < r.size && neighbour(end, 0) <= i)
      ++end;
    if (begin < end && first_reader(r, readers, i) > static_cast<double>(begin)) {
      GRADC_CHECK(readers.more > 0, "readers of element {} begin at {}", i, begin);
      readers.more = 0;
      i = -1, begin = 0, end = 0, readers.most = 1;
      continue;
    }
    readers.most = std::max(readers.most, end - static_cast<int64_t>(first_reader(r, readers, i)));
  }
  return readers;
}

// --- In ops.

// Numbers along axis 1 of x, and their weights; of [taps, size]. Those of the nearest are 1: none.
struct Taps {
  ValueId numbers, weights;
};

ValueId iota(Builder& b, DType dtype, const Dims& dims, int64_t axis) {
  return b.op(Opcode::iota, {}, {{"axis", axis}, {"dtype", dtype}, {"shape", dims}});
}

ValueId clamp(Builder& b, ValueId x, double low, double high) {
  ValueId above = b.op(Opcode::maximum, {x, b.constant_like(x, low)});
  return b.op(Opcode::minimum, {above, b.constant_like(x, high)});
}

ValueId first_of(Builder& b, const Resize& r, ValueId place) {
  switch (r.filter) {
    case Filter::half_down:
      return b.op(Opcode::ceil, {b.shift(place, -0.5)});
    case Filter::half_up:
      return b.op(Opcode::floor, {b.shift(place, 0.5)});
    case Filter::floor:
      return b.op(Opcode::floor, {place});
    case Filter::ceil:
      return b.op(Opcode::ceil, {place});
    default:
      return b.shift(b.op(Opcode::floor, {b.shift(place, -r.radius())}), 1);
  }
}

ValueId weight_at(Builder& b, const Resize& r, ValueId distance) {
  ValueId d = b.op(Opcode::abs, {distance});
  if (r.width != 1)
    d = b.div(d, b.constant_like(d, r.width));
  ValueId zero = b.constant_like(d, 0), one = b.constant_like(d, 1);
  if (r.filter == Filter::linear)
    return b.op(Opcode::maximum, {b.sub(one, d), zero});
  double a = r.cubic;
  ValueId near = b.mul(b.mul(b.shift(b.scale(d, a + 2), -(a + 3)), d), d);
  ValueId far = b.mul(b.shift(b.mul(b.shift(d, -5), d), 8), d);
  far = b.shift(b.scale(far, a), -4 * a);
  ValueId is_near = b.op(Opcode::less_equal, {d, one});
  ValueId is_far = b.op(Opcode::less, {d, b.constant_like(d, 2)});
  return b.select(is_near, b.shift(near, 1), b.select(is_far, far, zero));
}

// Places take f64: whether the nearest is that below or above is decided by their last bits.
Taps taps_of(Builder& b, const Resize& r, DType dtype) {
  Dims dims = {r.taps(), r.size};
  ValueId place = b.scale(b.shift(iota(b, DType::f64, dims, 1), r.shift), r.from);
  place = b.shift(b.div(place, b.constant_like(place, r.to)), r.offset);
  ValueId number = b.add(first_of(b, r, place), iota(b, DType::f64, dims, 0));
  ValueId nearest = clamp(b, number, 0, static_cast<double>(r.from_size - 1));
  Taps taps{b.op(Opcode::cast, {nearest}, {{"dtype", DType::i32}}), {}};
  if (r.is_nearest())
    return taps;
  ValueId weight = weight_at(b, r, b.sub(number, place));
  if (r.skips_outside)
    weight = b.select(b.op(Opcode::equal, {number, nearest}), weight, b.constant_like(weight, 0));
  if (r.is_normalized()) {
    ValueId sum = repeated_sum(b, weight, {0});
    ValueId is_zero = b.op(Opcode::equal, {sum, b.constant_like(sum, 0)});
    weight = b.div(weight, b.select(is_zero, b.constant_like(sum, 1), sum));
  }
  taps.weights = dtype == DType::f64 ? weight : b.op(Opcode::cast, {weight}, {{"dtype", dtype}});
  return taps;
}

// The same for x's gradient: the elements of the result that read element i of x follow each
// other.
Taps turned_around(Builder& b, const Resize& r, const Taps& taps, DType dtype) {
  Readers readers = readers_of(r);
  Dims dims = {readers.most, r.from_size}, all = {r.taps(), readers.most, r.from_size};
  ValueId first = b.constant({DType::f64, dims}, 0);
  if (r.from != 0) {
    ValueId at = b.shift(iota(b, DType::f64, dims, 1), -readers.reach - r.offset);
    at = b.div(b.scale(at, r.to), b.constant_like(at, r.from));
    at = b.shift(b.op(Opcode::floor, {b.shift(at, -r.shift)}), readers.more);
    first = clamp(b, at, 0, static_cast<double>(r.size - 1));
  }
  ValueId reader = b.add(first, iota(b, DType::f64, dims, 0));
  ValueId exists =
      b.op(Opcode::less, {reader, b.constant_like(reader, static_cast<double>(r.size))});
  reader =
      b.op(Opcode::minimum, {reader, b.constant_like(reader, static_cast<double>(r.size - 1))});
  reader = b.op(Opcode::cast, {reader}, {{"dtype", DType::i32}});
  auto at_reader = [&](ValueId table) {
    return b.op(Opcode::gather, {table, reader}, {{"axis", int64_t{1}}});
  };
  ValueId reads = b.op(Opcode::equal, {at_reader(taps.numbers), iota(b, DType::i32, all, 2)});
  ValueId one = b.constant({dtype, all}, 1), zero = b.constant({dtype, all}, 0);
  ValueId weight = b.select(reads, taps.weights.valid() ? at_reader(taps.weights) : one, zero);
  weight = b.reduce_sum(weight, {0});
  return {reader, b.select(exists, weight, b.constant_like(weight, 0))};
}

ValueId row_of(Builder& b, ValueId table, int64_t t) {
  int64_t size = b.dims(table)[1];
  ValueId row = table;
  if (b.dims(table)[0] > 1)
    row = b.op(Opcode::slice, {table},
               {{"begin", Dims{t, 0}}, {"end", Dims{t + 1, size}}, {"step", Dims{1, 1}}});
  return b.reshape(row, {size});
}

// sum over t of weights[t, o] * x[..., numbers[t, o], ...]. A few terms are written out, and one
// kernel of vectors; more are a reduction.
ValueId weighted_sum(Builder& b, ValueId x, const Taps& taps, int64_t axis) {
  constexpr int64_t kMostTerms = 8;
  Type type = b.type(x);
  Dims table = b.dims(taps.numbers);
  auto gathered = [&](ValueId numbers) {
    return b.op(Opcode::gather, {x, numbers}, {{"axis", axis}});
  };
  if (!taps.weights.valid())
    return gathered(row_of(b, taps.numbers, 0));
  DType wide = b.type(taps.weights).dtype;
  auto weighted = [&](ValueId elements, ValueId weights) {
    if (type.dtype != wide)
      elements = b.op(Opcode::cast, {elements}, {{"dtype", wide}});
    std::vector<int64_t> axes;
    for (int64_t i = 0; i < b.type(weights).rank(); ++i)
      axes.push_back(axis + i);
    return b.mul(elements, b.broadcast(weights, axes, b.dims(elements)));
  };
  ValueId sum;
  if (table[0] > kMostTerms)
    sum = b.reduce_sum(weighted(gathered(taps.numbers), taps.weights), {axis});
  for (int64_t t = 0; table[0] <= kMostTerms && t < table[0]; ++t) {
    ValueId numbers = row_of(b, taps.numbers, t);
    ValueId term = weighted(gathered(numbers), row_of(b, taps.weights, t));
    sum = t == 0 ? term : b.add(sum, term);
  }
  return type.dtype == wide ? sum : b.op(Opcode::cast, {sum}, {{"dtype", type.dtype}});
}

DType weight_type(DType dtype) {
  return dtype == DType::f64 ? DType::f64 : DType::f32;
}

std::vector<ValueId> expand_resize(Builder& b, const Op& op) {
  ValueId x = op.operand(0);
  Resize r = resize_of(b.type(x), op.attrs);
  return {weighted_sum(b, x, taps_of(b, r, weight_type(b.type(x).dtype)), r.axis)};
}

void vjp_resize(Vjp& g) {
  Resize r = resize_of(g.x_type(), g.attrs());
  DType dtype = weight_type(g.x_type().dtype);
  Taps taps = turned_around(g.b, r, taps_of(g.b, r, dtype), dtype);
  g.add(0, weighted_sum(g.b, g.dy(), taps, r.axis));
}

int64_t flops_resize(std::span<const Type> x, std::span<const Type> y, const Attrs& attrs) {
  Resize r = resize_of(x[0], attrs);
  return r.is_nearest() ? 0 : y[0].elements() * (2 * r.taps() - 1);
}

}  // namespace

extern constexpr OpDef resize = {
    .name = "resize",
    .doc =
        "x with `size` elements along `axis`, the element o of which is x's value at (o + shift) * "
        "from / to + offset. When absent these are 0.5, x's size, `size` and -0.5: pixels are "
        "areas. `filter` says what lies between elements: the `nearest` (a half goes down; "
        "`nearest_up`: up), that below (`floor`) or above (`ceil`), a `linear` or a `cubic` "
        "function of 2 or 4 neighbours, the latter with coefficient `cubic` (-0.75); it is `width` "
        "(1) times as wide, which is for fewer elements than x has. Outside of x its ends go on, "
        "or count nothing with `skip_outside`.",
    .examples =
        "resize(f32[2,3,2]) {axis=1, filter=\"nearest\", size=6}\n"
        "resize(f32[2,5]) {axis=1, filter=\"linear\", size=10}\n"
        "resize(f32[5,3]) {axis=0, filter=\"cubic\", size=7}\n"
        "resize(f32[2,9]) {axis=1, filter=\"linear\", size=4, width=2.25}\n"
        "resize(f32[2,12]) {axis=1, filter=\"cubic\", size=4, skip_outside=true, width=3.0}\n"
        "resize(f32[4,3]) {axis=0, filter=\"cubic\", from=3.0, offset=0.0, shift=0.0, size=5, "
        "skip_outside=true, to=4.0}\n"
        "resize(f32[2,4]) {axis=1, filter=\"ceil\", size=3}\n"
        "resize(f32[2,2]) {axis=1, filter=\"linear\", size=24}",
    .kernel = KernelClass::composite,
    .attrs = {{"axis", AttrKind::integer},
              {"cubic", AttrKind::real, false},
              {"filter", AttrKind::string},
              {"from", AttrKind::real, false},
              {"offset", AttrKind::real, false},
              {"shift", AttrKind::real, false},
              {"size", AttrKind::integer},
              {"skip_outside", AttrKind::boolean, false},
              {"to", AttrKind::real, false},
              {"width", AttrKind::real, false}},
    .infer = infer_resize,
    .eval = eval_resize,
    .flops = flops_resize,
    .vjp = vjp_resize,
    .expand = expand_resize,
};

}  // namespace gradc::ops
