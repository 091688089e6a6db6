// GridSample: an image at places that a grid names, interpolated between its elements.
#include <array>
#include <optional>

#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

enum class Filter { nearest, linear, cubic };
enum class Outside { zeros, border, reflection };

// What one element along one axis adds, at each place: [batch, 1, places].
struct Tap {
  ValueId index, weight;  // i32; the grid's element type
};

Filter filter_of(NodeContext& c) {
  bool old = c.opset < 20;
  std::string mode = c.text("mode", old ? "bilinear" : "linear");
  if (mode == "nearest")
    return Filter::nearest;
  if (mode == (old ? "bilinear" : "linear"))
    return Filter::linear;
  if (mode == (old ? "bicubic" : "cubic"))
    return Filter::cubic;
  fail("attribute `mode` is `{}`; it must be {}", mode,
       old ? "bilinear, nearest or bicubic" : "linear, nearest or cubic");
}

Outside outside_of(NodeContext& c) {
  std::string mode = c.text("padding_mode", "zeros");
  if (mode == "zeros")
    return Outside::zeros;
  if (mode == "border")
    return Outside::border;
  if (mode == "reflection")
    return Outside::reflection;
  fail("attribute `padding_mode` is `{}`; it must be zeros, border or reflection", mode);
}

// Numbers mirrored at low and high until they lie between: low + r - |z mod 2r - r|, z = x - low.
ValueId reflected(NodeContext& c, ValueId x, double low, double high) {
  double range = high - low;
  if (range == 0)
    return number_like(c, x, low);
  ValueId z = c.b.shift(x, -low);
  ValueId turns = c.b.op(Opcode::floor, {c.b.scale(z, 0.5 / range)});
  ValueId rest = c.b.sub(z, c.b.scale(turns, 2 * range));
  ValueId distance = c.b.op(Opcode::abs, {c.b.shift(rest, -range)});
  return c.b.shift(c.b.neg(distance), high);
}

ValueId clamped(NodeContext& c, ValueId x, double low, double high) {
  ValueId above = c.b.op(Opcode::maximum, {x, number_like(c, x, low)});
  return c.b.op(Opcode::minimum, {above, number_like(c, x, high)});
}

// c0 + x (c1 + x (c2 + x c3))
ValueId polynomial(NodeContext& c, ValueId x, const std::array<double, 4>& coefficients) {
  ValueId sum = c.b.shift(c.b.scale(x, coefficients[3]), coefficients[2]);
  sum = c.b.shift(c.b.mul(sum, x), coefficients[1]);
  return c.b.shift(c.b.mul(sum, x), coefficients[0]);
}

// The weights of the elements around a place that is `part` behind one of them.
std::vector<ValueId> weights_of(NodeContext& c, Filter filter, ValueId part) {
  ValueId rest = c.b.shift(c.b.neg(part), 1);
  if (filter == Filter::linear)
    return {rest, part};
  // Keys' function with a = -0.75, at distances below 1 and below 2.
  constexpr double kA = -0.75;
  constexpr std::array<double, 4> kNear{1, 0, -(kA + 3), kA + 2},
      kFar{-4 * kA, 8 * kA, -5 * kA, kA};
  return {polynomial(c, c.b.shift(part, 1), kFar), polynomial(c, part, kNear),
          polynomial(c, rest, kNear), polynomial(c, c.b.shift(rest, 1), kFar)};
}

struct Sampling {
  Filter filter;
  Outside outside;
  bool align_corners;
};

// The elements along an axis of `size` that count at coordinates in [-1, 1].
std::vector<Tap> taps_of(NodeContext& c, const Sampling& s, ValueId coordinate, int64_t size) {
  auto n = static_cast<double>(size);
  // Corners are the centres of the outermost elements, or their outer edges.
  double slope = (s.align_corners ? n - 1 : n) / 2;
  ValueId place = c.b.shift(c.b.scale(coordinate, slope), (n - 1) / 2);
  bool nearest = s.filter == Filter::nearest;
  ValueId base = c.b.op(nearest ? Opcode::round : Opcode::floor, {place});
  std::vector<ValueId> weights{number_like(c, base, 1)};
  if (!nearest)
    weights = weights_of(c, s.filter, c.b.sub(place, base));
  std::vector<Tap> taps;
  for (size_t i = 0; i < weights.size(); ++i) {
    ValueId index = c.b.shift(base, static_cast<double>(i) - (s.filter == Filter::cubic ? 1 : 0));
    ValueId weight = weights[i];
    double edge = s.align_corners ? 0 : 0.5;
    if (s.outside == Outside::reflection)
      index = reflected(c, index, -edge, n - 1 + edge);
    ValueId inside = clamped(c, index, 0, n - 1);
    if (s.outside == Outside::zeros)
      weight =
          c.b.select(c.b.op(Opcode::equal, {inside, index}), weight, number_like(c, weight, 0));
    taps.push_back({cast(c, inside, DType::i32), weight});
  }
  return taps;
}

// x [batch, channels, elements] at each place, the axes from `axis` on: sums over all taps of the
// product of their weights and the element where they meet.
ValueId sample(NodeContext& c, ValueId x, const std::vector<std::vector<Tap>>& taps,
               const Dims& sizes, size_t axis, const Tap& outer) {
  if (axis == taps.size()) {
    Dims dims = c.b.dims(x);
    dims[2] = c.b.dims(outer.index)[2];
    ValueId index = c.b.broadcast_to(outer.index, dims);
    ValueId weight = cast(c, c.b.broadcast_to(outer.weight, dims), c.b.type(x).dtype);
    ValueId element = c.b.op(Opcode::gather_elements, {x, index}, {{"axis", int64_t{2}}});
    return c.b.mul(element, weight);
  }
  std::optional<ValueId> sum;
  for (const Tap& tap : taps[axis]) {
    Tap inner = tap;
    if (axis > 0) {
      ValueId rows = c.b.scale(outer.index, static_cast<double>(sizes[axis]));
      inner = {c.b.add(rows, tap.index), c.b.mul(outer.weight, tap.weight)};
    }
    ValueId part = sample(c, x, taps, sizes, axis + 1, inner);
    sum = sum ? c.b.add(*sum, part) : part;
  }
  return *sum;
}

// x: [batch, channels, sizes...], grid: [batch, places..., rank - 2], whose last numbers are along
// the last axis first.
void grid_sample_node(NodeContext& c) {
  require_float(c, 0);
  require_float(c, 1);
  Dims dims = c.dims(0), grid = c.dims(1), sizes = spatial_dims(dims);
  auto axes = static_cast<int64_t>(sizes.size());
  bool fits = dims.size() == grid.size() && axes >= 1 && grid[0] == dims[0] && grid.back() == axes;
  if (!fits || (c.opset < 20 && axes != 2))
    fail("the grid {} does not name places of the input {}", to_string(grid), to_string(dims));
  Sampling sampling{filter_of(c), outside_of(c), c.flag("align_corners")};
  int64_t places = 1, elements = 1;
  for (int64_t i = 0; i < axes; ++i) {
    places *= grid[static_cast<size_t>(i) + 1];
    elements *= sizes[static_cast<size_t>(i)];
  }
  ValueId lines = c.b.reshape(c.tensor(1), {grid[0], places, axes});
  std::vector<std::vector<Tap>> taps;
  for (int64_t i = 0; i < axes; ++i) {
    int64_t at = axes - 1 - i;
    ValueId coordinate = c.b.reshape(slice_along(c.b, lines, 2, at, at + 1), {grid[0], 1, places});
    taps.push_back(taps_of(c, sampling, coordinate, sizes[static_cast<size_t>(i)]));
  }
  ValueId x = c.b.reshape(c.tensor(0), {dims[0], dims[1], elements});
  Dims result{dims[0], dims[1]};
  result.insert(result.end(), grid.begin() + 1, grid.end() - 1);
  c.result(c.b.reshape(sample(c, x, taps, sizes, 0, {}), result));
}

constexpr NodeRule kRules[] = {
    {"GridSample", 16, grid_sample_node},
};

}  // namespace

std::span<const NodeRule> sample_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
