#pragma once
// What fuse knows of each op before it groups them.
#include <optional>
#include <vector>

#include "compiler/passes/access.h"
#include "ir/op_def.h"

namespace gradc {

// A value that an op reads, looking through repeated ops, and how its indices follow from the op's
// position.
struct Read {
  ValueId value;
  AxisMap map;
};

struct OpFacts {
  std::vector<std::optional<OpId>> definitions;  // by value: the op that makes it
  // Costs nothing to compute, or less than to write and read back: is inside of each kernel that
  // reads it.
  std::vector<bool> repeated;
  // Belongs to the updates of state, which must not sit in a kernel that may run again: ops of that
  // phase, forward ops (of running statistics) that serve nothing else, and the cast of a narrow
  // gradient that one update reads.
  std::vector<bool> update;
  // Is a slope, such as 1 - y y of y = tanh(x), of values that the backward pass holds anyway. In
  // the kernel that makes y it would be one more value to hold until the gradient comes; beside
  // the gradient it is none. A slope of what nothing else of the backward pass reads, such as the
  // sign of x for relu(x), is not late: it is held instead of x.
  std::vector<bool> late;
  std::vector<std::vector<Read>> reads;
};

// `repeated`: ops to repeat besides those that cost nothing.
OpFacts op_facts(const Function& function, const std::vector<uint32_t>& repeated);

}  // namespace gradc
