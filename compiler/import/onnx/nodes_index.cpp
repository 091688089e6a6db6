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
  std::vector<int64_t> begin(dims.size(), 0), end = dims;
  begin[static_cast<size_t>(axis)] = index < 0 ? index + size : index;
  end[static_cast<size_t>(axis)] = begin[static_cast<size_t>(axis)] + 1;
  ValueId slice = c.tensor(0);
  if (size > 1)
    slice =
        c.b.op(Opcode::slice, {slice},
               {{"begin", begin}, {"end", end}, {"step", std::vector<int64_t>(dims.size(), 1)}});
  dims.erase(dims.begin() + axis);
  dims.insert(dims.begin() + axis, known->type.dims.begin(), known->type.dims.end());
  c.result(c.b.reshape(slice, dims));
}

constexpr NodeRule kRules[] = {
    {.op = "Gather", .build = gather_node, .moves = input_set({0})},
};

}  // namespace

std::span<const NodeRule> index_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
