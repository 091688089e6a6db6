#include "compiler/passes/drop_empty.h"

#include <algorithm>
#include <cmath>

#include "ir/eval.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

constexpr int64_t kMostEvaluated = int64_t{1} << 20;  // elements of a result

bool is_empty(const Function& function, ValueId value) {
  return function.type(value).elements() == 0;
}

bool has_empty(const Function& function) {
  return std::any_of(function.values.begin(), function.values.end(),
                     [](const Value& value) { return value.type.elements() == 0; });
}

// The number that all elements of the op's only result are, when no operand has an element to say
// otherwise.
std::optional<double> number_of_nothing(const Function& function, const Op& op) {
  if (op.results.size() != 1 || !def(op).eval || op.operands.empty() ||
      function.type(op.result()).elements() > kMostEvaluated ||
      !std::all_of(op.operands.begin(), op.operands.end(),
                   [&](ValueId operand) { return is_empty(function, operand); }))
    return std::nullopt;
  std::vector<Tensor> operands;
  for (ValueId operand : op.operands)
    operands.push_back({function.type(operand), {}});
  Type type = function.type(op.result());
  Tensor result = eval_op(Module{}, op, operands, {&type, 1})[0];
  double first = result.data.at(0);
  bool uniform = std::all_of(result.data.begin(), result.data.end(), [&](double number) {
    return number == first || (std::isnan(number) && std::isnan(first));
  });
  return uniform ? std::optional(first) : std::nullopt;
}

// The operand that the op's only result equals when the others have no elements, or the op on those
// that have some.
std::optional<ValueId> rest(Rewrite& rewrite, const Op& op) {
  const Function& from = rewrite.from();
  std::vector<ValueId> full;
  for (ValueId operand : op.operands)
    if (!is_empty(from, operand))
      full.push_back(rewrite(operand));
  if (op.code == Opcode::concat && full.size() > 1) {
    full[0] = rewrite.at(op).op(op.code, full, op.attrs);
    rewrite.builder().set_name(full[0], from[op.result()].name);
    return full[0];
  }
  if (op.code == Opcode::concat)
    return full[0];
  constexpr Opcode kUpdates[] = {Opcode::scatter, Opcode::scatter_elements, Opcode::scatter_nd};
  bool updates = std::find(std::begin(kUpdates), std::end(kUpdates), op.code) != std::end(kUpdates);
  return updates && full.size() == 1 ? std::optional(full[0]) : std::nullopt;
}

}  // namespace

Function drop_empty(const Function& function) {
  if (!has_empty(function))
    return function;
  Rewrite rewrite(function);
  for (const Op& op : function.ops) {
    auto empty = [&](ValueId value) { return is_empty(function, value); };
    auto constant = [&](double number) {
      for (ValueId result : op.results) {
        ValueId value = rewrite.at(op).constant(function.type(result), number);
        rewrite.builder().set_name(value, function[result].name);
        rewrite.map(result, value);
      }
    };
    if (std::all_of(op.results.begin(), op.results.end(), empty)) {
      constant(0);
    } else if (std::none_of(op.operands.begin(), op.operands.end(), empty)) {
      rewrite.copy(op);
    } else if (std::optional<double> number = number_of_nothing(function, op)) {
      constant(*number);
    } else if (std::optional<ValueId> value =
                   op.results.size() == 1 ? rest(rewrite, op) : std::nullopt) {
      rewrite.map(op.result(), *value);
    } else {
      rewrite.copy(op);
    }
  }
  return rewrite.finish();
}

}  // namespace gradc
