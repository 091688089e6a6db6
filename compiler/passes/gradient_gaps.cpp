#include "compiler/passes/gradient_gaps.h"

#include <algorithm>

#include "compiler/entries.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/reverse.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

std::vector<ValueId> trained_parameters(const Module& module, const Function& step,
                                        const Options& options) {
  std::vector<ValueId> trained;
  for (const Parameter& parameter : step.parameters)
    for (const StateTensor& state : module.states)
      if (state.name == parameter.state && is_trainable(state, options))
        trained.push_back(parameter.value);
  return trained;
}

}  // namespace

std::vector<Op> ops_without_gradient(const Module& module, const Options& options) {
  const Function* step = module.find_function(kTrainStep);
  const Result* loss = step ? step->find_result(kLoss) : nullptr;
  if (!loss)
    return {};
  std::vector<bool> active = active_values(*step, trained_parameters(module, *step, options));
  std::vector<bool> reached(step->values.size());
  reached[loss->value.index] = true;
  std::vector<Op> found;
  for (auto op = step->ops.rbegin(); op != step->ops.rend(); ++op) {
    auto is_active = [&](ValueId value) { return active[value.index]; };
    auto is_reached = [&](ValueId value) { return reached[value.index]; };
    if (std::none_of(op->operands.begin(), op->operands.end(), is_active) ||
        std::none_of(op->results.begin(), op->results.end(), is_reached))
      continue;
    for (ValueId operand : op->operands)
      reached[operand.index] = reached[operand.index] || active[operand.index];
    if (!def(*op).vjp && !def(*op).expand && def(*op).kernel != KernelClass::control)
      found.push_back(*op);
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace gradc
