#pragma once
// What a gradient rule is handed: the op, its values, the gradients of its results, and where to
// add those of its operands (a vector-Jacobian product). Rules never ask which gradients are
// wanted: what nobody reads dies in `simplify`.
#include <optional>
#include <span>
#include <vector>

#include "ir/builder.h"
#include "ir/module.h"

namespace gradc {

class Vjp {
 public:
  // `op` belongs to the function that `builder` appends to. result_gradients has one entry per
  // result of the op; operand_gradients one per operand, to be filled.
  Vjp(Builder& builder, const Op& op, std::span<const std::optional<ValueId>> result_gradients)
      : b(builder),
        op_(op),
        result_gradients_(result_gradients),
        operand_gradients_(op.operands.size()) {}

  Builder& b;

  const Attrs& attrs() const { return op_.attrs; }
  const Op& op() const { return op_; }
  size_t operand_count() const { return op_.operands.size(); }
  ValueId x(size_t i = 0) const { return op_.operands[i]; }
  ValueId y(size_t i = 0) const { return op_.results[i]; }
  Type x_type(size_t i = 0) const { return b.type(x(i)); }
  Type y_type(size_t i = 0) const { return b.type(y(i)); }
  // The gradient of result i; zeros when nothing depends on it.
  ValueId dy(size_t i = 0);
  bool has_dy(size_t i) const { return result_gradients_[i].has_value(); }
  // Contributes to the gradient of operand i (summed with earlier contributions of this rule).
  void add(size_t i, ValueId gradient);

  const std::vector<std::optional<ValueId>>& operand_gradients() const {
    return operand_gradients_;
  }

 private:
  const Op op_;  // a copy: appending to the function moves its ops
  std::span<const std::optional<ValueId>> result_gradients_;
  std::vector<std::optional<ValueId>> operand_gradients_;
};

}  // namespace gradc
