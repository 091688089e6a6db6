#pragma once
// Windows of random size, stride, dilation and padding.
#include "tests/support/feed.h"

namespace gradc::test {

// A valid example of window_max over f32[2,n]; its attributes suit the other window ops as well.
inline Example random_window(Feed& feed) {
  for (;;) {
    int64_t window = 1 + feed.below(4), dilation = feed.chance(0.5) ? 1 : 1 + feed.below(3);
    int64_t span = (window - 1) * dilation + 1;
    Attrs attrs = {{"window", std::vector{window}},
                   {"stride", std::vector{1 + feed.below(4)}},
                   {"low", std::vector{feed.below(span)}},
                   {"high", std::vector{feed.below(span)}}};
    if (dilation > 1)
      attrs.set("dilation", std::vector{dilation});
    Example example{Opcode::window_max, {{DType::f32, {2, 1 + feed.below(7)}}}, attrs};
    try {
      infer_types(example.code, example.operands, attrs);
      return example;
    } catch (const UserError&) {
      continue;  // the window does not fit
    }
  }
}

}  // namespace gradc::test
