#include "ir/ops/composite.h"

#include <numeric>

namespace gradc::ops {

void check_floats(std::span<const Type> operands) {
  for (const Type& type : operands) {
    if (!is_float(type.dtype))
      fail("operands must be floats, got {}", to_string(type));
    if (type.dtype != operands[0].dtype)
      fail("element types differ: {} and {}", to_string(operands[0]), to_string(type));
  }
}

const std::vector<int64_t>& axes_of(const Type& x, const Attrs& attrs) {
  const std::vector<int64_t>& axes = attrs.integers("axes");
  if (axes.empty())
    fail("`axes` is empty, it must name at least one axis of {}", to_string(x));
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= x.rank() || (i && axes[i] <= axes[i - 1]))
      fail("`axes` must rise and lie in [0, {}), got {}", x.rank(), to_string(axes));
  return axes;
}

Dims sizes_along(const Type& x, const std::vector<int64_t>& axes) {
  Dims sizes;
  for (int64_t axis : axes)
    sizes.push_back(x.dims[static_cast<size_t>(axis)]);
  return sizes;
}

std::vector<int64_t> all_axes(const Type& x) {
  std::vector<int64_t> axes(x.dims.size());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

std::vector<std::vector<size_t>> lines(const Dims& dims, const std::vector<int64_t>& axes) {
  Type whole{DType::f64, dims};
  std::vector<int64_t> kept = other_axes(axes, whole.rank());
  Dims kept_sizes = sizes_along(whole, kept);
  std::vector<std::vector<size_t>> result(static_cast<size_t>(element_count(kept_sizes)));
  size_t i = 0;
  for_each_index(dims, [&](const Dims& at) {
    Dims line = sizes_along({DType::f64, at}, kept);
    result[static_cast<size_t>(ravel(line, kept_sizes))].push_back(i++);
  });
  return result;
}

ValueId repeated_sum(Builder& b, ValueId x, const std::vector<int64_t>& axes) {
  return b.broadcast_over(b.reduce_sum(x, axes), axes, b.dims(x));
}

ValueId repeated_max(Builder& b, ValueId x, const std::vector<int64_t>& axes) {
  return b.broadcast_over(b.op(Opcode::reduce_max_number, {x}, {{"axes", axes}}), axes, b.dims(x));
}

double count_along(Builder& b, ValueId x, const std::vector<int64_t>& axes) {
  return static_cast<double>(element_count(sizes_along(b.type(x), axes)));
}

ValueId is_positive(Builder& b, ValueId x) {
  return b.op(Opcode::less, {b.constant_like(x, 0.0), x});
}

}  // namespace gradc::ops
