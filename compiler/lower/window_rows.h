#pragma once
// Rows of a matrix unit's operand from an image: each is what the taps at one position meet, a
// tap's channels after the other's, with zeros where a tap leaves the image.
#include "compiler/lower/kernel_values.h"
#include "compiler/lower/matrix_windows.h"
#include "compiler/lower/segments.h"

namespace gradc {

// Positions [start, start + size) of each axis of a phase, counted in the phase, and some channels.
struct WindowBlock {
  std::vector<loop::Scalar> start;
  std::vector<int64_t> size;
  loop::Scalar first_channel;
  int64_t channels = 1;
  int64_t positions() const { return element_count(size); }
};

// Blocks that have the same sizes: one Segment per axis of a phase.
using WindowParts = std::vector<Segment>;
// All blocks of a phase, of `most` positions at most, whole inner axes first.
std::vector<WindowParts> window_parts(const WindowPhase& phase, int64_t most);

// Some rows side by side: that of position p lies at p * row_elements in a scratch buffer.
struct WindowRows {
  uint32_t buffer = 0;
  int64_t row_elements = 0;
};

// Brings the rows of a block into order, zeros behind their depth up to `row_elements`.
WindowRows window_rows(KernelValues& values, const ContractionNest& nest, size_t image,
                       const WindowPhase& phase, const WindowBlock& block, int64_t row_elements);

}  // namespace gradc
