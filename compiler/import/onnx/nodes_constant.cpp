// Tensors out of nothing: held by the node, or filled.
#include <cmath>

#include "compiler/import/onnx/inputs.h"
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

ConstantPtr constant_value(NodeContext& c) {
  if (const Attribute* tensor = c.find_attribute("value", Attribute::Kind::tensor))
    return constant_of(*tensor->tensor);
  if (const Attribute* number = c.find_attribute("value_float", Attribute::Kind::real))
    return numbers_constant(scalar_type(DType::f32), {number->real});
  if (std::optional<int64_t> number = c.find_integer("value_int"))
    return integer_constant(*number);
  if (const Attribute* list = c.find_attribute("value_floats", Attribute::Kind::reals))
    return numbers_constant({DType::f32, {static_cast<int64_t>(list->reals.size())}},
                            {list->reals.begin(), list->reals.end()});
  if (std::optional<std::vector<int64_t>> list = c.find_integers("value_ints"))
    return integers_constant(*list);
  for (std::string_view name : {"value_string", "value_strings", "sparse_value"})
    if (c.has_attribute(name))
      fail("attribute `{}` is not supported: strings and sparse tensors are not", name);
  fail("holds no value");
}

void constant_node(NodeContext& c) {
  c.result(constant_value(c));
}

// A fill is a constant as long as it is small, and always where it is a weight.
void constant_of_shape_node(NodeContext& c) {
  constexpr int64_t kMostElements = int64_t{1} << 20, kMostWeightBytes = int64_t{1} << 31;
  Type type{DType::f32, c.integers(0)};
  double fill = 0;
  if (const Attribute* value = c.find_attribute("value", Attribute::Kind::tensor)) {
    ConstantPtr one = constant_of(*value->tensor);
    if (one->type.elements() != 1)
      fail("attribute `value` must hold one number, it is {}", to_string(one->type));
    type.dtype = one->type.dtype;
    fill = numbers_of(*one)[0];
  }
  check_sizes(type.dims);
  if (type.elements() <= kMostElements || (c.is_weight(0) && type.bytes() <= kMostWeightBytes))
    c.result(filled_constant(type, fill));
  else
    c.result(c.b.constant(type, fill));
}

// start, start + delta, ... before limit; their number is part of the type.
void range_node(NodeContext& c) {
  double start = c.number(0), limit = c.number(1), delta = c.number(2);
  if (delta == 0 || !std::isfinite(start + limit + delta))
    fail("counts from {} to {} by {}", start, limit, delta);
  double count = std::max(std::ceil((limit - start) / delta), 0.0);
  if (count > 0x1p31)
    fail("counts from {} to {} by {}: more than 2^31 numbers", start, limit, delta);
  std::vector<double> values(static_cast<size_t>(count));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = start + static_cast<double>(i) * delta;
  c.result(numbers_constant({c.dtype(0), {static_cast<int64_t>(count)}}, values));
}

constexpr NodeRule kRules[] = {
    {.op = "Constant", .build = constant_node, .holds = true},
    {.op = "ConstantOfShape", .since = 9, .build = constant_of_shape_node, .holds = true},
    {.op = "Range", .since = 11, .build = range_node},
};

}  // namespace

std::span<const NodeRule> constant_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
