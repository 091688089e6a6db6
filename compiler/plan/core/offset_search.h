#pragma once
// Searches for offsets that fit a given arena exactly, where greedy placement leaves holes.
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// Depth first over canonical placements: buffers in the order of their offsets, each as low as the
// ones before it let it (Moffitt, MiniMalloc, ASPLOS 2023). What is left must fit above the lowest
// place that any of it can have; a dead end jumps back to what has a part in it. Restarts with the
// buffers that blocked it first. Gives up after about `work_limit` nanoseconds, which are counted
// and not timed; nullopt proves nothing. All buffers have bytes.
std::optional<std::vector<int64_t>> search_offsets(std::span<const Buffer> buffers,
                                                   int64_t capacity, int64_t work_limit);

}  // namespace gradc
