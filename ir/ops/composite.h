#pragma once
// What the records of composites share: checks of axes, lines of elements for naive evaluation, and
// folds that keep the shape.
#include <string_view>
#include <vector>

#include "ir/ops/rules.h"

namespace gradc::ops {

// Fails unless the operands are floats of one element type.
void check_floats(std::span<const Type> operands);
// The attribute `axes`, checked to rise, to lie in [0, rank) and not to be empty.
const std::vector<int64_t>& axes_of(const Type& x, const Attrs& attrs);
// The sizes of x along `axes`.
Dims sizes_along(const Type& x, const std::vector<int64_t>& axes);
// 0..rank-1
std::vector<int64_t> all_axes(const Type& x);

// The elements of a tensor as lines along `axes`: for each position on the other axes, the
// row-major numbers of the elements there. Both orders are row-major.
std::vector<std::vector<size_t>> lines(const Dims& dims, const std::vector<int64_t>& axes);

// Naive evaluation by f(x, attributes).
template <auto F>
std::vector<Tensor> eval_with_attrs(std::span<const Tensor> x, const Op& op,
                                    std::span<const Type> types) {
  Tensor y{types[0], x[0].data};
  for (double& value : y.data)
    value = F(value, op.attrs);
  return {y};
}

// A fold over `axes`, repeated to x's shape.
ValueId repeated_sum(Builder& b, ValueId x, const std::vector<int64_t>& axes);
// Of the largest number: NaN is passed over.
ValueId repeated_max(Builder& b, ValueId x, const std::vector<int64_t>& axes);
// The number of elements along `axes`.
double count_along(Builder& b, ValueId x, const std::vector<int64_t>& axes);
// Whether 0 < x.
ValueId is_positive(Builder& b, ValueId x);

}  // namespace gradc::ops
