// Ops that move elements and change none: shapes, parts, and their composition.
#include <algorithm>

#include "compiler/import/onnx/inputs.h"
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

void identity_node(NodeContext& c) {
  c.result(0, c.value(0));
}

// --- Shapes as values.

void shape_node(NodeContext& c) {
  Dims dims = c.dims(0);
  auto rank = static_cast<int64_t>(dims.size());
  auto clamped = [&](int64_t axis) {
    return std::clamp<int64_t>(axis < 0 ? axis + rank : axis, 0, rank);
  };
  int64_t begin = clamped(c.attribute("start", int64_t{0}));
  int64_t end = std::max(clamped(c.attribute("end", rank)), begin);
  c.result(integers_constant({dims.begin() + begin, dims.begin() + end}));
}

void size_node(NodeContext& c) {
  c.result(integer_constant(c.type(0).elements()));
}

// --- The same elements in the same order.

// Sizes of 0 mean those of the input, unless `allow_zero`; one size of -1 is what is left.
Dims reshaped_dims(const Dims& from, Dims to, bool allow_zero) {
  int64_t known = 1;
  std::optional<size_t> open;
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] == 0 && !allow_zero) {
      if (i >= from.size())
        fail("size {} of {} is 0, which stands for the input's, but the input is {}", i,
             to_string(to), to_string(from));
      to[i] = from[i];
    }
    if (to[i] == -1) {
      if (open)
        fail("{} has -1 twice", to_string(to));
      open = i;
    } else if (to[i] < 0) {
      fail("{} has a negative size", to_string(to));
    } else if (__builtin_mul_overflow(known, to[i], &known)) {
      fail("{} has too many elements", to_string(to));
    }
  }
  int64_t elements = element_count(from);
  if (open && known > 0 && elements % known == 0)
    to[*open] = elements / known;
  if ((open && to[*open] == -1) || element_count(to) != elements)
    fail("{} cannot become {}: it has {} elements", to_string(from), to_string(to), elements);
  return to;
}

void reshape_to(NodeContext& c, const Dims& sizes, bool allow_zero) {
  Dims dims = reshaped_dims(c.dims(0), sizes, allow_zero);
  if (dims == c.dims(0))
    return c.result(0, c.value(0));
  if (const Constant* known = c.find_constant(0); known && known->type.elements() == 0)
    return c.result(constant_of(Type{known->type.dtype, dims}, known->content));
  c.result(c.b.reshape(c.tensor(0), dims));
}

void reshape_1(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  reshape_to(c, c.required_integers("shape"), false);
}

void reshape_5(NodeContext& c) {
  reshape_to(c, c.integers(1), c.opset >= 14 && c.flag("allowzero"));
}

void flatten_node(NodeContext& c) {
  Dims dims = c.dims(0), rows{1, 1};
  int64_t rank = c.rank(0), axis = c.attribute("axis", int64_t{1});
  if (axis < -rank || axis > rank)
    fail("`axis` is {}, out of range for {} dimensions", axis, rank);
  axis += axis < 0 ? rank : 0;
  for (int64_t i = 0; i < rank; ++i)
    rows[i < axis ? 0 : 1] *= dims[static_cast<size_t>(i)];
  reshape_to(c, rows, true);
}

void squeeze_node(NodeContext& c) {
  Dims dims = c.dims(0), kept;
  std::optional<std::vector<int64_t>> given = axes_of(c, 1, 13);
  std::vector<int64_t> axes = normalized_axes(given.value_or(std::vector<int64_t>()), c.rank(0));
  for (size_t i = 0; i < dims.size(); ++i) {
    bool named = contains(axes, static_cast<int64_t>(i));
    if (named && dims[i] != 1)
      fail("axis {} of {} cannot go, its size is {}", i, to_string(c.type(0)), dims[i]);
    if (!named && (given || dims[i] != 1))
      kept.push_back(dims[i]);
  }
  reshape_to(c, kept, true);
}

void unsqueeze_node(NodeContext& c) {
  std::optional<std::vector<int64_t>> given = axes_of(c, 1, 13);
  if (!given)
    fail("`axes` are missing");
  Dims dims = c.dims(0);
  int64_t rank = c.rank(0) + static_cast<int64_t>(given->size());
  for (int64_t axis : normalized_axes(*given, rank))
    dims.insert(dims.begin() + axis, 1);
  reshape_to(c, dims, true);
}

// --- Other orders, repetition.

void transpose_node(NodeContext& c) {
  std::vector<int64_t> reversed;
  for (int64_t i = c.rank(0); i-- > 0;)
    reversed.push_back(i);
  std::vector<int64_t> permutation = c.attribute("perm", reversed), sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  std::reverse(reversed.begin(), reversed.end());
  if (sorted != reversed)
    fail("`perm` is {}, which does not name each axis of {} once", to_string(permutation),
         to_string(c.type(0)));
  c.result(c.b.transpose(c.tensor(0), permutation));
}

void expand_node(NodeContext& c) {
  Dims wanted = c.integers(1);
  check_sizes(wanted);
  Dims dims = broadcast_dims(c.dims(0), wanted);
  if (dims == c.dims(0))
    return c.result(0, c.value(0));
  check_sizes(dims);
  c.result(c.b.broadcast_to(c.tensor(0), dims));
}

// --- Parts.

struct AxisSlice {
  int64_t first = 0, count = 0, step = 1;
};

// NumPy's rule for begin:end:step on an axis of `size`; negative positions count from its end.
AxisSlice axis_slice(int64_t begin, int64_t end, int64_t step, int64_t size) {
  if (step == 0)
    fail("a slice steps by 0");
  // The least i64 has no opposite, and no slice is that long.
  step = std::max(step, -(int64_t{1} << 40));
  auto clamped = [&](int64_t position, int64_t least, int64_t most) {
    return std::clamp(position < 0 ? position + size : position, least, most);
  };
  AxisSlice slice{0, 0, step};
  if (step > 0) {
    slice.first = clamped(begin, 0, size);
    int64_t room = clamped(end, 0, size) - slice.first;
    slice.count = room > 0 ? (room - 1) / step + 1 : 0;
  } else {
    slice.first = clamped(begin, -1, size - 1);
    int64_t room = slice.first - clamped(end, -1, size - 1);
    slice.count = room > 0 ? (room - 1) / -step + 1 : 0;
  }
  return slice;
}

void slice_axes(NodeContext& c, const std::vector<int64_t>& begins,
                const std::vector<int64_t>& ends, std::vector<int64_t> axes,
                std::vector<int64_t> steps) {
  Dims dims = c.dims(0), sizes = dims;
  if (axes.empty())
    for (size_t i = 0; i < begins.size(); ++i)
      axes.push_back(static_cast<int64_t>(i));
  if (steps.empty())
    steps.assign(axes.size(), 1);
  if (begins.size() != axes.size() || ends.size() != axes.size() || steps.size() != axes.size())
    fail("starts, ends, axes and steps have {}, {}, {} and {} numbers", begins.size(), ends.size(),
         axes.size(), steps.size());
  std::vector<int64_t> begin(dims.size(), 0), end = dims, step(dims.size(), 1), backwards;
  for (int64_t& axis : axes)
    axis = normalized_axis(axis, c.rank(0), "axes");
  normalized_axes(axes, c.rank(0));
  for (size_t i = 0; i < axes.size(); ++i) {
    auto axis = static_cast<size_t>(axes[i]);
    AxisSlice slice = axis_slice(begins[i], ends[i], steps[i], dims[axis]);
    sizes[axis] = slice.count;
    int64_t last = slice.first + (slice.count - 1) * slice.step;
    begin[axis] = std::min(slice.first, last);
    end[axis] = std::max(slice.first, last) + 1;
    step[axis] = std::abs(slice.step);
    if (slice.step < 0 && slice.count > 1)
      backwards.push_back(axes[i]);
  }
  if (element_count(sizes) == 0)
    return c.result(filled_constant({c.dtype(0), sizes}, 0));
  if (sizes == dims && backwards.empty())
    return c.result(0, c.value(0));
  ValueId part = c.tensor(0);
  if (sizes != dims)
    part = c.b.op(Opcode::slice, {part}, {{"begin", begin}, {"end", end}, {"step", step}});
  std::sort(backwards.begin(), backwards.end());
  c.result(backwards.empty() ? part : c.b.op(Opcode::reverse, {part}, {{"axes", backwards}}));
}

void slice_1(NodeContext& c) {
  slice_axes(c, c.required_integers("starts"), c.required_integers("ends"),
             c.attribute("axes", std::vector<int64_t>()), {});
}

void slice_10(NodeContext& c) {
  auto optional = [&](size_t i) { return c.has(i) ? c.integers(i) : std::vector<int64_t>(); };
  slice_axes(c, c.integers(1), c.integers(2), optional(3), optional(4));
}

void split_sizes(NodeContext& c, const std::vector<int64_t>& sizes) {
  int64_t axis = normalized_axis(c.attribute("axis", int64_t{0}), c.rank(0));
  if (sizes.size() != c.result_count())
    fail("axis {} of {} does not split into {} outputs of {}", axis, to_string(c.type(0)),
         c.result_count(), to_string(sizes));
  ImportValues parts = split(c, 0, axis, sizes);
  for (size_t i = 0; i < parts.size(); ++i)
    c.result(i, parts[i]);
}

// Into equal parts; only the last may be smaller.
std::vector<int64_t> equal_parts(NodeContext& c, int64_t parts) {
  if (parts < 1 || parts > (int64_t{1} << 20))
    fail("cannot split into {} parts", parts);
  Dims dims = c.dims(0);
  int64_t size =
      dims[static_cast<size_t>(normalized_axis(c.attribute("axis", int64_t{0}), c.rank(0)))];
  int64_t each = (size + parts - 1) / parts;
  std::vector<int64_t> sizes(static_cast<size_t>(parts), each);
  sizes.back() = size - each * (parts - 1);
  return sizes;
}

void split_node(NodeContext& c) {
  auto outputs = static_cast<int64_t>(c.result_count());
  if (c.opset < 13) {
    std::optional<std::vector<int64_t>> sizes = c.find_integers("split");
    return split_sizes(c, sizes ? *sizes : equal_parts(c, outputs));
  }
  int64_t parts = c.opset >= 18 ? c.attribute("num_outputs", outputs) : outputs;
  split_sizes(c, c.has(1) ? c.integers(1) : equal_parts(c, parts));
}

// --- Composition.

void concat_node(NodeContext& c) {
  int64_t axis = c.opset >= 4 ? c.required_integer("axis") : c.attribute("axis", int64_t{1});
  c.result(0, concat(c, c.tensor_values(), normalized_axis(axis, c.rank(0))));
}

constexpr Inputs kFirst = input_set({0});

constexpr NodeRule kRules[] = {
    {.op = "Concat", .build = concat_node, .moves = kAllInputs},
    {.op = "Expand", .since = 8, .build = expand_node, .moves = kFirst},
    {.op = "Flatten", .build = flatten_node, .moves = kFirst},
    {.op = "Identity", .build = identity_node, .moves = kFirst},
    {.op = "Reshape", .since = 1, .build = reshape_1, .moves = kFirst},
    {.op = "Reshape", .since = 5, .build = reshape_5, .moves = kFirst},
    {.op = "Shape", .build = shape_node},
    {.op = "Size", .build = size_node},
    {.op = "Slice", .since = 1, .build = slice_1, .moves = kFirst},
    {.op = "Slice", .since = 10, .build = slice_10, .moves = kFirst},
    {.op = "Split", .build = split_node, .moves = kFirst},
    {.op = "Squeeze", .build = squeeze_node, .moves = kFirst},
    {.op = "Transpose", .build = transpose_node, .moves = kFirst},
    {.op = "Unsqueeze", .build = unsqueeze_node, .moves = kFirst},
};

}  // namespace

std::span<const NodeRule> shape_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
