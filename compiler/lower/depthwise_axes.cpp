#include "compiler/lower/depthwise_axes.h"

#include <algorithm>

#include "ir/integer_math.h"

namespace gradc {

WalkedAxis walked_axis(const Op& op, size_t axis, int64_t target, int64_t source, int64_t taps) {
  int64_t stride = op.attrs.integers("stride")[axis], low = op.attrs.integers("low")[axis];
  int64_t dilation = op.attrs.integers("dilation")[axis];
  WalkedAxis walked{.source = source};
  if (op.code != Opcode::conv_data_gradient) {
    PixelPhase phase{0, 1, target, {}};
    for (int64_t k = 0; k < taps; ++k)
      phase.taps.push_back({k, stride, k * dilation - low});
    walked.phases.push_back(std::move(phase));
    return walked;
  }
  for (int64_t first = 0; first < std::min(stride, target); ++first) {
    PixelPhase phase{first, stride, ceil_div(target - first, stride), {}};
    for (int64_t k = 0; k < taps; ++k)
      if (int64_t numerator = first + low - k * dilation;
          numerator - floor_div(numerator, stride) * stride == 0)
        phase.taps.push_back({k, 1, floor_div(numerator, stride)});
    walked.phases.push_back(std::move(phase));
  }
  return walked;
}

Range inner_pixels(const PixelPhase& phase, int64_t source) {
  Range inner{0, phase.count};
  for (const MetTap& met : phase.taps) {
    inner.begin = std::max(inner.begin, ceil_div(-met.offset, met.step));
    inner.end = std::min(inner.end, floor_div(source - 1 - met.offset, met.step) + 1);
  }
  return inner;
}

std::vector<std::pair<Segment, bool>> parts_of(const PixelPhase& phase, int64_t source) {
  auto [begin, end] = inner_pixels(phase, source);
  if (begin >= end)
    return {{{0, 1, phase.count}, false}};
  std::vector<std::pair<Segment, bool>> parts;
  if (begin > 0)
    parts.push_back({{0, 1, begin}, false});
  parts.push_back({{begin, 1, end - begin}, true});
  if (end < phase.count)
    parts.push_back({{end, 1, phase.count - end}, false});
  return parts;
}

}  // namespace gradc
