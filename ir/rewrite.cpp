#include "ir/rewrite.h"

#include "ir/diagnostic.h"

namespace gradc {
namespace {

ValueId mapped_value(const Function& from, const std::vector<ValueId>& map, ValueId old) {
  GRADC_CHECK(map[old.index].valid(), "%{} of @{} has no new value yet", from[old].name, from.name);
  return map[old.index];
}

}  // namespace

void append_copy(Function& to, const Function& from, Op op, std::vector<ValueId>& map) {
  for (ValueId& operand : op.operands)
    operand = mapped_value(from, map, operand);
  for (ValueId& result : op.results) {
    to.values.push_back({from.type(result), from[result].name, std::nullopt});
    ValueId fresh{static_cast<uint32_t>(to.values.size() - 1)};
    map[result.index] = fresh;
    result = fresh;
  }
  to.ops.push_back(std::move(op));
}

Rewrite::Rewrite(const Function& from) : from_(from), builder_(to_), map_(from.values.size()) {
  to_.kind = from.kind;
  to_.name = from.name;
  to_.attrs = from.attrs;
  for (const Parameter& parameter : from.parameters)
    map(parameter.value, builder_.parameter(from.type(parameter.value), from[parameter.value].name,
                                            parameter.state));
}

Builder& Rewrite::at(const Op& op) {
  builder_.phase = op.phase;
  builder_.loc = op.loc;
  return builder_;
}

ValueId Rewrite::operator()(ValueId old) const {
  return mapped_value(from_, map_, old);
}

std::vector<ValueId> Rewrite::operator()(const std::vector<ValueId>& old) const {
  std::vector<ValueId> result;
  for (ValueId value : old)
    result.push_back((*this)(value));
  return result;
}

void Rewrite::copy(const Op& op) {
  append_copy(to_, from_, op, map_);
}

Function Rewrite::finish() {
  for (const Result& result : from_.results)
    to_.results.push_back({(*this)(result.value), result.name, result.state});
  return std::move(to_);
}

Function without_dead_ops(const Function& function) {
  std::vector<bool> live(function.values.size());
  for (const Result& result : function.results)
    live[result.value.index] = true;
  auto is_live = [&](const Op& op) {
    for (ValueId result : op.results)
      if (live[result.index])
        return true;
    return false;
  };
  for (auto op = function.ops.rbegin(); op != function.ops.rend(); ++op)
    if (is_live(*op))
      for (ValueId operand : op->operands)
        live[operand.index] = true;
  Rewrite rewrite(function);
  for (const Op& op : function.ops)
    if (is_live(op))
      rewrite.copy(op);
  return rewrite.finish();
}

std::string unused_function_name(const Module& module, const std::string& name) {
  std::string candidate = name;
  for (int i = 1; module.find_function(candidate); ++i)
    candidate = fmt::format("{}.{}", name, i);
  return candidate;
}

}  // namespace gradc
