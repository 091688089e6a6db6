#include "compiler/floor.h"

#include <algorithm>
#include <set>

#include "ir/op_def.h"

namespace gradc {
namespace {

bool only_repeats(const Function& entry, const Op& op) {
  const OpDef& record = def(op);
  if (record.kernel == KernelClass::view)
    return true;
  int64_t read = 0;
  for (ValueId operand : op.operands)
    read += entry.type(operand).elements();
  return record.kernel == KernelClass::map && flops_of(entry, op) == 0 && op.results.size() == 1 &&
         read < entry.type(op.results[0]).elements();
}

}  // namespace

int64_t floor_bytes(const Function& entry) {
  // What a value is held as: itself, or what it repeats; nothing for parameters.
  std::vector<std::set<ValueId>> held(entry.values.size());
  for (const Parameter& parameter : entry.parameters)
    if (parameter.state.empty())
      held[parameter.value.index] = {parameter.value};
  int64_t most = 0;
  for (const Op& op : entry.ops) {
    std::set<ValueId> sources;
    for (ValueId operand : op.operands)
      sources.insert(held[operand.index].begin(), held[operand.index].end());
    if (only_repeats(entry, op)) {
      held[op.results[0].index] = sources;
      continue;
    }
    for (ValueId result : op.results) {
      held[result.index] = {result};
      sources.insert(result);
    }
    int64_t bytes = 0;
    for (ValueId source : sources)
      bytes += entry.type(source).bytes();
    most = std::max(most, bytes);
  }
  return most;
}

}  // namespace gradc
