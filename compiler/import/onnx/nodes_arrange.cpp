// Ops that surround, repeat, rearrange and mask elements by their place.
#include <algorithm>

#include "compiler/import/onnx/inputs.h"
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// --- Padding.

struct Padding {
  std::vector<int64_t> low, high;  // per axis; negative: crop
};

// The axes that `pads` speaks of: all of them, unless an input names some.
std::vector<int64_t> padded_axes(NodeContext& c) {
  std::vector<int64_t> axes;
  if (c.opset >= 18 && c.has(3)) {
    axes = c.integers(3);
    normalized_axes(axes, c.rank(0));
    for (int64_t& axis : axes)
      axis = normalized_axis(axis, c.rank(0), "axes");
    return axes;
  }
  for (int64_t i = 0; i < c.rank(0); ++i)
    axes.push_back(i);
  return axes;
}

Padding padding_of(NodeContext& c) {
  std::vector<int64_t> axes = padded_axes(c);
  std::vector<int64_t> pads =
      c.opset >= 11 ? c.integers(1) : c.required_integers(c.opset >= 2 ? "pads" : "paddings");
  if (pads.size() != 2 * axes.size())
    fail("pads {} must be two for each of {} axes", to_string(pads), axes.size());
  Dims dims = c.dims(0);
  Padding padding{std::vector<int64_t>(dims.size(), 0), std::vector<int64_t>(dims.size(), 0)};
  constexpr int64_t kMost = int64_t{1} << 31;
  for (size_t i = 0; i < axes.size(); ++i) {
    auto axis = static_cast<size_t>(axes[i]);
    int64_t low = pads[i], high = pads[i + axes.size()];
    if (low < -kMost || high < -kMost || low > kMost || high > kMost)
      fail("pads {} must lie in [-2^31, 2^31]", to_string(pads));
    if (dims[axis] + std::min<int64_t>(low, 0) + std::min<int64_t>(high, 0) < 1)
      fail("pads {} leave nothing of {} along axis {}", to_string(pads), to_string(c.type(0)),
           axis);
    padding.low[axis] = low;
    padding.high[axis] = high;
    dims[axis] += low + high;
  }
  check_sizes(dims);
  return padding;
}

// Cuts off what negative pads say, and leaves the others.
ValueId crop(NodeContext& c, ValueId x, Padding& padding) {
  Dims dims = c.b.dims(x);
  std::vector<int64_t> begin(dims.size(), 0), end = dims;
  for (size_t i = 0; i < dims.size(); ++i) {
    begin[i] = std::max<int64_t>(-padding.low[i], 0);
    end[i] += std::min<int64_t>(padding.high[i], 0);
    padding.low[i] = std::max<int64_t>(padding.low[i], 0);
    padding.high[i] = std::max<int64_t>(padding.high[i], 0);
  }
  if (all_are(begin, 0) && end == dims)
    return x;
  return c.b.op(Opcode::slice, {x},
                {{"begin", begin}, {"end", end}, {"step", std::vector<int64_t>(dims.size(), 1)}});
}

enum class Border { edge, reflect, wrap };

// The `take` elements that stand before (or after) `turns` whole borders and x itself. Reflected
// ones go back and forth: n - 1 elements a turn, without the one that was last.
ValueId border_part(NodeContext& c, ValueId x, size_t axis, Border border, bool before,
                    int64_t turns, int64_t take) {
  Dims dims = c.b.dims(x);
  int64_t n = dims[axis];
  auto part = [&](int64_t begin, int64_t end) {
    return slice_along(c.b, x, static_cast<int64_t>(axis), begin, end);
  };
  if (border == Border::edge) {
    dims[axis] = take;
    return c.b.broadcast_to(part(before ? 0 : n - 1, before ? 1 : n), dims);
  }
  if (border == Border::wrap)
    return before ? part(n - take, n) : part(0, take);
  bool backwards = turns % 2 == 0;
  ValueId piece = before == backwards ? part(1, take + 1) : part(n - 1 - take, n - 1);
  std::vector<int64_t> axes{static_cast<int64_t>(axis)};
  return backwards ? c.b.op(Opcode::reverse, {piece}, {{"axes", axes}}) : piece;
}

ValueId with_border(NodeContext& c, ValueId x, size_t axis, Border border, int64_t low,
                    int64_t high) {
  int64_t n = c.b.dims(x)[axis];
  if (border == Border::reflect && n == 1)
    border = Border::edge;  // there is nothing else to reflect
  int64_t turn = border == Border::edge      ? std::max<int64_t>({low, high, 1})
                 : border == Border::reflect ? n - 1
                                             : n;
  constexpr int64_t kMostTurns = 256;
  if (std::max(low, high) / turn > kMostTurns)
    fail("pads of {} and {} go more than {} times around {} elements", low, high, kMostTurns, n);
  std::vector<ValueId> parts{x};
  for (int64_t done = 0; done < low; done += turn)
    parts.insert(parts.begin(),
                 border_part(c, x, axis, border, true, done / turn, std::min(turn, low - done)));
  for (int64_t done = 0; done < high; done += turn)
    parts.push_back(
        border_part(c, x, axis, border, false, done / turn, std::min(turn, high - done)));
  return parts.size() == 1 ? x
                           : c.b.op(Opcode::concat, parts, {{"axis", static_cast<int64_t>(axis)}});
}

// What stands around x in mode `constant`.
double pad_value(NodeContext& c) {
  if (c.opset < 11)
    return c.real("value", 0);
  if (!c.has(2))
    return 0;
  if (c.type(2).elements() != 1 || c.dtype(2) != c.dtype(0) || exceeds_double(c.constant(2)))
    fail("the value must be a scalar of the input's element type, at most 2^53, it is {}",
         to_string(c.type(2)));
  return c.number(2);
}

void pad_node(NodeContext& c) {
  std::string mode = c.text("mode", "constant");
  Padding padding = padding_of(c);
  if (mode == "constant") {
    double value = pad_value(c);
    ValueId x = crop(c, c.tensor(0), padding);
    return c.result(
        c.b.op(Opcode::pad, {x}, {{"high", padding.high}, {"low", padding.low}, {"value", value}}));
  }
  c.ignore({"value"});
  Border border = Border::edge;
  if (mode == "reflect")
    border = Border::reflect;
  else if (mode == "wrap" && c.opset >= 19)
    border = Border::wrap;
  else if (mode != "edge")
    fail("attribute `mode` is `{}`; it must be constant, reflect{}", mode,
         c.opset >= 19 ? ", edge or wrap" : " or edge");
  ValueId y = crop(c, c.tensor(0), padding);
  for (size_t axis = 0; axis < padding.low.size(); ++axis)
    y = with_border(c, y, axis, border, padding.low[axis], padding.high[axis]);
  c.result(y);
}

// --- Repetition and other orders.

// [a, b] becomes [repeats, a, repeats, b] on its way.
void tile_node(NodeContext& c) {
  Dims dims = c.dims(0), repeats = c.integers(1), narrow, wide, tiled;
  if (repeats.size() != dims.size())
    fail("repeats {} must be one for each axis of {}", to_string(repeats), to_string(c.type(0)));
  check_sizes(repeats);
  for (size_t i = 0; i < dims.size(); ++i) {
    narrow.insert(narrow.end(), {1, dims[i]});
    wide.insert(wide.end(), {repeats[i], dims[i]});
  }
  check_sizes(wide);
  for (size_t i = 0; i < dims.size(); ++i)
    tiled.push_back(repeats[i] * dims[i]);
  if (element_count(tiled) == 0)
    return c.result(filled_constant({c.dtype(0), tiled}, 0));
  if (tiled == dims)
    return c.result(0, c.value(0));
  c.result(c.b.reshape(c.b.broadcast_to(c.b.reshape(c.tensor(0), narrow), wide), tiled));
}

// Sizes [batch, channels, height, width] of the input, and attribute `blocksize`.
std::pair<Dims, int64_t> blocks_of(NodeContext& c) {
  int64_t block = c.required_integer("blocksize");
  if (c.rank(0) != 4)
    fail("the input must be [batch, channels, height, width], it is {}", to_string(c.type(0)));
  if (block < 1 || block > (int64_t{1} << 15))
    fail("attribute `blocksize` is {}, it must lie in [1, 2^15]", block);
  return {c.dims(0), block};
}

// Attribute `mode`, known from opset `since` on: whether the channel comes last of depth, column
// and row (DCR), or first (CRD).
bool channel_last(NodeContext& c, int64_t since) {
  std::string mode = c.opset >= since ? c.text("mode", "DCR") : "DCR";
  if (mode != "DCR" && mode != "CRD")
    fail("attribute `mode` is `{}`; it must be DCR or CRD", mode);
  return mode == "DCR";
}

void depth_to_space_node(NodeContext& c) {
  auto [dims, block] = blocks_of(c);
  bool last = channel_last(c, 11);
  int64_t n = dims[0], depth = dims[1] / (block * block), h = dims[2], w = dims[3];
  if (dims[1] % (block * block) != 0)
    fail("{} channels are not whole blocks of {} by {}", dims[1], block, block);
  ValueId x = c.tensor(0);
  x = last ? c.b.transpose(c.b.reshape(x, {n, block, block, depth, h, w}), {0, 3, 4, 1, 5, 2})
           : c.b.transpose(c.b.reshape(x, {n, depth, block, block, h, w}), {0, 1, 4, 2, 5, 3});
  c.result(c.b.reshape(x, {n, depth, h * block, w * block}));
}

void space_to_depth_node(NodeContext& c) {
  auto [dims, block] = blocks_of(c);
  bool last = channel_last(c, 28);
  int64_t n = dims[0], depth = dims[1], h = dims[2] / block, w = dims[3] / block;
  if (dims[2] % block != 0 || dims[3] % block != 0)
    fail("{} by {} elements are not whole blocks of {} by {}", dims[2], dims[3], block, block);
  ValueId x = c.b.reshape(c.tensor(0), {n, depth, h, block, w, block});
  x = c.b.transpose(x, last ? Dims{0, 3, 5, 1, 2, 4} : Dims{0, 1, 3, 5, 2, 4});
  c.result(c.b.reshape(x, {n, depth * block * block, h, w}));
}

// --- Diagonals.

// The numbers of rows, moved by `k`, and those of columns, for each element of these sizes.
std::pair<ValueId, ValueId> moved_rows_and_columns(NodeContext& c, const Dims& dims, int64_t k) {
  auto axis = static_cast<int64_t>(dims.size()) - 2;
  auto numbers = [&](int64_t i) {
    return c.b.op(Opcode::iota, {}, {{"axis", i}, {"dtype", DType::i64}, {"shape", dims}});
  };
  // Beyond the matrix all diagonals are alike.
  int64_t most = dims[static_cast<size_t>(axis)] + dims.back();
  k = std::clamp(k, -most, most);
  ValueId rows = numbers(axis);
  if (k != 0)
    rows = c.b.shift(rows, static_cast<double>(k));
  return {rows, numbers(axis + 1)};
}

// The elements on diagonal `k` and above it, or below it; 0 elsewhere.
void trilu_node(NodeContext& c) {
  if (c.rank(0) < 2)
    fail("the input must hold matrices, it is {}", to_string(c.type(0)));
  bool upper = c.flag("upper", true);
  ValueId x = c.tensor(0);
  auto [rows, columns] = moved_rows_and_columns(c, c.dims(0), c.has(1) ? c.integer(1) : 0);
  ValueId stays = upper ? c.b.op(Opcode::less_equal, {rows, columns})
                        : c.b.op(Opcode::less_equal, {columns, rows});
  c.result(c.b.select(stays, x, number_like(c, x, 0)));
}

void eye_like_node(NodeContext& c) {
  if (c.rank(0) != 2)
    fail("the input must be a matrix, it is {}", to_string(c.type(0)));
  DType dtype = c.find_dtype("dtype").value_or(c.dtype(0));
  auto [rows, columns] = moved_rows_and_columns(c, c.dims(0), c.attribute("k", int64_t{0}));
  c.result(cast(c, c.b.op(Opcode::equal, {rows, columns}), dtype));
}

constexpr Inputs kFirst = input_set({0});

constexpr NodeRule kRules[] = {
    {.op = "DepthToSpace", .build = depth_to_space_node, .moves = kFirst},
    {.op = "EyeLike", .since = 9, .build = eye_like_node},
    {.op = "Pad", .build = pad_node},  // the value would be in both halves of wide numbers
    {.op = "SpaceToDepth", .build = space_to_depth_node, .moves = kFirst},
    {.op = "Tile", .since = 6, .build = tile_node, .moves = kFirst},
    {.op = "Trilu", .since = 14, .build = trilu_node, .moves = kFirst},
};

}  // namespace

std::span<const NodeRule> arrange_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
