#pragma once
// Which whole numbers a register can hold. Indices that fit into 32 bits are vectors of half the
// size, and what is not negative is divided by shifts and high products.
#include <cstdint>
#include <vector>

#include "ir/loop.h"

namespace gradc {

struct IndexRange {
  bool known = false;
  int64_t low = 0, high = 0;

  bool fits_32_bits() const { return known && low >= INT32_MIN && high <= INT32_MAX; }
  bool is_not_negative() const { return known && low >= 0; }
};

// By register; known of i64 registers only, and of those that loops' extents and constants bound.
std::vector<IndexRange> index_ranges(const loop::Kernel& kernel);

}  // namespace gradc
