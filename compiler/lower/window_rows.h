#pragma once
// Rows of a matrix unit's operand from an image: each is what the taps at one position meet, a
// tap's channels after the other's, with zeros where a tap leaves the image.
#include "compiler/lower/kernel_values.h"
#include "compiler/lower/matrix_windows.h"

namespace gradc {

// Positions [start, start + size) of each axis of a phase, counted in the phase.
struct WindowBlock {
  std::vector<loop::Scalar> start;
  std::vector<int64_t> size;
  int64_t positions() const { return element_count(size); }
};

// Some rows side by side: that of position p lies at p * row_elements in a scratch buffer.
struct WindowRows {
  uint32_t buffer = 0;
  int64_t row_elements = 0;
};

// Brings the rows of a block into order, zeros behind their depth up to `row_elements`.
WindowRows window_rows(KernelValues& values, const ContractionNest& nest,
                       const MatrixWindows& windows, const WindowPhase& phase,
                       const WindowBlock& block, int64_t row_elements);

}  // namespace gradc
