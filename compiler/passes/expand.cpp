#include "compiler/passes/expand.h"

#include <algorithm>

#include "ir/rewrite.h"

namespace gradc {
namespace {

// Replaces one level of composites.
Function expand_once(const Function& function, bool (*wanted)(const OpDef&)) {
  Rewrite rewrite(function);
  for (const Op& op : function.ops) {
    if (!wanted(def(op))) {
      rewrite.copy(op);
      continue;
    }
    Op mapped = op;
    mapped.operands = rewrite(op.operands);
    Builder& builder = rewrite.at(op);
    size_t first_new = rewrite.to().values.size();
    std::vector<ValueId> values = def(op).expand(builder, mapped);
    for (size_t i = first_new; i < rewrite.to().values.size(); ++i)
      rewrite.to().values[i].name.insert(0, function[op.result()].name + ".");
    GRADC_CHECK(values.size() == op.results.size(), "`{}` expands to {} values, has {} results",
                def(op).name, values.size(), op.results.size());
    for (size_t i = 0; i < values.size(); ++i) {
      GRADC_CHECK(builder.type(values[i]) == function.type(op.results[i]),
                  "`{}` expands to {}, its result {} is {}", def(op).name,
                  to_string(builder.type(values[i])), i, to_string(function.type(op.results[i])));
      rewrite.map(op.results[i], values[i]);
      if (values[i].index >= first_new)
        builder.set_name(values[i], function[op.results[i]].name);
    }
  }
  return rewrite.finish();
}

// Behind autodiff the op says nothing any more.
Function without_stop_gradient(const Function& function) {
  Rewrite rewrite(function);
  for (const Op& op : function.ops)
    if (op.code == Opcode::stop_gradient)
      rewrite.map(op.result(), rewrite(op.operand(0)));
    else
      rewrite.copy(op);
  return rewrite.finish();
}

}  // namespace

Function expand_where(const Function& function, bool (*wanted)(const OpDef& op)) {
  Function expanded = function;
  while (std::any_of(expanded.ops.begin(), expanded.ops.end(),
                     [&](const Op& op) { return wanted(def(op)); }))
    expanded = expand_once(expanded, wanted);
  return expanded;
}

Module expand(const Module& module, const Options& options) {
  bool (*wanted)(const OpDef& op) = [](const OpDef& op) {
    return op.kernel == KernelClass::composite;
  };
  if (options.expand_all)
    wanted = [](const OpDef& op) { return op.expand != nullptr; };
  Module expanded = module;
  for (Function& function : expanded.functions)
    function = without_stop_gradient(expand_where(function, wanted));
  return expanded;
}

}  // namespace gradc
