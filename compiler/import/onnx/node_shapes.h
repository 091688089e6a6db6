#pragma once
// What handlers of several families share: broadcasting, axes, padding, types.
#include <optional>
#include <string>
#include <vector>

#include "compiler/import/onnx/node_context.h"
#include "ir/op_def.h"

namespace gradc::onnx {

// NumPy's rule: sizes aligned at the end, equal or 1. Fails with both types.
Dims broadcast_dims(const Dims& a, const Dims& b);
// The inputs as tensors of one shape, that to which all of them broadcast. All must have one
// element type.
std::vector<ValueId> broadcast_inputs(NodeContext& c);
// Inputs a and b alike, for handlers that take more of them.
std::pair<ValueId, ValueId> broadcast_pair(NodeContext& c, size_t a, size_t b);

// Axes counted from the end when negative, brought into [0, rank) and sorted; fails when one is out
// of range or given twice.
std::vector<int64_t> normalized_axes(std::vector<int64_t> axes, int64_t rank);
// One axis; fails with the attribute's name.
int64_t normalized_axis(int64_t axis, int64_t rank, std::string_view name = "axis");
// The axes that an op got as attribute `axes` before opset `since`, as input i from then on.
// Nothing when neither is there; not normalised.
std::optional<std::vector<int64_t>> axes_of(NodeContext& c, size_t i, int64_t since);

// Attributes kernel_shape, strides, pads, dilations and auto_pad of a window over spatial axes.
struct Window {
  std::vector<int64_t> size, stride, low, high, dilation;  // per spatial axis
};
// `input`: sizes of the spatial axes; `kernel`: sizes of the window, from the weight, or from
// attribute kernel_shape when empty. With `ceil` the last window may begin inside and end outside:
// `high` becomes what holds it.
Window window_of(NodeContext& c, const Dims& input, Dims kernel, bool ceil = false);
// ceil or floor((size + low + high - dilated window) / stride) + 1
int64_t window_count(int64_t size, int64_t low, int64_t high, int64_t window, int64_t dilation,
                     int64_t stride, bool ceil);
// The sizes after the first two: of an image [batch, channels, spatial...].
Dims spatial_dims(const Dims& dims);

// x[begin, end) along an axis, every `step` of it.
ValueId slice_along(Builder& b, ValueId x, int64_t axis, int64_t begin, int64_t end,
                    int64_t step = 1);
// Parts of input i, one after the other along an axis.
ImportValues split(NodeContext& c, size_t i, int64_t axis, const std::vector<int64_t>& sizes);
// Values joined along an axis; all else must be equal.
ImportValue concat(NodeContext& c, const ImportValues& parts, int64_t axis);

// x as `dtype`; x itself if it is.
ValueId cast(NodeContext& c, ValueId x, DType dtype);
// Fails unless input i has this type of elements.
void require_float(NodeContext& c, size_t i);
// A scalar of x's element type, broadcast to x.
ValueId number_like(NodeContext& c, ValueId x, double number);
// The op on the result of `reduce` with its axes kept as sizes of 1.
ValueId with_kept_axes(NodeContext& c, ValueId reduced, const std::vector<int64_t>& axes,
                       const Dims& dims);

// For rows whose node is one op of ours without attributes, all inputs of one type and shape.
template <Opcode code>
void unary_node(NodeContext& c) {
  c.result(c.b.op(code, {c.tensor(0)}));
}
template <Opcode code>
void binary_node(NodeContext& c) {
  auto [x, y] = broadcast_pair(c, 0, 1);
  c.result(c.b.op(code, {x, y}));
}

}  // namespace gradc::onnx
