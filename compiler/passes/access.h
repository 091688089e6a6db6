#pragma once
// How an op of class map reads its operands, learnt by running its element rule once.
#include <optional>
#include <vector>

#include "ir/module.h"

namespace gradc {

// map[j] is the result's axis whose index is the operand's index on axis j; nullopt when the
// operand is read in another way (shifted, gathered, several times, ...). [0, 1, ..., rank-1] with
// equal dims is the same position.
using AxisMap = std::optional<std::vector<int64_t>>;

AxisMap identity_map(int64_t rank);
// Through two steps: `inner` maps u to d's axes, `outer` d to o's.
AxisMap compose(const AxisMap& outer, const AxisMap& inner);

// One AxisMap per operand of `op`, which must have an element rule.
std::vector<AxisMap> operand_accesses(const Function& function, const Op& op);

}  // namespace gradc
