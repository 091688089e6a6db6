#pragma once
// What a tile fetches of the block of an operand that will be copied next: the tiles that multiply
// before it share the block out.
#include <optional>
#include <vector>

#include "compiler/lower/stage_operand.h"

namespace gradc {

// One of `count` parts.
struct Part {
  loop::Scalar number;
  int64_t count = 1;

  // Part `i` of `parts` of this one.
  Part inner(loop::Builder& builder, loop::Scalar i, int64_t parts) const {
    return {builder.add(builder.scaled(number, parts), i), count * parts};
  }
};

// Whether an operand is large enough to be fetched ahead, and is copied as it lies in memory.
bool pays_to_fetch(const KernelValues& values, const ContractionNest& nest, size_t operand);

struct AheadPart {
  loop::TileAhead rows;
  loop::Scalar start;
};

// That part of the block, which has `sizes` iterations of each loop; none if it does not lie as
// rows at one distance. Parts may end behind the block.
std::optional<AheadPart> part_ahead(loop::Builder& builder, const OperandAccess& block,
                                    const std::vector<int64_t>& sizes, const Part& part);

// What a tile's epilogue reads or stores where its sums lie in the result, in large tensors.
struct BehindTile {
  uint32_t buffer;
  bool written = false;
  bool streamed = false;  // past the caches
};
std::vector<BehindTile> behind_tile(const KernelValues& values, const ContractionNest& nest);

}  // namespace gradc
