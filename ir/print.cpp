#include "ir/print.h"

#include <unordered_map>
#include <unordered_set>

#include "ir/op_def.h"

namespace gradc {
namespace {

std::string header(const Function& function, const std::vector<std::string>& names) {
  std::string text = fmt::format("{} @{}(", name_of(function.kind), function.name);
  for (size_t i = 0; i < function.parameters.size(); ++i) {
    const Parameter& parameter = function.parameters[i];
    text += fmt::format("{}%{}: {}", i ? ", " : "", names[parameter.value.index],
                        to_string(function.type(parameter.value)));
    if (!parameter.state.empty())
      text += " = @" + parameter.state;
  }
  text += ")";
  if (function.arena_bytes)
    text += fmt::format(" arena {}", *function.arena_bytes);
  if (!function.attrs.empty())
    text += " with " + to_string(function.attrs);
  return text + " {\n";
}

std::string line(const Function& function, const Op& op, const std::vector<std::string>& names) {
  std::string text = "  ";
  for (size_t i = 0; i < op.results.size(); ++i) {
    const Value& value = function[op.results[i]];
    text +=
        fmt::format("{}%{}: {}", i ? ", " : "", names[op.results[i].index], to_string(value.type));
    if (value.offset)
      text += fmt::format(" @{}", *value.offset);
  }
  text += fmt::format(" = {}", def(op).name);
  if (!op.callee.empty())
    text += " @" + op.callee;
  text += "(";
  for (size_t i = 0; i < op.operands.size(); ++i)
    text += fmt::format("{}%{}", i ? ", " : "", names[op.operands[i].index]);
  text += ")";
  if (!op.attrs.empty())
    text += " " + to_string(op.attrs);
  if (!op.loc.empty())
    text += " loc " + to_string(Attr(op.loc));
  return text + "\n";
}

std::string return_line(const Function& function, const std::vector<std::string>& names) {
  std::string text = "  return";
  for (size_t i = 0; i < function.results.size(); ++i) {
    const Result& result = function.results[i];
    text += i ? ", " : " ";
    if (!result.name.empty())
      text += result.name + "=";
    text += "%" + names[result.value.index];
    if (!result.state.empty())
      text += " -> @" + result.state;
  }
  return text + "\n";
}

}  // namespace

std::vector<std::string> unique_names(const Function& function) {
  std::vector<std::string> names(function.values.size());
  std::unordered_set<std::string> used;
  std::unordered_map<std::string, int> next;
  auto give = [&](ValueId id) {
    const std::string& hint = function[id].name;
    std::string base = hint.empty() ? "v" : hint, name = base;
    while (!used.insert(name).second)
      name = fmt::format("{}.{}", base, ++next[base]);
    names[id.index] = std::move(name);
  };
  for (const Parameter& parameter : function.parameters)
    give(parameter.value);
  for (const Op& op : function.ops)
    for (ValueId result : op.results)
      give(result);
  return names;
}

std::string print(const Function& function) {
  std::vector<std::string> names = unique_names(function);
  std::string text = header(function, names);
  std::optional<Phase> phase;
  for (const Op& op : function.ops) {
    if (phase != op.phase) {
      phase = op.phase;
      text += fmt::format("{}:\n", name_of(op.phase));
    }
    text += line(function, op, names);
  }
  return text + return_line(function, names) + "}\n";
}

std::string print(const Module& module) {
  std::string text = fmt::format("module @{}{}{}\n", module.name, module.attrs.empty() ? "" : " ",
                                 to_string(module.attrs));
  for (const StateTensor& state : module.states) {
    text += fmt::format("{} @{}: {}", name_of(state.role), state.name, to_string(state.type));
    if (!state.attrs.empty())
      text += " " + to_string(state.attrs);
    if (!state.loc.empty())
      text += " loc " + to_string(Attr(state.loc));
    text += "\n";
  }
  for (const Function& function : module.functions)
    text += "\n" + print(function);
  return text;
}

}  // namespace gradc
