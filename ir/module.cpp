#include "ir/module.h"

#include <array>

#include "ir/diagnostic.h"

namespace gradc {

std::string_view name_of(Phase phase) {
  constexpr std::array<std::string_view, 3> names = {"forward", "backward", "update"};
  return names[static_cast<size_t>(phase)];
}

std::string_view name_of(FunctionKind kind) {
  constexpr std::array<std::string_view, 3> names = {"entry", "func", "kernel"};
  return names[static_cast<size_t>(kind)];
}

std::string_view name_of(Role role) {
  constexpr std::array<std::string_view, 4> names = {"param", "buffer", "optimizer", "derived"};
  return names[static_cast<size_t>(role)];
}

const Result* Function::find_result(std::string_view result_name) const {
  for (const Result& result : results)
    if (result.name == result_name)
      return &result;
  return nullptr;
}

const Parameter* Function::find_parameter(std::string_view value_name) const {
  for (const Parameter& parameter : parameters)
    if (values[parameter.value.index].name == value_name)
      return &parameter;
  return nullptr;
}

const Function* Module::find_function(std::string_view function_name) const {
  for (const Function& function : functions)
    if (function.name == function_name)
      return &function;
  return nullptr;
}

Function* Module::find_function(std::string_view function_name) {
  return const_cast<Function*>(std::as_const(*this).find_function(function_name));
}

const Function& Module::function(std::string_view function_name) const {
  const Function* found = find_function(function_name);
  if (!found)
    fail("module `{}` has no function @{}", name, function_name);
  return *found;
}

const StateTensor* Module::find_state(std::string_view state_name) const {
  for (const StateTensor& state : states)
    if (state.name == state_name)
      return &state;
  return nullptr;
}

std::vector<std::optional<OpId>> defining_ops(const Function& function) {
  std::vector<std::optional<OpId>> definitions(function.values.size());
  for (uint32_t i = 0; i < function.ops.size(); ++i)
    for (ValueId result : function.ops[i].results)
      definitions[result.index] = OpId{i};
  return definitions;
}

std::vector<int> use_counts(const Function& function) {
  std::vector<int> uses(function.values.size());
  for (const Op& op : function.ops)
    for (ValueId operand : op.operands)
      ++uses[operand.index];
  for (const Result& result : function.results)
    ++uses[result.value.index];
  return uses;
}

}  // namespace gradc
