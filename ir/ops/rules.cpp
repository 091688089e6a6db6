#include "ir/ops/rules.h"

namespace gradc::ops {

Types same_type(std::span<const Type> operands, const Attrs&) {
  for (const Type& type : operands)
    if (type != operands[0])
      fail("operand types differ: {} and {}", to_string(operands[0]), to_string(type));
  return one(operands[0]);
}

Types same_float(std::span<const Type> operands, const Attrs& attrs) {
  if (!is_float(operands[0].dtype))
    fail("operands must be floats, got {}", to_string(operands[0]));
  return same_type(operands, attrs);
}

Types same_number(std::span<const Type> operands, const Attrs& attrs) {
  if (operands[0].dtype == DType::boolean)
    fail("operands must be numbers, got {}", to_string(operands[0]));
  return same_type(operands, attrs);
}

Types same_bool(std::span<const Type> operands, const Attrs& attrs) {
  if (operands[0].dtype != DType::boolean)
    fail("operands must be bool, got {}", to_string(operands[0]));
  return same_type(operands, attrs);
}

Dims unravel(int64_t linear, const Dims& dims) {
  Dims indices(dims.size());
  for (size_t axis = dims.size(); axis-- > 0;) {
    indices[axis] = linear % dims[axis];
    linear /= dims[axis];
  }
  return indices;
}

int64_t ravel(const Dims& indices, const Dims& dims) {
  int64_t linear = 0;
  for (size_t axis = 0; axis < dims.size(); ++axis)
    linear = linear * dims[axis] + indices[axis];
  return linear;
}

}  // namespace gradc::ops
