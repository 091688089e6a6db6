#include "compiler/import/onnx/node_shapes.h"

#include <algorithm>

#include "ir/diagnostic.h"

namespace gradc::onnx {

Dims broadcast_dims(const Dims& a, const Dims& b) {
  size_t rank = std::max(a.size(), b.size());
  Dims dims(rank);
  for (size_t i = 1; i <= rank; ++i) {  // from the last axis
    int64_t from_a = i <= a.size() ? a[a.size() - i] : 1;
    int64_t from_b = i <= b.size() ? b[b.size() - i] : 1;
    if (from_a != from_b && from_a != 1 && from_b != 1)
      fail("{} and {} do not broadcast: axis -{} has sizes {} and {}", to_string(a), to_string(b),
           i, from_a, from_b);
    dims[rank - i] = from_a == 1 ? from_b : from_a;
  }
  return dims;
}

namespace {

void check_same_dtype(const NodeContext& c, size_t a, size_t b) {
  if (c.dtype(a) != c.dtype(b))
    fail("inputs must have one element type, they are {} and {}", to_string(c.type(a)),
         to_string(c.type(b)));
}

}  // namespace

ValueId slice_along(Builder& b, ValueId x, int64_t axis, int64_t begin, int64_t end, int64_t step) {
  Dims first(b.dims(x).size(), 0), last = b.dims(x), steps(first.size(), 1);
  auto a = static_cast<size_t>(axis);
  first[a] = begin;
  last[a] = end;
  steps[a] = step;
  return b.op(Opcode::slice, {x}, {{"begin", first}, {"end", last}, {"step", steps}});
}

ImportValues split(NodeContext& c, size_t i, int64_t axis, const std::vector<int64_t>& sizes) {
  Dims dims = c.dims(i);
  auto a = static_cast<size_t>(axis);
  int64_t sum = 0;
  for (int64_t size : sizes)
    sum += std::clamp<int64_t>(size, -1, int64_t{1} << 40);
  bool negative = std::any_of(sizes.begin(), sizes.end(), [](int64_t size) { return size < 0; });
  if (negative || sum != dims[a])
    fail("axis {} of {} does not split into parts of {}", axis, to_string(c.type(i)),
         to_string(sizes));
  ImportValues parts;
  int64_t end = 0;
  for (int64_t size : sizes) {
    int64_t begin = end;
    end += size;
    Dims part = dims;
    part[a] = size;
    if (element_count(part) == 0)
      parts.push_back({.kind = ImportValue::Kind::constant,
                       .constant = filled_constant({c.dtype(i), part}, 0)});
    else
      parts.push_back({.kind = ImportValue::Kind::tensor,
                       .id = slice_along(c.b, c.tensor(i), axis, begin, end)});
  }
  return parts;
}

ImportValue concat(NodeContext& c, const ImportValues& parts, int64_t axis) {
  auto a = static_cast<size_t>(axis);
  std::vector<ValueId> tensors;
  const ImportValue* only = nullptr;
  Type whole = c.type(parts[0]);
  whole.dims[a] = 0;
  for (const ImportValue& value : parts) {
    Type part = c.type(value), expected = whole;
    if (part.rank() == whole.rank())
      expected.dims[a] = part.dims[a];
    if (part != expected)
      fail("cannot concatenate {} and {} along axis {}: all else must be equal",
           to_string(c.type(parts[0])), to_string(part), axis);
    whole.dims[a] += part.dims[a];
    if (part.elements() == 0)
      continue;
    tensors.push_back(c.tensor(value));
    only = &value;
  }
  if (tensors.empty())
    return {.kind = ImportValue::Kind::constant, .constant = filled_constant(whole, 0)};
  if (tensors.size() == 1)
    return *only;
  return {.kind = ImportValue::Kind::tensor,
          .id = c.b.op(Opcode::concat, tensors, {{"axis", axis}})};
}

std::vector<ValueId> broadcast_inputs(NodeContext& c) {
  Dims dims;
  for (size_t i = 0; i < c.input_count(); ++i) {
    check_same_dtype(c, 0, i);
    dims = broadcast_dims(dims, c.dims(i));
  }
  std::vector<ValueId> inputs;
  for (size_t i = 0; i < c.input_count(); ++i)
    inputs.push_back(c.b.broadcast_to(c.tensor(i), dims));
  return inputs;
}

std::pair<ValueId, ValueId> broadcast_pair(NodeContext& c, size_t a, size_t b) {
  check_same_dtype(c, a, b);
  Dims dims = broadcast_dims(c.dims(a), c.dims(b));
  ValueId x = c.b.broadcast_to(c.tensor(a), dims);
  return {x, c.b.broadcast_to(c.tensor(b), dims)};
}

int64_t normalized_axis(int64_t axis, int64_t rank, std::string_view name) {
  if (axis < -rank || axis >= rank)
    fail("`{}` is {}, out of range for {} dimensions", name, axis, rank);
  return axis < 0 ? axis + rank : axis;
}

std::vector<int64_t> normalized_axes(std::vector<int64_t> axes, int64_t rank) {
  for (int64_t& axis : axes)
    axis = normalized_axis(axis, rank, "axes");
  std::sort(axes.begin(), axes.end());
  if (auto twice = std::adjacent_find(axes.begin(), axes.end()); twice != axes.end())
    fail("`axes` names axis {} twice", *twice);
  return axes;
}

std::optional<std::vector<int64_t>> axes_of(NodeContext& c, size_t i, int64_t since) {
  if (c.opset < since)
    return c.find_integers("axes");
  return c.has(i) ? std::optional(c.integers(i)) : std::nullopt;
}

Dims spatial_dims(const Dims& dims) {
  if (dims.size() < 3)
    fail("{} must be [batch, channels, spatial...]", to_string(dims));
  return {dims.begin() + 2, dims.end()};
}

int64_t window_count(int64_t size, int64_t low, int64_t high, int64_t window, int64_t dilation,
                     int64_t stride, bool ceil) {
  int64_t room = size + low + high - ((window - 1) * dilation + 1);
  if (room < 0)
    fail("a window of {} (dilation {}) does not fit into {} elements with padding {} and {}",
         window, dilation, size, low, high);
  int64_t count = (ceil ? (room + stride - 1) / stride : room / stride) + 1;
  // A window that begins in the padding at the end sees nothing.
  if (ceil && (count - 1) * stride >= size + low)
    --count;
  return count;
}

namespace {

std::vector<int64_t> per_axis(NodeContext& c, std::string_view name, size_t axes, int64_t otherwise,
                              int64_t least) {
  std::vector<int64_t> values = c.attribute(name, std::vector<int64_t>(axes, otherwise));
  if (values.size() != axes)
    fail("attribute `{}` is {}, it must have one number for each of {} spatial axes", name,
         to_string(values), axes);
  for (int64_t value : values)
    if (value < least || value > (int64_t{1} << 31))
      fail("attribute `{}` is {}; its numbers must lie in [{}, 2^31]", name, to_string(values),
           least);
  return values;
}

// SAME: as many windows as strides begin in the input; the odd one goes to the end, or to the
// beginning.
void pad_same(Window& window, const Dims& input, bool more_at_end) {
  for (size_t i = 0; i < input.size(); ++i) {
    int64_t count = (input[i] + window.stride[i] - 1) / window.stride[i];
    int64_t spread = (window.size[i] - 1) * window.dilation[i] + 1;
    int64_t all = std::max<int64_t>((count - 1) * window.stride[i] + spread - input[i], 0);
    window.low[i] = more_at_end ? all / 2 : all - all / 2;
    window.high[i] = all - window.low[i];
  }
}

}  // namespace

Window window_of(NodeContext& c, const Dims& input, Dims kernel, bool ceil) {
  size_t axes = input.size();
  Dims named =
      kernel.empty() ? c.required_integers("kernel_shape") : c.attribute("kernel_shape", kernel);
  if (kernel.empty())
    kernel = per_axis(c, "kernel_shape", axes, 1, 1);
  if (named != kernel)
    fail("attribute `kernel_shape` is {}, the weight has {}", to_string(named), to_string(kernel));
  Window window{kernel, per_axis(c, "strides", axes, 1, 1), std::vector<int64_t>(axes, 0),
                std::vector<int64_t>(axes, 0), per_axis(c, "dilations", axes, 1, 1)};
  std::vector<int64_t> pads = per_axis(c, "pads", 2 * axes, 0, 0);
  std::string auto_pad = c.text("auto_pad", "NOTSET");
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    pad_same(window, input, auto_pad == "SAME_UPPER");
  } else if (auto_pad == "NOTSET") {
    window.low.assign(pads.begin(), pads.begin() + static_cast<ptrdiff_t>(axes));
    window.high.assign(pads.begin() + static_cast<ptrdiff_t>(axes), pads.end());
  } else if (auto_pad != "VALID") {
    fail("attribute `auto_pad` is `{}`; it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID",
         auto_pad);
  }
  for (size_t i = 0; ceil && i < axes; ++i) {
    int64_t count = window_count(input[i], window.low[i], window.high[i], kernel[i],
                                 window.dilation[i], window.stride[i], true);
    int64_t end = (count - 1) * window.stride[i] + (kernel[i] - 1) * window.dilation[i] + 1;
    window.high[i] = std::max<int64_t>(end - input[i] - window.low[i], 0);
  }
  return window;
}

ValueId cast(NodeContext& c, ValueId x, DType dtype) {
  return c.b.type(x).dtype == dtype ? x : c.b.op(Opcode::cast, {x}, {{"dtype", dtype}});
}

void require_float(NodeContext& c, size_t i) {
  if (!is_float(c.dtype(i)))
    fail("input {} must hold floats, got {}", i, to_string(c.type(i)));
}

ValueId number_like(NodeContext& c, ValueId x, double number) {
  return c.b.constant(c.b.type(x), number);
}

ValueId with_kept_axes(NodeContext& c, ValueId reduced, const std::vector<int64_t>& axes,
                       const Dims& dims) {
  Dims kept = dims;
  for (int64_t axis : axes)
    kept[static_cast<size_t>(axis)] = 1;
  return c.b.reshape(reduced, kept);
}

}  // namespace gradc::onnx
