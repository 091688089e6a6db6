// Element rules over windows: the window's elements are read by code without branches or loops, so
// that the loop around it can be a vector loop.
#include <limits>
#include <optional>

#include "ir/ops/window.h"

namespace gradc::ops {

using loop::Code;
using loop::Scalar;

namespace {

// Index in x of the first element of window `at` that may exist: ceil((at * stride - low) /
// dilation), by a division of numbers that are not negative.
Scalar first_index(loop::Builder& b, Scalar at, const WindowAxis& axis) {
  Scalar position = b.mul(at, b.index(axis.stride));
  if (axis.dilation == 1)
    return b.sub(position, b.index(axis.low));
  int64_t before = axis.low / axis.dilation;
  int64_t rounding = before * axis.dilation - axis.low + axis.dilation - 1;
  Scalar index = b.div(b.add(position, b.index(rounding)), b.index(axis.dilation));
  return b.sub(index, b.index(before));
}

// The smallest and the largest that first_index can be.
std::pair<int64_t, int64_t> first_index_range(const WindowAxis& axis) {
  auto ceil_div = [](int64_t x, int64_t y) { return x > 0 ? (x + y - 1) / y : -(-x / y); };
  int64_t last = (axis.result_size() - 1) * axis.stride - axis.low;
  return {ceil_div(-axis.low, axis.dilation), ceil_div(last, axis.dilation)};
}

// Calls f(guard, indices in x, number in the window) for each element that the window at `position`
// can hold, in row-major order. The calls are fixed: where the guard, which adds to `outer`, does
// not hold, there is no element.
template <typename F>
void for_each_element(loop::ElementContext& c, const WindowAxes& axes,
                      std::span<const Scalar> position, const Guard& outer, F f) {
  Dims counts;
  std::vector<Scalar> first;
  for (size_t i = 0; i < axes.size(); ++i) {
    counts.push_back(axes[i].elements());
    first.push_back(first_index(c.b, position[i], axes[i]));
  }
  for (int64_t n = 0; n < element_count(counts); ++n) {
    Dims step = unravel(n, counts);
    std::vector<Scalar> indices;
    Guard guard = outer;
    for (size_t i = 0; i < axes.size(); ++i) {
      const WindowAxis& axis = axes[i];
      indices.push_back(c.b.add(first[i], c.b.index(step[i])));
      auto [least, most] = first_index_range(axis);
      guard.require_range(indices[i], 0, axis.size, least + step[i], most + step[i]);
      // Only the last step can pass the window's end, and only if dilation does not divide it.
      if (step[i] == counts[i] - 1 && axis.window % axis.dilation != 0) {
        Scalar end = c.b.add(c.b.mul(position[i], c.b.index(axis.stride)),
                             c.b.index(axis.window - axis.low));
        Scalar at = c.b.mul(indices[i], c.b.index(axis.dilation));
        guard.require(c.b.compare(Code::less, at, end));
      }
    }
    f(guard, indices, n);
  }
}

Scalar lowest(loop::ElementContext& c) {
  return c.b.constant(c.operand_type(0).dtype, -std::numeric_limits<double>::infinity());
}

// The maximum of a window so far, and what goes with it: the first of equal ones is kept.
struct FirstMaximum {
  std::optional<Scalar> largest, companion;

  void add(loop::Builder& b, Scalar x, Scalar with) {
    if (!largest) {
      largest = x, companion = with;
      return;
    }
    Scalar larger = b.compare(Code::less, *largest, x);
    largest = b.select(larger, x, *largest);
    companion = b.select(larger, with, *companion);
  }
};

// The number, in the window at `window`, of the position asked for.
Scalar number_in_window(loop::ElementContext& c, const WindowAxes& axes,
                        std::span<const Scalar> window) {
  Scalar number = c.b.index(0);
  for (size_t i = 0; i < axes.size(); ++i) {
    Scalar begin = c.b.mul(window[i], c.b.index(axes[i].stride));
    Scalar offset = c.b.sub(c.b.add(c.position()[i], c.b.index(axes[i].low)), begin);
    number = c.b.add(c.b.mul(number, c.b.index(axes[i].window)), offset);
  }
  return c.b.convert(number, DType::i32);
}

// dy of the window at `window` if the position asked for is its first maximum, else 0.
Scalar share_of_window(loop::ElementContext& c, const WindowAxes& axes, Guard& exists,
                       std::span<const Scalar> window) {
  Scalar outside = lowest(c), zero = c.b.constant(c.result_type().dtype, 0);
  FirstMaximum best;  // with its number in the window
  for_each_element(c, axes, window, exists,
                   [&](Guard& guard, std::span<const Scalar> indices, int64_t number) {
                     Scalar x = guard.read(0, indices, outside);
                     best.add(c.b, x, c.b.constant(DType::i32, static_cast<double>(number)));
                   });
  Scalar here = number_in_window(c, axes, window);
  Scalar chosen = c.b.compare(Code::equal, *best.companion, here);
  return c.b.select(chosen, exists.read(1, window, zero), zero);
}

}  // namespace

Scalar element_window_sum(loop::ElementContext& c) {
  Scalar zero = c.b.constant(c.result_type().dtype, 0);
  std::optional<Scalar> sum;
  for_each_element(c, window_axes(c.operand_type(0), c.attrs()), c.position(), Guard(c),
                   [&](Guard& guard, std::span<const Scalar> indices, int64_t) {
                     Scalar x = guard.read(0, indices, zero);
                     sum = sum ? c.b.add(*sum, x) : x;
                   });
  return *sum;
}

Scalar element_window_max(loop::ElementContext& c) {
  Scalar outside = lowest(c);
  std::optional<Scalar> best;
  for_each_element(c, window_axes(c.operand_type(0), c.attrs()), c.position(), Guard(c),
                   [&](Guard& guard, std::span<const Scalar> indices, int64_t) {
                     Scalar x = guard.read(0, indices, outside);
                     best = best ? c.b.max(*best, x) : x;
                   });
  return *best;
}

Scalar element_window_max_gather(loop::ElementContext& c) {
  Scalar outside = lowest(c), zero = c.b.constant(c.result_type().dtype, 0);
  FirstMaximum best;
  for_each_element(c, window_axes(c.operand_type(0), c.attrs()), c.position(), Guard(c),
                   [&](Guard& guard, std::span<const Scalar> indices, int64_t) {
                     Scalar x = guard.read(0, indices, outside);
                     best.add(c.b, x, guard.read(1, indices, zero));
                   });
  return *best.companion;
}

// The sum over the windows that cover this element: one if they do not overlap (stride >= window).
Scalar element_window_max_scatter(loop::ElementContext& c) {
  WindowAxes axes = window_axes(c.operand_type(0), c.attrs()), covering;
  for (const WindowAxis& axis : axes)
    covering.push_back(transposed(axis));
  std::optional<Scalar> sum;
  for_each_element(c, covering, c.position(), Guard(c),
                   [&](Guard& exists, std::span<const Scalar> window, int64_t) {
                     Scalar share = share_of_window(c, axes, exists, window);
                     sum = sum ? c.b.add(*sum, share) : share;
                   });
  return *sum;
}

}  // namespace gradc::ops
