#include "compiler/import/onnx/trace.h"

#include <set>

#include "compiler/entries.h"
#include "compiler/import/onnx/names.h"
#include "ir/diagnostic.h"
#include "ir/rewrite.h"

namespace gradc::onnx {

Trace::Trace(Import& shared, std::string_view entry) : import(shared) {
  function.name = entry;
}

bool Trace::is_train_step() const {
  return function.name == kTrainStep;
}

ValueId Trace::input(const Type& type, const std::string& name) {
  inputs_.push_back(b.parameter(type, name));
  return inputs_.back();
}

ValueId Trace::control(std::string_view name) {
  auto [entry, is_new] = controls_.try_emplace(std::string(name));
  if (is_new)
    entry->second = b.parameter(scalar_type(name == kLearningRate ? DType::f32 : DType::i64),
                                std::string(name));
  return entry->second;
}

ValueId Trace::tensor(const ImportValue& value) {
  if (value.kind == ImportValue::Kind::tensor && !is_scratch())
    return value.id;
  if (value.kind == ImportValue::Kind::weight && !is_scratch())
    return state(value, Role::parameter);
  GRADC_CHECK(value.constant);
  auto [entry, is_new] = constants_.try_emplace(value.constant.get());
  if (!is_new)
    return entry->second;
  kept_.push_back(value.constant);
  const Constant& constant = *value.constant;
  std::optional<double> number =
      constant.type.elements() == 0 ? std::optional(0.0) : uniform_value(constant);
  if (is_scratch()) {
    arguments_.push_back(value.constant);
    entry->second = b.parameter(constant.type, ir_name(value.name));
  } else if (number) {
    entry->second = b.constant(constant.type, *number);
    b.set_name(entry->second, ir_name(value.name));
  } else {
    entry->second = state(value, Role::buffer);
  }
  return entry->second;
}

ValueId Trace::state(const ImportValue& value, Role role) {
  GRADC_CHECK(value.constant && !is_scratch());
  std::string name = import.states.declare(value.name, *value.constant, role, b.loc);
  auto [entry, is_new] = states_.try_emplace(name);
  if (is_new)
    entry->second = b.parameter(value.constant->type, name, name);
  return entry->second;
}

void Trace::update(ValueId state, ValueId content) {
  if (is_train_step())
    updates_[state] = content;
}

std::string Trace::add_body(Function body) {
  body.kind = FunctionKind::body;
  std::string base = body.name;
  std::set<std::string> taken{std::string(kInit), std::string(kInfer), std::string(kTrainStep)};
  for (const Function& other : import.bodies)
    taken.insert(other.name);
  for (int i = 1; taken.contains(body.name); ++i)
    body.name = fmt::format("{}.{}", base, i);
  import.bodies.push_back(std::move(body));
  return import.bodies.back().name;
}

Function Trace::finish(const std::vector<std::pair<std::string, ValueId>>& results) {
  if (is_train_step())
    for (std::string_view name : {kLearningRate, kStep, kTotalSteps, kSeed})
      control(name);
  std::set<ValueId> given;
  for (const Parameter& parameter : function.parameters)
    given.insert(parameter.value);
  for (auto [name, value] : results) {
    // A result has memory of its own, so neither two of them nor a parameter share it.
    if (!given.insert(value).second) {
      value = b.op(Opcode::copy, {value});
      b.set_name(value, name);
    }
    b.result(value, name);
  }
  std::map<ValueId, std::string> bound;
  for (const Parameter& parameter : function.parameters)
    bound[parameter.value] = parameter.state;
  for (const auto& [state, content] : updates_)
    b.result(content, "", bound[state]);

  std::vector<int> uses = use_counts(without_dead_ops(function));  // parameters keep their ids
  std::vector<ValueId> order = inputs_;
  for (std::string_view name : {kLearningRate, kStep, kTotalSteps, kSeed})
    if (auto control = controls_.find(std::string(name)); control != controls_.end())
      order.push_back(control->second);
  for (const Parameter& parameter : function.parameters)
    if (!parameter.state.empty() && uses[parameter.value.index] > 0)
      order.push_back(parameter.value);
  function.parameters.clear();
  for (ValueId value : order)
    function.parameters.push_back({value, bound[value]});
  return without_dead_ops(function);
}

}  // namespace gradc::onnx
