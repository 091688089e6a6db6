#pragma once
// Windows that slide over the last axes of a tensor: their geometry, and the element rules of the
// ops in window.cpp.
#include <vector>

#include "ir/ops/rules.h"

namespace gradc::ops {

// One axis. Window o covers the positions o * stride - low + k * dilation for 0 <= k < window.
// Element i of x is at position i * base.
struct WindowAxis {
  int64_t size = 1, window = 1, stride = 1, low = 0, high = 0, dilation = 1;
  int64_t base = 1;  // attribute base_dilation
  int64_t spread() const { return (size - 1) * base + 1; }
  int64_t span() const { return (window - 1) * dilation + 1; }
  int64_t result_size() const { return (spread() + low + high - span()) / stride + 1; }
  // How many elements of x a window can hold.
  int64_t elements() const { return dilation == 1 ? (window + base - 1) / base : window; }
};
using WindowAxes = std::vector<WindowAxis>;  // of x, the leading axes with windows of 1

WindowAxes window_axes(const Type& x, const Attrs& attrs);

// The windows with the roles of stride and base exchanged: element i of x is covered by the
// windows that are elements of this axis's window i. So the gradient of a window sum is one.
WindowAxis transposed(const WindowAxis& axis);

loop::Scalar element_window_sum(loop::ElementContext& c);
loop::Scalar element_window_max(loop::ElementContext& c);
loop::Scalar element_window_max_gather(loop::ElementContext& c);
loop::Scalar element_window_max_scatter(loop::ElementContext& c);

}  // namespace gradc::ops
