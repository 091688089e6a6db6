#pragma once
// Which of a window's taps meet an element of an operand: padding, and the gaps that a stride
// leaves in a gradient, are never multiplied. Along one axis these taps are first, first + stride,
// ... (count of them), and the elements they meet are evenly spaced too.
#include <optional>
#include <vector>

#include "compiler/lower/contraction.h"
#include "ir/loop_builder.h"

namespace gradc {

// An axis of an operand with padding or gaps: its index is
//   (result_step * position + summed_step * tap + offset) / divisor
// of one loop of the result, if any, and one summed loop.
struct TapAxis {
  size_t axis = 0;
  std::optional<size_t> result_loop;
  size_t summed_loop = 0;
};

// Those axes; nothing if an index of one of them is of another form.
std::optional<std::vector<TapAxis>> tap_axes(const ContractionNest& nest, size_t operand);

// The positions of the axis's result loop at which every tap meets an element. The operand has no
// gaps along it.
Range inner_positions(const ContractionNest& nest, size_t operand, const TapAxis& axis);

struct PresentTaps {
  loop::Scalar first, count;  // of the taps; the first counts from the block's start
  loop::Scalar index;  // on the axis, of what the first tap meets
  int64_t stride = 1;  // from tap to tap
  int64_t index_step = 0;  // from what one tap meets to the next
};

// At a position of the result loop, for the taps [start, start + size).
PresentTaps present_taps(loop::Builder& builder, const ContractionNest& nest, size_t operand,
                         const TapAxis& axis, loop::Scalar position, loop::Scalar start,
                         int64_t size);

}  // namespace gradc
