#pragma once
// Along an axis of a depthwise convolution, which taps meet which pixels.
#include <utility>
#include <vector>

#include "compiler/lower/contraction.h"
#include "compiler/lower/segments.h"

namespace gradc {

// A tap and the pixel that it meets: step * j + offset.
struct MetTap {
  int64_t tap = 0, step = 1, offset = 0;
};

// Pixels first + step * j, j < count, along an axis, which meet the same taps.
struct PixelPhase {
  int64_t first = 0, step = 1, count = 0;
  std::vector<MetTap> taps;
};

// What an axis of the walk is over: the result's pixels, or those of a weight gradient's dy.
struct WalkedAxis {
  std::vector<PixelPhase> phases;
  int64_t source = 0;  // pixels of what the taps meet
};

WalkedAxis walked_axis(const Op& op, size_t axis, int64_t target, int64_t source, int64_t taps);

// The pixels of a phase of which all taps are inside.
Range inner_pixels(const PixelPhase& phase, int64_t source);

// All pixels of a phase: the inner ones (true), and those before and behind them.
std::vector<std::pair<Segment, bool>> parts_of(const PixelPhase& phase, int64_t source);

}  // namespace gradc
