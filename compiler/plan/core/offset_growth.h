#pragma once
// Offsets within a capacity for many buffers, by a search for few of them.
#include <cstdint>
#include <span>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// What is needed at the fullest steps is placed by an OffsetSearch, the rest is put into gaps, in
// several orders. What sticks out of the best of them is searched for together with the first ones;
// and so on until nothing sticks out. Gives up after about `work` nanoseconds, which are counted
// and not timed. `live`: bytes by step.
// Gives the end of the highest buffer in the best offsets that were met, which are written to `at`
// for those of `placeable`; INT64_MAX where there are none.
int64_t grow_offsets(std::span<const Buffer> buffers, const std::vector<int>& placeable,
                     const std::vector<std::vector<int>>& conflicts,
                     const std::vector<int64_t>& live, int64_t capacity, int64_t work,
                     std::vector<int64_t>& at);

}  // namespace gradc
