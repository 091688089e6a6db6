// Maxima and averages over windows and over whole images.
#include <algorithm>
#include <numeric>

#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

Attrs window_attrs(const Window& window) {
  Attrs attrs{{"high", window.high},
              {"low", window.low},
              {"stride", window.stride},
              {"window", window.size}};
  if (std::ranges::any_of(window.dilation, [](int64_t dilation) { return dilation != 1; }))
    attrs.set("dilation", window.dilation);
  return attrs;
}

// Where x's elements are in the whole tensor: each image row-major, or its first axis fastest.
ValueId positions(NodeContext& c, bool first_axis_fastest) {
  ValueId all =
      c.b.op(Opcode::iota, {},
             {{"axis", int64_t{0}}, {"dtype", DType::i64}, {"shape", Dims{c.type(0).elements()}}});
  Dims dims = c.dims(0);
  if (!first_axis_fastest)
    return c.b.reshape(all, dims);
  std::vector<int64_t> reversed(dims.size());  // but for batch and channel
  std::iota(reversed.begin(), reversed.end(), 0);
  std::reverse(reversed.begin() + 2, reversed.end());
  std::reverse(dims.begin() + 2, dims.end());
  return c.b.transpose(c.b.reshape(all, dims), reversed);
}

// The same window on one axis, and none on the others.
Window along(const Window& window, size_t axis) {
  size_t rank = window.size.size();
  Window one{Dims(rank, 1), Dims(rank, 1), Dims(rank, 0), Dims(rank, 0), Dims(rank, 1)};
  one.size[axis] = window.size[axis];
  one.stride[axis] = window.stride[axis];
  one.low[axis] = window.low[axis];
  one.high[axis] = window.high[axis];
  one.dilation[axis] = window.dilation[axis];
  return one;
}

// Windows of more elements become one per axis, the last axis first: a kernel's code grows with a
// window's elements, and the first of equal maxima stays the first.
constexpr int64_t kMostElements = 256;

std::vector<Window> steps_of(const Window& window) {
  if (element_count(window.size) <= kMostElements)
    return {window};
  std::vector<Window> steps;
  for (size_t axis = window.size.size(); axis-- > 0;)
    steps.push_back(along(window, axis));
  return steps;
}

void max_pool_node(NodeContext& c) {
  Window whole = window_of(c, spatial_dims(c.dims(0)), {}, c.flag("ceil_mode"));
  ValueId x = c.tensor(0), where;
  if (bool column_major = c.flag("storage_order"); c.wants(1))
    where = positions(c, column_major);
  for (const Window& window : steps_of(whole)) {
    Attrs attrs = window_attrs(window);
    if (c.wants(1))
      where = c.b.op(Opcode::window_max_gather, {x, where}, attrs);
    x = c.b.op(Opcode::window_max, {x}, attrs);
  }
  c.result(x);
  if (c.wants(1))
    c.result(1, where);
}

// x with zeros around it.
ValueId padded(NodeContext& c, const Window& window) {
  std::vector<int64_t> low{0, 0}, high{0, 0};
  low.insert(low.end(), window.low.begin(), window.low.end());
  high.insert(high.end(), window.high.begin(), window.high.end());
  return c.b.op(Opcode::pad, {c.tensor(0)}, {{"high", high}, {"low", low}, {"value", 0.0}});
}

// Where a last window ends outside, what lies behind the padding never counts.
void average_pool_node(NodeContext& c) {
  require_float(c, 0);
  Dims image = spatial_dims(c.dims(0));
  bool counts_padding = c.flag("count_include_pad"), ceil = c.flag("ceil_mode");
  Window window = window_of(c, image, {}, ceil);
  ValueId x;
  if (counts_padding && ceil) {
    Window zeros = window_of(c, image, {});
    for (size_t i = 0; i < image.size(); ++i) {
      zeros.high[i] = std::min(zeros.high[i], window.high[i]);
      window.low[i] = 0;
      window.high[i] -= zeros.high[i];
    }
    x = padded(c, zeros);
    counts_padding = false;
  } else {
    x = c.tensor(0);
  }
  Attrs attrs = window_attrs(window);
  attrs.set("count_include_pad", counts_padding);
  c.result(c.b.op(Opcode::avg_pool, {x}, attrs));
}

template <Opcode code>
void global_pool_node(NodeContext& c) {
  spatial_dims(c.dims(0));
  std::vector<int64_t> axes(static_cast<size_t>(c.rank(0) - 2));
  std::iota(axes.begin(), axes.end(), 2);
  ValueId y = c.b.op(code, {c.tensor(0)}, {{"axes", axes}});
  c.result(with_kept_axes(c, y, axes, c.dims(0)));
}

constexpr NodeRule kRules[] = {
    {"AveragePool", 1, average_pool_node},
    {"GlobalAveragePool", 1, global_pool_node<Opcode::reduce_mean>},
    {"GlobalMaxPool", 1, global_pool_node<Opcode::reduce_max>},
    {"MaxPool", 1, max_pool_node},
};

}  // namespace

std::span<const NodeRule> pool_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
