// Ops that pick elements by number.
#include <algorithm>

#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// Indices count from the end when negative. Known ones must be in range; others mean the nearest
// element when they are not.
ValueId wrapped_indices(NodeContext& c, size_t i, int64_t size) {
  if (const Constant* known = c.find_constant(i)) {
    bool negative = false;
    for (int64_t index : integers_of(*known)) {
      if (index < -size || index >= size)
        fail("index {} is out of range for {} elements", index, size);
      negative |= index < 0;
    }
    if (!negative)
      return c.tensor(i);
  }
  ValueId indices = c.tensor(i);
  if (c.dtype(i) == DType::u8)
    return indices;
  if (c.dtype(i) != DType::i64)
    indices = cast(c, indices, DType::i32);
  ValueId wrapped = c.b.shift(indices, static_cast<double>(size));
  return c.b.select(c.b.op(Opcode::less, {indices, number_like(c, indices, 0)}), wrapped, indices);
}

void gather_node(NodeContext& c) {
  int64_t axis = normalized_axis(c.attribute("axis", int64_t{0}), c.rank(0));
  Dims dims = c.dims(0);
  int64_t size = dims[static_cast<size_t>(axis)];
  if (!is_integer(c.dtype(1)))
    fail("indices must be whole numbers, they are {}", to_string(c.type(1)));
  const Constant* known = c.find_constant(1);
  if (!known || known->type.elements() != 1) {
    ValueId x = c.tensor(0);
    c.result(c.b.op(Opcode::gather, {x, wrapped_indices(c, 1, size)}, {{"axis", axis}}));
    return;
  }
  // One slice, at a place that is known.
  int64_t index = integers_of(*known)[0];
  if (index < -size || index >= size)
    fail("index {} is out of range for {} elements", index, size);
  index += index < 0 ? size : 0;
  ValueId slice = c.tensor(0);
  if (size > 1)
    slice = slice_along(c.b, slice, axis, index, index + 1);
  dims.erase(dims.begin() + axis);
  dims.insert(dims.begin() + axis, known->type.dims.begin(), known->type.dims.end());
  c.result(c.b.reshape(slice, dims));
}

// --- One number for each element.

void check_indices(NodeContext& c, size_t i) {
  if (!is_integer(c.dtype(i)))
    fail("indices must be whole numbers, they are {}", to_string(c.type(i)));
}

// Indices may have fewer positions than the data along the axes that they do not index.
void check_positions(NodeContext& c, int64_t axis) {
  check_indices(c, 1);
  Dims data = c.dims(0), indices = c.dims(1);
  bool fits = data.size() == indices.size();
  for (size_t i = 0; fits && i < data.size(); ++i)
    fits = static_cast<int64_t>(i) == axis || indices[i] <= data[i];
  if (!fits)
    fail("indices {} do not lie in data {} along the axes but {}", to_string(indices),
         to_string(data), axis);
}

void gather_elements_node(NodeContext& c) {
  int64_t axis = normalized_axis(c.attribute("axis", int64_t{0}), c.rank(0));
  check_positions(c, axis);
  int64_t size = c.dims(0)[static_cast<size_t>(axis)];
  ValueId x = c.tensor(0);
  c.result(c.b.op(Opcode::gather_elements, {x, wrapped_indices(c, 1, size)}, {{"axis", axis}}));
}

// What becomes of an element that is there: opset 16 brought "add" and "mul", 18 "max" and "min".
std::string reduction_of(NodeContext& c) {
  std::string reduction = c.opset >= 16 ? c.text("reduction", "none") : "none";
  bool known = reduction == "none" || reduction == "add" || reduction == "mul" ||
               (c.opset >= 18 && (reduction == "max" || reduction == "min"));
  if (!known)
    fail("attribute `reduction` is `{}`; it must be none, add, mul{}", reduction,
         c.opset >= 18 ? ", max or min" : "");
  return reduction;
}

void check_updates(NodeContext& c, const Dims& expected) {
  if (c.type(2) != Type{c.dtype(0), expected})
    fail("updates are {}, they must be {}", to_string(c.type(2)),
         to_string(Type{c.dtype(0), expected}));
}

void scatter_elements_node(NodeContext& c) {
  int64_t axis = normalized_axis(c.attribute("axis", int64_t{0}), c.rank(0));
  check_positions(c, axis);
  check_updates(c, c.dims(1));
  std::string reduction = reduction_of(c);
  if (c.type(1).elements() == 0)
    return c.result(0, c.value(0));
  int64_t size = c.dims(0)[static_cast<size_t>(axis)];
  ValueId x = c.tensor(0), indices = wrapped_indices(c, 1, size);
  c.result(c.b.op(Opcode::scatter_elements, {x, indices, c.tensor(2)},
                  {{"axis", axis}, {"reduction", reduction}}));
}

// --- Numbers along the last axis of the indices, one for each axis of the data from `batch` on.

// The sizes that the numbers stay below, for each line of indices.
ValueId sizes_like(NodeContext& c, ValueId indices, const Dims& sizes) {
  Type type = c.b.type(indices);
  std::vector<ValueId> each;
  for (int64_t size : sizes)
    each.push_back(c.b.constant({type.dtype, {1}}, static_cast<double>(size)));
  ValueId line = each.size() == 1 ? each[0] : c.b.op(Opcode::concat, each, {{"axis", int64_t{0}}});
  return c.b.broadcast_to(line, type.dims);
}

// As wrapped_indices, with a size for each number of a line.
ValueId wrapped_lines(NodeContext& c, const Dims& sizes) {
  if (const Constant* known = c.find_constant(1)) {
    bool negative = false;
    std::vector<int64_t> numbers = integers_of(*known);
    for (size_t i = 0; i < numbers.size(); ++i) {
      int64_t size = sizes[i % sizes.size()];
      if (numbers[i] < -size || numbers[i] >= size)
        fail("index {} is out of range for {} elements", numbers[i], size);
      negative |= numbers[i] < 0;
    }
    if (!negative)
      return c.tensor(1);
  }
  ValueId indices = c.tensor(1);
  if (c.dtype(1) != DType::i64)
    indices = cast(c, indices, DType::i32);
  ValueId wrapped = c.b.add(indices, sizes_like(c, indices, sizes));
  return c.b.select(c.b.op(Opcode::less, {indices, number_like(c, indices, 0)}), wrapped, indices);
}

// Sizes of the axes that a line of indices names.
Dims line_sizes(NodeContext& c, int64_t batch) {
  check_indices(c, 1);
  Dims data = c.dims(0), indices = c.dims(1);
  auto first = static_cast<size_t>(batch);
  bool fits = batch >= 0 && first < indices.size() && first <= data.size() &&
              std::equal(data.begin(), data.begin() + batch, indices.begin());
  if (!fits || indices.back() < 1 || indices.back() > c.rank(0) - batch)
    fail("indices {} do not name axes of data {}, of which {} come first", to_string(indices),
         to_string(data), batch);
  return {data.begin() + batch, data.begin() + batch + indices.back()};
}

void gather_nd_node(NodeContext& c) {
  int64_t batch = c.opset >= 12 ? c.attribute("batch_dims", int64_t{0}) : 0;
  Dims sizes = line_sizes(c, batch);
  ValueId x = c.tensor(0);
  c.result(c.b.op(Opcode::gather_nd, {x, wrapped_lines(c, sizes)}, {{"batch_dims", batch}}));
}

void scatter_nd_node(NodeContext& c) {
  Dims sizes = line_sizes(c, 0), data = c.dims(0), indices = c.dims(1);
  Dims expected(indices.begin(), indices.end() - 1);
  expected.insert(expected.end(), data.begin() + indices.back(), data.end());
  check_updates(c, expected);
  std::string reduction = reduction_of(c);
  if (c.type(2).elements() == 0)
    return c.result(0, c.value(0));
  ValueId x = c.tensor(0), lines = wrapped_lines(c, sizes);
  c.result(c.b.op(Opcode::scatter_nd, {x, lines, c.tensor(2)}, {{"reduction", reduction}}));
}

// --- Numbers made, found and added up.

// Element i of the input of two values, off and on, as a tensor of this shape.
ValueId one_of_two(NodeContext& c, int64_t i, const Dims& dims) {
  ValueId value = slice_along(c.b, c.tensor(2), 0, i, i + 1);
  return c.b.broadcast_to(c.b.reshape(value, {}), dims);
}

void one_hot_node(NodeContext& c) {
  double given = c.number(1);
  if (!(given >= 1 && given <= 2147483648.0))
    fail("the depth is {}, it must lie in [1, 2^31]", given);
  auto depth = static_cast<int64_t>(given);
  if (c.dims(2) != Dims{2})
    fail("the values must be two, off and on, they are {}", to_string(c.type(2)));
  int64_t rank = c.rank(0), axis = normalized_axis(c.attribute("axis", int64_t{-1}), rank + 1);
  ValueId indices = cast(c, c.tensor(0), DType::i64);
  // Those below -depth stay negative, which is out of range.
  ValueId negative = c.b.op(Opcode::less, {indices, number_like(c, indices, 0)});
  indices = c.b.select(negative, c.b.shift(indices, static_cast<double>(depth)), indices);
  ValueId hot = c.b.op(Opcode::one_hot, {indices}, {{"dtype", DType::boolean}, {"size", depth}});
  if (axis != rank) {
    std::vector<int64_t> permutation;
    for (int64_t i = 0; i < rank; ++i)
      permutation.push_back(i);
    permutation.insert(permutation.begin() + axis, rank);
    hot = c.b.transpose(hot, permutation);
  }
  ValueId off = one_of_two(c, 0, c.b.dims(hot)), on = one_of_two(c, 1, c.b.dims(hot));
  c.result(c.b.select(hot, on, off));
}

void top_k_node(NodeContext& c) {
  int64_t axis = normalized_axis(c.attribute("axis", int64_t{-1}), c.rank(0));
  int64_t k = c.opset >= 10 ? c.integer(1) : c.required_integer("k");
  bool largest = c.opset < 11 || c.flag("largest", true);
  c.ignore({"sorted"});  // they always are
  int64_t size = c.dims(0)[static_cast<size_t>(axis)];
  if (k < 1 || k > size)
    fail("k is {}, it must lie in [1, {}], the elements along axis {}", k, size, axis);
  std::vector<ValueId> found =
      c.b.op_multi(Opcode::top_k, {c.tensor(0)}, {{"axis", axis}, {"k", k}, {"largest", largest}});
  for (size_t i = 0; i < found.size(); ++i)
    if (c.wants(i))
      c.result(i, found[i]);
}

void cumulative_sum_node(NodeContext& c) {
  int64_t axis = normalized_axis(c.integer(1), c.rank(0));
  c.result(
      c.b.op(Opcode::cumulative_sum, {c.tensor(0)},
             {{"axis", axis}, {"exclusive", c.flag("exclusive")}, {"reverse", c.flag("reverse")}}));
}

constexpr Inputs kFirst = input_set({0});
// Where nothing is added, data and updates end up in the result as they are.
constexpr Inputs kReplaced = input_set({0, 2});

constexpr NodeRule kRules[] = {
    {.op = "CumSum", .since = 11, .build = cumulative_sum_node},
    {.op = "Gather", .build = gather_node, .moves = kFirst},
    {.op = "GatherElements", .since = 11, .build = gather_elements_node, .moves = kFirst},
    {.op = "GatherND", .since = 11, .build = gather_nd_node, .moves = kFirst},
    {.op = "OneHot", .since = 9, .build = one_hot_node},
    {.op = "Scatter",
     .since = 9,
     .build = scatter_elements_node,
     .moves = kReplaced,
     .until = 11,
     .instead = "ScatterElements"},
    {.op = "ScatterElements", .since = 11, .build = scatter_elements_node, .moves = kReplaced},
    {.op = "ScatterElements", .since = 16, .build = scatter_elements_node},
    {.op = "ScatterND", .since = 11, .build = scatter_nd_node, .moves = kReplaced},
    {.op = "ScatterND", .since = 16, .build = scatter_nd_node},
    {.op = "TopK", .since = 1, .build = top_k_node},
};

}  // namespace

std::span<const NodeRule> index_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
