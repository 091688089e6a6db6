#pragma once
// A convolution, or its data gradient, as products of matrices: rows are positions of the result,
// the depth is a tap's channels after the other's. Gaps that a stride leaves in a data gradient are
// never multiplied: positions of one remainder meet the same taps, and are a phase of their own.
// Of a weight gradient the depth are positions, and a tap's channels after the other's columns.
#include <optional>
#include <vector>

#include "compiler/lower/contraction.h"

namespace gradc {

// One axis of the image, except its channels. Position i of the phase and its tap j meet index
//   position_step * i + tap_step * j + offset
struct WindowAxis {
  std::optional<size_t> position_loop, tap_loop;  // of the nest
  int64_t size = 1;  // of the image
  int64_t positions = 1;  // of the position loop: first, first + period, ...
  int64_t first = 0, period = 1;
  int64_t taps = 1;  // of the tap loop: first_tap, first_tap + tap_period, ...
  int64_t first_tap = 0, tap_period = 1;
  int64_t position_step = 1, tap_step = 1;  // not below 1
  int64_t offset = 0;
};

struct WindowPhase {
  std::vector<WindowAxis> axes;  // in the image's order
  int64_t taps() const;
  int64_t positions() const;
};

struct MatrixWindows {
  size_t image = 0;  // the operand; the other is the weight
  size_t column_loop = 0, channel_loop = 0;
  int64_t channels = 1;
  std::vector<WindowPhase> phases;
};

// Nothing where a nest has another form. The image is channels last.
std::optional<MatrixWindows> matrix_windows(const ContractionNest& nest);

// A weight gradient: of each position all outputs' gradients, side by side in memory, and what the
// taps meet in the image.
struct MatrixPixels {
  size_t image = 0;  // the operand; the other is the gradient
  size_t output_loop = 0, channel_loop = 0;  // the last may be none, of one channel
  int64_t outputs = 1, channels = 1;
  WindowPhase phase;
};

std::optional<MatrixPixels> matrix_pixels(const ContractionNest& nest);

}  // namespace gradc
