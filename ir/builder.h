#pragma once
// Appends ops to a function. Result types are inferred, so no caller states one.
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/module.h"

namespace gradc {

class Builder {
 public:
  explicit Builder(Function& function) : function_(function) {}

  // Given to every op appended from now on.
  Phase phase = Phase::forward;
  std::string loc;

  ValueId parameter(Type type, std::string name, std::string state = "");
  void result(ValueId value, std::string name = "", std::string state = "");

  // Appends an op; `name` is a hint for its result. Errors of shape rules carry `loc`, if there is
  // one.
  ValueId op(Opcode code, std::vector<ValueId> operands, Attrs attrs = {}, std::string name = "");
  std::vector<ValueId> op_multi(Opcode code, std::vector<ValueId> operands, Attrs attrs = {},
                                std::string name = "");
  // Appends a call of `callee`, whose result types are known to the caller (`call` and `scan`).
  std::vector<ValueId> call(Opcode code, const std::string& callee, std::vector<ValueId> operands,
                            std::span<const Type> result_types, Attrs attrs = {});

  // Frequent forms. A scalar constant broadcasts nothing: `constant` makes a whole tensor of one
  // number.
  ValueId constant(const Type& type, double value);
  ValueId constant_like(ValueId value, double number) { return constant(type(value), number); }
  ValueId add(ValueId x, ValueId y) { return op(Opcode::add, {x, y}); }
  ValueId sub(ValueId x, ValueId y) { return op(Opcode::sub, {x, y}); }
  ValueId mul(ValueId x, ValueId y) { return op(Opcode::mul, {x, y}); }
  ValueId div(ValueId x, ValueId y) { return op(Opcode::div, {x, y}); }
  ValueId neg(ValueId x) { return op(Opcode::neg, {x}); }
  // x + number and x * number, element by element.
  ValueId shift(ValueId x, double number) { return add(x, constant_like(x, number)); }
  ValueId scale(ValueId x, double number) { return mul(x, constant_like(x, number)); }
  ValueId select(ValueId condition, ValueId if_true, ValueId if_false) {
    return op(Opcode::select, {condition, if_true, if_false});
  }
  // Repeats x along the axes of `dims` that are not in `axes`; axes[i] is where axis i of x goes.
  ValueId broadcast(ValueId x, std::vector<int64_t> axes, Dims dims);
  // x, of shape without `axes`, repeated along them to the type of `like`: the dual of a reduction.
  ValueId broadcast_over(ValueId x, const std::vector<int64_t>& axes, const Dims& dims);
  // NumPy's broadcasting of x to `dims`: sizes of 1 repeat, missing leading axes appear.
  ValueId broadcast_to(ValueId x, const Dims& dims);
  ValueId reshape(ValueId x, Dims dims);
  ValueId transpose(ValueId x, std::vector<int64_t> permutation);
  ValueId reduce_sum(ValueId x, std::vector<int64_t> axes);
  // NumPy's product: of the last two axes of a [..., M, K] and b [..., K, N] (as stored transposed:
  // [..., K, M] and [..., N, K]) for each position of the others, which broadcast. A vector counts
  // as a row on the left, a column on the right, and its axis of size 1 vanishes. One dot, which
  // copies neither operand when b has no batch or the batch sizes are equal.
  ValueId matmul(ValueId a, ValueId b, bool transpose_a = false, bool transpose_b = false);

  // Copies: a reference would dangle as soon as an op is appended.
  Type type(ValueId value) const { return function_.type(value); }
  Dims dims(ValueId value) const { return function_.type(value).dims; }
  Function& function() { return function_; }
  void set_name(ValueId value, std::string name) { function_[value].name = std::move(name); }

 private:
  ValueId new_value(Type type, std::string name);
  Function& function_;
};

}  // namespace gradc
