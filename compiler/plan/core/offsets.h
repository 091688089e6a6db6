#pragma once
// Where buffers go, so that no two that are needed at the same step overlap.
#include <cstdint>
#include <span>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

struct Offsets {
  std::vector<int64_t> at;  // by buffer, multiples of kAlignment
  int64_t bytes = 0;  // the end of the highest: at least the most bytes needed at one step
};

// The most bytes that are needed at one step.
int64_t most_live(std::span<const Buffer> buffers);

// The best of greedy placements in several orders, some of them by chance; where that ends above
// `capacity`, offsets within it, if about `work` nanoseconds find them, which are counted and not
// timed.
Offsets place_within(std::span<const Buffer> buffers, int64_t capacity, int64_t work);

// The quick placements end at what is live at the peak for most entries; if not, a search follows,
// of about `work` nanoseconds. They are counted, not timed, so that the result is the same on every
// machine.
Offsets place_buffers(std::span<const Buffer> buffers, int64_t work = 500'000'000);

}  // namespace gradc
