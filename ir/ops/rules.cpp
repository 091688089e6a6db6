#include "ir/ops/rules.h"

#include <algorithm>

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

int64_t axis_of(const Attrs& attrs, int64_t rank) {
  int64_t axis = attrs.integer("axis");
  if (axis < 0 || axis >= rank)
    fail("`axis` must lie in [0, {}), got {}", rank, axis);
  return axis;
}

void check_one_per_axis(const Attrs& attrs, std::string_view key, int64_t rank) {
  const auto& values = attrs.integers(key);
  if (static_cast<int64_t>(values.size()) != rank)
    fail("`{}` must have {} entries, one per axis, got {}", key, rank, to_string(values));
}

void Guard::require(loop::Scalar condition) {
  condition_ = condition_ ? c_.b.binary(loop::Code::bit_and, *condition_, condition) : condition;
}

void Guard::require(const Guard& other) {
  if (other.condition_)
    require(*other.condition_);
  never_ |= other.never_;
}

void Guard::require_range(loop::Scalar index, int64_t low, int64_t high, int64_t least,
                          int64_t most) {
  if (std::optional<loop::Builder::Range> range = c_.b.range_of(index)) {
    least = std::max(least, range->least);
    most = std::min(most, range->most);
  }
  never_ |= most < low || least >= high;
  if (least < low)
    require(c_.b.compare(loop::Code::less_equal, c_.b.index(low), index));
  if (most >= high)
    require(c_.b.compare(loop::Code::less, index, c_.b.index(high)));
}

loop::Scalar Guard::read(size_t i, std::span<const loop::Scalar> indices, loop::Scalar otherwise) {
  if (never_)
    return otherwise;
  return condition_ ? c_.at_if(*condition_, i, indices, otherwise) : c_.at(i, indices);
}

double converted(DType dtype, double value) {
  if (is_float(dtype))
    return value;
  if (dtype == DType::boolean)
    return value != 0;
  if (std::isnan(value))
    return 0;
  auto bits = static_cast<double>(8 * byte_size(dtype));
  bool no_sign = dtype == DType::u8;
  double lowest = no_sign ? 0 : -std::exp2(bits - 1);
  double highest = std::exp2(no_sign ? bits : bits - 1) - 1;
  return std::clamp(std::trunc(value), lowest, highest);
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
