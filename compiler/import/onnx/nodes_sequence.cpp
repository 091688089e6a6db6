// Sequences of tensors, whose parts are known at compile time: PyTorch's split and chunk are
// exported as sequences that are then taken apart. No sequence reaches the module.
#include <algorithm>

#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// Input i, which is one whole number, as a position in [0, end); from the end of a sequence of
// `size` parts where it is negative.
std::ptrdiff_t position(const NodeContext& c, size_t i, int64_t size, int64_t end) {
  int64_t given = c.integer(i), at = given < 0 ? given + size : given;
  if (at < 0 || at >= end)
    fail("position {} is not one of a sequence of {}", given, size);
  return at;
}

void construct_node(NodeContext& c) {
  ImportValues parts;
  for (size_t i = 0; i < c.input_count(); ++i)
    parts.push_back(c.value(i));
  c.result_sequence(std::move(parts));
}

void empty_node(NodeContext& c) {
  c.find_dtype("dtype");
  c.result_sequence({});
}

void at_node(NodeContext& c) {
  const ImportValues& parts = c.parts(0);
  c.result(0, parts[static_cast<size_t>(position(c, 1, std::ssize(parts), std::ssize(parts)))]);
}

void length_node(NodeContext& c) {
  c.result(integer_constant(std::ssize(c.parts(0))));
}

void insert_node(NodeContext& c) {
  ImportValues parts = c.parts(0);
  int64_t size = std::ssize(parts);
  parts.insert(parts.begin() + (c.has(2) ? position(c, 2, size, size + 1) : size), c.value(1));
  c.result_sequence(std::move(parts));
}

void erase_node(NodeContext& c) {
  ImportValues parts = c.parts(0);
  int64_t size = std::ssize(parts);
  if (size == 0)
    fail("the sequence is empty");
  parts.erase(parts.begin() + (c.has(1) ? position(c, 1, size, size) : size - 1));
  c.result_sequence(std::move(parts));
}

// Sizes along the axis: of one number, all parts have that size but for the last one.
std::vector<int64_t> split_sizes(const NodeContext& c, int64_t size) {
  constexpr int64_t kMostParts = int64_t{1} << 20;
  if (c.has(1) && c.rank(1) == 1)
    return c.integers(1);
  int64_t each = c.has(1) ? c.integer(1) : 1;
  if (each < 1 || size / each > kMostParts)
    fail("cannot split {} elements into parts of {}", size, each);
  std::vector<int64_t> sizes(static_cast<size_t>(size / each), each);
  if (size % each != 0)
    sizes.push_back(size % each);
  return sizes;
}

void split_node(NodeContext& c) {
  int64_t axis = normalized_axis(c.attribute("axis", int64_t{0}), c.rank(0));
  bool keeps_axis = c.flag("keepdims", true) || c.has(1);
  ImportValues parts = split(c, 0, axis, split_sizes(c, c.dims(0)[static_cast<size_t>(axis)]));
  Dims dims = c.dims(0);
  dims.erase(dims.begin() + axis);
  for (ImportValue& part : parts) {
    if (keeps_axis)
      break;
    if (part.constant)  // without elements
      part.constant = filled_constant({c.dtype(0), dims}, 0);
    else
      part.id = c.b.reshape(part.id, dims);
  }
  c.result_sequence(std::move(parts));
}

void concat_node(NodeContext& c) {
  ImportValues parts = c.parts(0);
  if (parts.empty())
    fail("the sequence is empty");
  bool has_new_axis = c.flag("new_axis");
  int64_t rank = c.type(parts[0]).rank() + (has_new_axis ? 1 : 0);
  int64_t axis = normalized_axis(c.required_integer("axis"), rank);
  for (ImportValue& part : parts) {
    if (!has_new_axis)
      break;
    Dims dims = c.type(part).dims;
    if (std::ssize(dims) != rank - 1)
      fail("cannot stack {} and {}", to_string(c.type(parts[0])), to_string(c.type(part)));
    dims.insert(dims.begin() + axis, 1);
    part = {.kind = ImportValue::Kind::tensor, .id = c.b.reshape(c.tensor(part), dims)};
  }
  c.result(0, concat(c, parts, axis));
}

constexpr Inputs kFirst = input_set({0});

constexpr NodeRule kRules[] = {
    {.op = "ConcatFromSequence", .since = 11, .build = concat_node, .moves = kFirst},
    {.op = "SequenceAt", .since = 11, .build = at_node, .moves = kFirst},
    {.op = "SequenceConstruct", .since = 11, .build = construct_node, .moves = kAllInputs},
    {.op = "SequenceEmpty", .since = 11, .build = empty_node, .folds = false},
    {.op = "SequenceErase", .since = 11, .build = erase_node, .moves = kFirst},
    {.op = "SequenceInsert", .since = 11, .build = insert_node, .moves = input_set({0, 1})},
    {.op = "SequenceLength", .since = 11, .build = length_node},
    {.op = "SplitToSequence", .since = 11, .build = split_node, .moves = kFirst},
};

}  // namespace

std::span<const NodeRule> sequence_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
