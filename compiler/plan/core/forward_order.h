#pragma once
// Orders of graphs in which nothing is to be freed by going back: inference.
#include <optional>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// An order of forward kernels whose peak is below `peak`, the lowest that a search over sets of
// kernels that have run finds: what is live follows from the set. Sets go on by their peak, as many
// of a size as there is time for, so that graphs of few branches are searched completely.
std::optional<Schedule> forward_order_below(const Problem& problem, int64_t peak);

}  // namespace gradc
