#pragma once
// Short forms shared by the op records: shape rules, naive evaluation, element rules.
#include <cmath>
#include <optional>
#include <span>
#include <utility>

#include "ir/element_context.h"
#include "ir/op_def.h"
#include "ir/vjp.h"

namespace gradc::ops {

// Shape rule: all operands have one type, which is the result's.
Types same_type(std::span<const Type> operands, const Attrs& attrs);
// The same, and the type is one of floats, or of numbers (not bool), or bool.
Types same_float(std::span<const Type> operands, const Attrs& attrs);
Types same_number(std::span<const Type> operands, const Attrs& attrs);
Types same_bool(std::span<const Type> operands, const Attrs& attrs);
// Attribute `axis`; fails unless it lies in [0, rank).
int64_t axis_of(const Attrs& attrs, int64_t rank);
// Fails unless attribute `key` has one entry per axis.
void check_one_per_axis(const Attrs& attrs, std::string_view key, int64_t rank);

// Naive evaluation of elementwise ops.
template <auto F>
std::vector<Tensor> eval_unary(std::span<const Tensor> x, const Op&, std::span<const Type> types) {
  Tensor y{types[0], x[0].data};
  for (double& value : y.data)
    value = F(value);
  return {y};
}

template <auto F>
std::vector<Tensor> eval_binary(std::span<const Tensor> x, const Op&, std::span<const Type> types) {
  Tensor y{types[0], x[0].data};
  for (size_t i = 0; i < y.data.size(); ++i)
    y.data[i] = F(x[0].data[i], x[1].data[i]);
  return {y};
}

// Element rules that are one instruction.
template <loop::Code code>
loop::Scalar element_unary(loop::ElementContext& c) {
  return c.b.unary(code, c.at(0));
}

template <loop::Code code>
loop::Scalar element_binary(loop::ElementContext& c) {
  loop::Scalar x = c.at(0);
  return c.b.binary(code, x, c.at(1));
}

// The conditions under which an element rule reads an element; none means always.
class Guard {
 public:
  explicit Guard(loop::ElementContext& context) : c_(context) {}
  void require(loop::Scalar condition);
  void require(const Guard& other);
  // Requires low <= index < high of an index that is known to lie in [least, most], or closer by
  // what its loops run over; what is known is not tested.
  void require_range(loop::Scalar index, int64_t low, int64_t high, int64_t least, int64_t most);
  // Operand i at the indices where all conditions hold, `otherwise` elsewhere.
  loop::Scalar read(size_t i, std::span<const loop::Scalar> indices, loop::Scalar otherwise);

 private:
  loop::ElementContext& c_;
  std::optional<loop::Scalar> condition_;
  bool never_ = false;  // one of them is known not to hold
};

// `value` as an element of `dtype`: whole numbers toward zero and to the nearest that fits, NaN 0;
// of bool whether it is not 0; floats stay. For naive evaluation.
double converted(DType dtype, double value);

// For piecewise constant ops: the gradient is zero wherever there is one, so nothing is added.
inline void zero_gradient(Vjp&) {}

// Magnitude of the result of ops that give all elements of operand 0, of those of which nothing is
// negative, and of those of which nothing is 0 either.
inline Magnitude of_operand(const Op&, std::span<const Magnitude> operands) {
  return operands[0];
}
inline Magnitude not_negative(const Op&, std::span<const Magnitude>) {
  return {.never_negative = true};
}
inline Magnitude positive(const Op&, std::span<const Magnitude>) {
  return {.least = 1, .never_negative = true};
}

// For ops that only move elements.
inline int64_t no_flops(std::span<const Type>, std::span<const Type>, const Attrs&) {
  return 0;
}

// The indices, one per axis, of row-major number `linear` in a tensor of `dims`, and back; for
// naive evaluation.
Dims unravel(int64_t linear, const Dims& dims);
int64_t ravel(const Dims& indices, const Dims& dims);

// Calls f(indices) for each element of a tensor of `dims`, in row-major order.
template <typename F>
void for_each_index(const Dims& dims, F f) {
  Dims at(dims.size());
  for (int64_t left = element_count(dims); left > 0; --left) {
    f(std::as_const(at));
    for (size_t axis = dims.size(); axis-- > 0 && ++at[axis] == dims[axis];)
      at[axis] = 0;
  }
}

// A tensor of `type` whose element at each index is f(index).
template <typename F>
Tensor tensor_of(const Type& type, F f) {
  Tensor y{type, std::vector<double>(static_cast<size_t>(type.elements()))};
  auto next = y.data.begin();
  for_each_index(type.dims, [&](const Dims& at) { *next++ = f(at); });
  return y;
}

inline double element(const Tensor& x, const Dims& indices) {
  return x.data[static_cast<size_t>(ravel(indices, x.type.dims))];
}

}  // namespace gradc::ops
