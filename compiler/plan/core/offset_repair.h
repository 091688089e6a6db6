#pragma once
// Offsets that end above a capacity, repaired place by place.
#include <cstdint>
#include <span>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

// Buffers of `placed` have an offset in `at`, and no two that conflict overlap. One that ends above
// `capacity` is put in the way of others, which then go into the smallest gaps that take them; the
// result stands if no more bytes stick out than before, or hardly more. Whether all are within the
// capacity in the end; else `at` is as it was. About `work` nanoseconds, which are counted.
bool repair_offsets(std::span<const Buffer> buffers, const std::vector<int>& placed,
                    const std::vector<std::vector<int>>& conflicts, int64_t capacity, int64_t work,
                    std::vector<int64_t>& at);

}  // namespace gradc
