#include "compiler/plan/floor.h"

#include <algorithm>
#include <set>

#include "ir/op_def.h"

namespace gradc {
namespace {

// Whether the result is elements of the operand under another shape or repeated: no bytes of its
// own.
bool only_shows(const Op& op) {
  return def(op).kernel == KernelClass::view || op.code == Opcode::broadcast;
}

}  // namespace

int64_t floor_bytes(const Function& function) {
  // By value: itself, or what it shows; nullopt for state, constants and what is moved out of them.
  std::vector<std::optional<ValueId>> bytes_of(function.values.size());
  for (const Parameter& parameter : function.parameters)
    if (parameter.state.empty())
      bytes_of[parameter.value.index] = parameter.value;
  int64_t floor = 0;
  for (const Op& op : function.ops) {
    bool shows = only_shows(op), from_state = true;
    std::set<ValueId> held;
    for (ValueId operand : op.operands)
      if (const auto& held_value = bytes_of[operand.index]) {
        held.insert(*held_value);
        from_state = false;
      }
    if (shows) {
      bytes_of[op.result().index] = bytes_of[op.operand(0).index];
      continue;
    }
    bool slices = op.code == Opcode::slice;
    bool moves = slices || op.code == Opcode::transpose || op.operands.empty();
    if (moves && from_state)
      continue;
    int64_t bytes = 0;
    if (slices) {
      bytes += function.type(op.result()).bytes();
      held.clear();
    }
    for (ValueId result : op.results) {
      bytes_of[result.index] = result;
      held.insert(result);
    }
    for (ValueId value : held)
      bytes += function.type(value).bytes();
    floor = std::max(floor, bytes);
  }
  return floor;
}

}  // namespace gradc
