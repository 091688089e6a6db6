#pragma once
// How the registers of a vector loop's body differ from lane to lane. Decides which values stay
// scalar and which accesses are contiguous.
#include <cstdint>
#include <vector>

#include "ir/loop.h"

namespace gradc::codegen {

struct LaneShape {
  enum Kind : uint8_t {
    uniform,  // the same in all lanes
    affine,  // an i64 that grows by `step` from lane to lane
    varying
  };
  Kind kind = uniform;
  int64_t step = 0;  // affine only
  bool operator==(const LaneShape&) const = default;
};

// By register. `body` is a vector loop, or a tile, whose columns are lanes. Registers defined
// outside of it are uniform.
std::vector<LaneShape> lane_shapes(const loop::Kernel& kernel, const loop::Instr& body);

}  // namespace gradc::codegen
