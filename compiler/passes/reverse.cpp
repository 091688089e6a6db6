#include "compiler/passes/reverse.h"

#include <algorithm>

#include "ir/op_def.h"
#include "ir/vjp.h"

namespace gradc {
namespace {

std::string gradient_name(const std::string& name) {
  return "d." + name;
}

}  // namespace

std::vector<bool> active_values(const Function& function, std::span<const ValueId> inputs) {
  std::vector<bool> active(function.values.size());
  for (ValueId input : inputs)
    active[input.index] = true;
  for (const Op& op : function.ops) {
    bool reads_active = std::any_of(op.operands.begin(), op.operands.end(),
                                    [&](ValueId operand) { return active[operand.index]; });
    if (!reads_active)
      continue;
    for (ValueId result : op.results)
      active[result.index] = is_float(function.type(result).dtype);
  }
  return active;
}

Reverse::Reverse(Function& function, std::span<const ValueId> inputs, ScanGradients scans)
    : function_(function),
      builder_(function),
      scans_(std::move(scans)),
      op_count_(function.ops.size()),
      active_(active_values(function, inputs)),
      gradients_(function.values.size()) {
  builder_.phase = Phase::backward;
}

void Reverse::add(ValueId value, ValueId gradient) {
  if (!active_[value.index])
    return;
  std::optional<ValueId>& slot = gradients_[value.index];
  if (slot) {
    slot = builder_.op(Opcode::add, {*slot, gradient});
    builder_.set_name(*slot, gradient_name(function_[value].name));
  } else {
    slot = gradient;
  }
}

void Reverse::run() {
  for (size_t i = op_count_; i-- > 0;)
    visit(i);
}

void Reverse::visit(size_t index) {
  const Op op = function_.ops[index];  // a copy: appending moves the ops
  auto is_active = [&](ValueId value) { return active_[value.index]; };
  auto has_gradient = [&](ValueId value) { return gradients_[value.index].has_value(); };
  if (std::none_of(op.operands.begin(), op.operands.end(), is_active) ||
      std::none_of(op.results.begin(), op.results.end(), has_gradient))
    return;
  builder_.loc = op.loc;
  auto first_new = static_cast<uint32_t>(function_.values.size());
  std::vector<std::optional<ValueId>> gradients = operand_gradients(index, op);

  // What the rule appended is named d.<result>.<op>, and d.<operand> where it is that gradient.
  std::string prefix = gradient_name(function_[op.results[0]].name) + ".";
  for (uint32_t value = first_new; value < function_.values.size(); ++value)
    function_.values[value].name.insert(0, prefix);
  for (size_t i = 0; i < op.operands.size(); ++i) {
    if (!gradients[i])
      continue;
    if (gradients[i]->index >= first_new)
      builder_.set_name(*gradients[i], gradient_name(function_[op.operands[i]].name));
    add(op.operands[i], *gradients[i]);
  }
}

std::vector<std::optional<ValueId>> Reverse::operand_gradients(size_t index, const Op& op) {
  std::vector<std::optional<ValueId>> result_gradients;
  for (ValueId result : op.results)
    result_gradients.push_back(gradients_[result.index]);
  if (auto scan = scans_.find(index); scan != scans_.end())
    return append_scan_gradient(builder_, op, scan->second, result_gradients);
  if (!def(op).vjp)
    fail_not_differentiable(op);
  Vjp rule(builder_, op, result_gradients);
  def(op).vjp(rule);
  return rule.operand_gradients();
}

ValueId Reverse::gradient(ValueId input) {
  std::optional<ValueId>& slot = gradients_[input.index];
  if (!slot) {
    slot = builder_.constant(function_.type(input), 0.0);
    builder_.set_name(*slot, gradient_name(function_[input].name));
  }
  return *slot;
}

void Reverse::fail_not_differentiable(const Op& op) const {
  auto through = std::find_if(op.operands.begin(), op.operands.end(),
                              [&](ValueId operand) { return active_[operand.index]; });
  std::string message = fmt::format(
      "`{}` is not differentiable, but the gradient must flow through it to %{} ({}: {})",
      def(op).name, function_[*through].name, def(op).name, def(op).doc);
  throw UserError(op.loc, message)
      .with_help("insert `stop_gradient` before it, or freeze the parameters that it depends on");
}

}  // namespace gradc
