#include "compiler/passes/reverse_scan.h"

#include <algorithm>

#include "compiler/passes/expand.h"
#include "compiler/passes/reverse.h"
#include "compiler/passes/unroll.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

bool has_parts(const OpDef& op) {
  return op.expand;
}

bool has_parts_and_no_rule(const OpDef& op) {
  return op.expand && !op.vjp;
}

// Makes the two bodies of one scan.
class ScanBodies {
 public:
  // `active` has an entry per operand: whether its gradient is wanted.
  ScanBodies(Module& module, const Op& scan, const std::vector<bool>& active)
      : module_(module),
        carries_(static_cast<size_t>(scan.attrs.integer("carries"))),
        sequences_(static_cast<size_t>(scan.attrs.integer("sequences"))),
        joint_(ready_for_reverse(module, module.function(scan.callee))) {
    for (size_t i = 0; i < joint_.parameters.size(); ++i) {
      parameters_.push_back(joint_.parameters[i].value);
      if (!is_float(joint_.type(parameters_[i]).dtype))
        continue;
      if (i < carries_)
        gradient_.carries.push_back(i);
      else if (active[i])
        (i < carries_ + sequences_ ? gradient_.sequence_gradients : gradient_.constant_gradients)
            .push_back(i);
    }
    for (size_t i = carries_; i < joint_.results.size(); ++i)
      if (is_float(joint_.type(joint_.results[i].value).dtype))
        gradient_.outputs.push_back(i);
  }

  // Adds both bodies to the module, makes `scan`, an op of `function`, call the forward one, and
  // gives it the residuals as further results.
  ScanGradient build(Function& function, Op& scan) {
    differentiate();
    find_residuals();
    gradient_.body = unused_function_name(module_, scan.callee + ".backward");
    Function backward = backward_body();
    Function forward = forward_body(unused_function_name(module_, scan.callee + ".forward"));
    scan.callee = forward.name;
    for (ValueId residual : residuals_) {
      Type type = joint_.type(residual);
      type.dims.insert(type.dims.begin(), scan.attrs.integer("trips"));
      function.values.push_back({type, joint_[residual].name + ".all", std::nullopt});
      gradient_.residuals.push_back(scan.results.size());
      scan.results.push_back(ValueId{static_cast<uint32_t>(function.values.size() - 1)});
    }
    module_.functions.push_back(std::move(forward));
    module_.functions.push_back(std::move(backward));
    return gradient_;
  }

 private:
  std::string gradient_name(ValueId value) const { return "d." + joint_[value].name; }

  // Appends the body's backward ops to the body: what is above `forward_ops_` is forward.
  void differentiate() {
    std::vector<ValueId> inputs;
    for (const auto* wanted :
         {&gradient_.carries, &gradient_.sequence_gradients, &gradient_.constant_gradients})
      for (size_t i : *wanted)
        inputs.push_back(parameters_[i]);
    ScanGradients nested = prepare_scans(module_, joint_, inputs);
    forward_ops_ = joint_.ops.size();
    forward_values_ = joint_.values.size();
    Builder builder(joint_);
    Reverse reverse(joint_, inputs, nested);
    for (const auto* seeds : {&gradient_.carries, &gradient_.outputs})
      for (size_t i : *seeds) {
        ValueId result = joint_.results[i].value;
        seeds_.push_back(builder.parameter(joint_.type(result), gradient_name(result)));
        reverse.add(result, seeds_.back());
      }
    reverse.run();
    for (ValueId input : inputs)
      input_gradients_.push_back(reverse.gradient(input));
  }

  // Ops without operands are repeated in the backward body, their results are no residuals.
  void find_residuals() {
    std::vector<bool> live(joint_.values.size());
    for (ValueId value : input_gradients_)
      live[value.index] = true;
    for (size_t i = joint_.ops.size(); i-- > forward_ops_;) {
      const Op& op = joint_.ops[i];
      if (std::any_of(op.results.begin(), op.results.end(),
                      [&](ValueId result) { return live[result.index]; }))
        for (ValueId operand : op.operands)
          live[operand.index] = true;
    }
    for (size_t i = 0; i < parameters_.size(); ++i) {
      if (!live[parameters_[i].index])
        continue;
      if (i < carries_)
        residuals_.push_back(parameters_[i]);
      else
        (i < carries_ + sequences_ ? gradient_.sequences : gradient_.constants).push_back(i);
    }
    for (size_t i = 0; i < joint_.ops.size(); ++i) {
      const Op& op = joint_.ops[i];
      bool is_live = std::any_of(op.results.begin(), op.results.end(),
                                 [&](ValueId result) { return live[result.index]; });
      if (!is_live)
        continue;
      if (i >= forward_ops_ || op.operands.empty())
        backward_ops_.push_back(op);
      else
        for (ValueId result : op.results)
          if (live[result.index])
            residuals_.push_back(result);
    }
  }

  // The body as it was, with the residuals as further results.
  Function forward_body(std::string name) const {
    Function forward = joint_;
    forward.name = std::move(name);
    forward.parameters.resize(parameters_.size());
    forward.ops.resize(forward_ops_);
    forward.values.resize(forward_values_);
    Builder builder(forward);
    for (ValueId residual : residuals_)
      builder.result(residual);
    return forward;
  }

  Function backward_body() const {
    Function backward{.kind = FunctionKind::body, .name = gradient_.body};
    Builder b(backward);
    b.phase = Phase::backward;
    std::vector<ValueId> map(joint_.values.size());
    auto parameter = [&](ValueId value, const std::string& name) {
      return b.parameter(joint_.type(value), name);
    };
    auto pass = [&](ValueId value) { map[value.index] = parameter(value, joint_[value].name); };

    size_t carries = gradient_.carries.size();
    for (size_t i = 0; i < carries; ++i)
      pass(seeds_[i]);
    std::vector<ValueId> sums;
    for (size_t i : gradient_.constant_gradients)
      sums.push_back(parameter(parameters_[i], gradient_name(parameters_[i]) + ".sum"));
    for (size_t i = carries; i < seeds_.size(); ++i)
      pass(seeds_[i]);
    for (ValueId residual : residuals_)
      pass(residual);
    for (const auto* operands : {&gradient_.sequences, &gradient_.constants})
      for (size_t i : *operands)
        pass(parameters_[i]);

    for (const Op& op : backward_ops_)
      copy_op(backward, op, map);

    size_t next = 0;
    auto gradient = [&] { return map[input_gradients_[next++].index]; };
    for (size_t i = 0; i < carries; ++i)
      b.result(gradient());
    std::vector<ValueId> slices;
    for (size_t i = 0; i < gradient_.sequence_gradients.size(); ++i)
      slices.push_back(gradient());
    for (ValueId sum : sums)
      b.result(b.op(Opcode::add, {sum, gradient()}, {}, backward[sum].name));
    for (ValueId slice : slices)
      b.result(slice);
    return backward;
  }

  void copy_op(Function& to, const Op& op, std::vector<ValueId>& map) const {
    Op copy = op;
    copy.phase = Phase::backward;
    append_copy(to, joint_, std::move(copy), map);
  }

  Module& module_;
  size_t carries_, sequences_;
  Function joint_;  // the body, then its backward ops
  std::vector<ValueId> parameters_;  // the body's
  size_t forward_ops_ = 0, forward_values_ = 0;
  std::vector<ValueId> seeds_;  // gradients of the float carries, then of the float outputs
  // Of the float carries, then the wanted sequences, then the wanted constants.
  std::vector<ValueId> input_gradients_;
  std::vector<ValueId> residuals_;
  std::vector<Op> backward_ops_;
  ScanGradient gradient_;
};

}  // namespace

Function ready_for_reverse(const Module& module, const Function& function, bool expand_all) {
  return expand_where(inline_calls(module, function),
                      expand_all ? has_parts : has_parts_and_no_rule);
}

ScanGradients prepare_scans(Module& module, Function& function, std::span<const ValueId> inputs) {
  ScanGradients gradients;
  std::vector<bool> active = active_values(function, inputs);
  for (size_t i = 0; i < function.ops.size(); ++i) {
    Op& op = function.ops[i];
    if (op.code != Opcode::scan)
      continue;
    std::vector<bool> active_operands;
    for (ValueId operand : op.operands)
      active_operands.push_back(active[operand.index]);
    if (std::count(active_operands.begin(), active_operands.end(), true) > 0)
      gradients.emplace(i, ScanBodies(module, op, active_operands).build(function, op));
  }
  return gradients;
}

std::vector<std::optional<ValueId>> append_scan_gradient(
    Builder& builder, const Op& scan, const ScanGradient& gradient,
    std::span<const std::optional<ValueId>> result_gradients) {
  std::vector<ValueId> operands;
  auto add_gradient_of_result = [&](size_t i) {
    operands.push_back(result_gradients[i] ? *result_gradients[i]
                                           : builder.constant_like(scan.results[i], 0.0));
  };
  std::vector<size_t> targets = gradient.carries;  // operands that the results are gradients of
  for (size_t i : gradient.carries)
    add_gradient_of_result(i);
  for (size_t i : gradient.constant_gradients) {
    operands.push_back(builder.constant_like(scan.operands[i], 0.0));
    targets.push_back(i);
  }
  size_t carries = operands.size();
  for (size_t i : gradient.outputs)
    add_gradient_of_result(i);
  for (size_t i : gradient.residuals)
    operands.push_back(scan.results[i]);
  for (size_t i : gradient.sequences)
    operands.push_back(scan.operands[i]);
  size_t sequences = operands.size() - carries;
  for (size_t i : gradient.constants)
    operands.push_back(scan.operands[i]);
  targets.insert(targets.end(), gradient.sequence_gradients.begin(),
                 gradient.sequence_gradients.end());

  std::vector<Type> types;
  for (size_t target : targets)
    types.push_back(builder.type(scan.operands[target]));
  Attrs attrs = {{"carries", static_cast<int64_t>(carries)},
                 {"sequences", static_cast<int64_t>(sequences)},
                 {"trips", scan.attrs.integer("trips")}};
  if (!scan.attrs.flag("reverse"))
    attrs.set("reverse", true);
  std::vector<ValueId> results =
      builder.call(scan.code, gradient.body, operands, types, std::move(attrs));

  std::vector<std::optional<ValueId>> operand_gradients(scan.operands.size());
  for (size_t i = 0; i < targets.size(); ++i)
    operand_gradients[targets[i]] = results[i];
  return operand_gradients;
}

}  // namespace gradc
