#pragma once
// The iteration space of a map kernel in pieces, where a concatenation along an outer axis says
// which operand is read: in each piece it is one of them, and nothing asks.
#include <vector>

#include "compiler/lower/iteration_space.h"

namespace gradc {

struct MapPiece {
  IterationSpace space;
  PointBody body;  // at indices that count from the piece's begin
};

// Together they are `space`, that of the kernel's results, in the order of the concatenation; one
// piece where there is none that the kernel reads at the point that it computes, or where it runs
// along rows (row_parts.h).
std::vector<MapPiece> map_pieces(const Function& kernel, IterationSpace space);

}  // namespace gradc
