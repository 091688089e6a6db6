#pragma once
// Checkpointing by segments (Chen et al. 2016): of the forward kernels only what crosses from one
// segment to the next is kept; the backward kernels have each segment run again when they reach it.
#include <optional>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// `order` runs every kernel once. nullopt when there is nothing to cut into `segments` pieces, or
// when a kernel would have to run after state that it reads is overwritten.
std::optional<Schedule> checkpoint_segments(const Problem& problem, const Schedule& order,
                                            int segments);

}  // namespace gradc
