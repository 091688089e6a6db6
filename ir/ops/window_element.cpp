// Element rules over windows: the window's elements are read by code without branches or loops, so
// that the loop around it can be a vector loop.
#include <limits>
#include <optional>

#include "ir/ops/window.h"

namespace gradc::ops {

using loop::Code;
using loop::Scalar;

namespace {

// Index in x of the first element of window `at` that may exist: ceil((at * stride - low) / base),
// by a division of numbers that are not negative.
Scalar first_index(loop::Builder& b, Scalar at, const WindowAxis& axis) {
  Scalar position = b.scaled(at, axis.stride);
  if (axis.base == 1)
    return b.sub(position, b.index(axis.low));
  int64_t before = axis.low / axis.base;
  int64_t rounding = before * axis.base - axis.low + axis.base - 1;
  Scalar index = b.div(b.add(position, b.index(rounding)), b.index(axis.base));
  return b.sub(index, b.index(before));
}

// The smallest and the largest that first_index can be.
std::pair<int64_t, int64_t> first_index_range(const WindowAxis& axis) {
  auto ceil_div = [](int64_t x, int64_t y) { return x > 0 ? (x + y - 1) / y : -(-x / y); };
  int64_t last = (axis.result_size() - 1) * axis.stride - axis.low;
  return {ceil_div(-axis.low, axis.base), ceil_div(last, axis.base)};
}

// One of the elements along an axis that a window can hold. The guard says where it exists.
struct Tap {
  Scalar index;
  Guard exists;
};
using Taps = std::vector<Tap>;  // in rising order

// Tap k of a window with dilation, at position window * stride - low + k * dilation.
Tap spread_tap(loop::ElementContext& c, const WindowAxis& axis, Scalar window, int64_t k) {
  loop::Builder& b = c.b;
  int64_t last = (axis.result_size() - 1) * axis.stride;
  Scalar shifted = b.add(b.scaled(window, axis.stride), b.index(k * axis.dilation));
  int64_t before = axis.low / axis.base;
  Tap tap{b.sub(b.div(shifted, b.index(axis.base)), b.index(before)), Guard(c)};
  int64_t rest = axis.low % axis.base;
  if (axis.base == 1)
    tap.index = b.sub(shifted, b.index(axis.low));
  else
    tap.exists.require(b.compare(Code::equal, b.rem(shifted, b.index(axis.base)), b.index(rest)));
  tap.exists.require_range(tap.index, 0, axis.size, k * axis.dilation / axis.base - before,
                           (last + k * axis.dilation) / axis.base - before);
  return tap;
}

Taps taps_of_window(loop::ElementContext& c, const WindowAxis& axis, Scalar window) {
  Taps taps;
  if (axis.dilation > 1) {
    for (int64_t k = 0; k < axis.window; ++k)
      taps.push_back(spread_tap(c, axis, window, k));
    return taps;
  }
  Scalar first = first_index(c.b, window, axis);
  auto [least, most] = first_index_range(axis);
  for (int64_t i = 0; i < axis.elements(); ++i) {
    Tap tap{c.b.add(first, c.b.index(i)), Guard(c)};
    tap.exists.require_range(tap.index, 0, axis.size, least + i, most + i);
    // Only the last one can pass the window's end, and only if `base` does not divide it.
    if (i == axis.elements() - 1 && axis.window % axis.base != 0) {
      Scalar end =
          c.b.add(c.b.mul(window, c.b.index(axis.stride)), c.b.index(axis.window - axis.low));
      Scalar at = c.b.mul(tap.index, c.b.index(axis.base));
      tap.exists.require(c.b.compare(Code::less, at, end));
    }
    taps.push_back(tap);
  }
  return taps;
}

// Calls f(guard, indices in x, number) for each combination of the axes' taps, in row-major order.
// The calls are fixed: where the guard, which adds to `outer`, does not hold, there is no element.
template <typename F>
void for_each_element(const std::vector<Taps>& taps, const Guard& outer, F f) {
  Dims counts;
  for (const Taps& axis : taps)
    counts.push_back(static_cast<int64_t>(axis.size()));
  for (int64_t n = 0; n < element_count(counts); ++n) {
    Dims chosen = unravel(n, counts);
    std::vector<Scalar> indices;
    Guard guard = outer;
    for (size_t i = 0; i < taps.size(); ++i) {
      const Tap& tap = taps[i][static_cast<size_t>(chosen[i])];
      indices.push_back(tap.index);
      guard.require(tap.exists);
    }
    f(guard, indices, n);
  }
}

std::vector<Taps> taps_of_windows(loop::ElementContext& c, const WindowAxes& axes,
                                  std::span<const Scalar> window) {
  std::vector<Taps> taps;
  for (size_t i = 0; i < axes.size(); ++i)
    taps.push_back(taps_of_window(c, axes[i], window[i]));
  return taps;
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

// The elements of the window at `window`, which covers the position asked for, and the number that
// this position has among them.
struct CoveringWindow {
  std::vector<Taps> taps;
  Scalar number;
};

// Along the last axis, whose elements are neighbours in memory, taps are at fixed distances from
// the position asked for: lanes then read runs of elements, at the price of more taps, of which
// each lane uses those in its window.
Taps neighbours(loop::ElementContext& c, const WindowAxis& axis, Scalar at, Scalar offset) {
  Taps taps;
  for (int64_t tap_distance = 1 - axis.window; tap_distance < axis.window; ++tap_distance) {
    int64_t distance = tap_distance * axis.dilation;
    Tap tap{c.b.add(at, c.b.index(distance)), Guard(c)};
    Scalar in_window = c.b.add(offset, c.b.index(distance));
    tap.exists.require_range(in_window, 0, axis.span(), distance, axis.span() - 1 + distance);
    if (axis.low > 0 || axis.high > 0)
      tap.exists.require_range(tap.index, 0, axis.size, distance, axis.size - 1 + distance);
    taps.push_back(tap);
  }
  return taps;
}

CoveringWindow covering_window(loop::ElementContext& c, const WindowAxes& axes,
                               std::span<const Scalar> window) {
  CoveringWindow covering{{}, c.b.index(0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    const WindowAxis& axis = axes[i];
    Scalar at = c.position()[i], begin = c.b.mul(window[i], c.b.index(axis.stride));
    Scalar offset = c.b.sub(c.b.add(at, c.b.index(axis.low)), begin);
    bool is_last = i + 1 == axes.size() && axis.window > 1;
    covering.taps.push_back(is_last ? neighbours(c, axis, at, offset)
                                    : taps_of_window(c, axis, window[i]));
    Scalar number = is_last ? c.b.index(axis.window - 1) : offset;
    if (!is_last && axis.dilation > 1)
      number = c.b.div(offset, c.b.index(axis.dilation));
    auto count = static_cast<int64_t>(covering.taps.back().size());
    covering.number = c.b.add(c.b.mul(covering.number, c.b.index(count)), number);
  }
  covering.number = c.b.convert(covering.number, DType::i32);
  return covering;
}

// dy of the window at `window` if the position asked for is its first maximum, else 0.
Scalar share_of_window(loop::ElementContext& c, const WindowAxes& axes, Guard& exists,
                       std::span<const Scalar> window) {
  Scalar outside = lowest(c), zero = c.b.constant(c.result_type().dtype, 0);
  CoveringWindow covering = covering_window(c, axes, window);
  FirstMaximum best;  // with its number
  for_each_element(covering.taps, exists,
                   [&](Guard& guard, std::span<const Scalar> indices, int64_t number) {
                     Scalar x = guard.read(0, indices, outside);
                     best.add(c.b, x, c.b.constant(DType::i32, static_cast<double>(number)));
                   });
  Scalar chosen = c.b.compare(Code::equal, *best.companion, covering.number);
  return c.b.select(chosen, exists.read(1, window, zero), zero);
}

}  // namespace

Scalar element_window_sum(loop::ElementContext& c) {
  DType dtype = c.result_type().dtype;
  bool is_half = is_float(dtype) && byte_size(dtype) < 4;
  Scalar zero = c.b.constant(dtype, 0);
  std::optional<Scalar> sum;
  for_each_element(taps_of_windows(c, window_axes(c.operand_type(0), c.attrs()), c.position()),
                   Guard(c), [&](Guard& guard, std::span<const Scalar> indices, int64_t) {
                     Scalar x = guard.read(0, indices, zero);
                     x = is_half ? c.b.convert(x, DType::f32) : x;
                     sum = sum ? c.b.add(*sum, x) : x;
                   });
  return c.b.convert(*sum, dtype);
}

Scalar element_window_max(loop::ElementContext& c) {
  Scalar outside = lowest(c);
  std::optional<Scalar> best;
  for_each_element(taps_of_windows(c, window_axes(c.operand_type(0), c.attrs()), c.position()),
                   Guard(c), [&](Guard& guard, std::span<const Scalar> indices, int64_t) {
                     Scalar x = guard.read(0, indices, outside);
                     best = best ? c.b.max(*best, x) : x;
                   });
  return *best;
}

Scalar element_window_max_gather(loop::ElementContext& c) {
  Scalar outside = lowest(c), zero = c.b.constant(c.result_type().dtype, 0);
  FirstMaximum best;
  for_each_element(taps_of_windows(c, window_axes(c.operand_type(0), c.attrs()), c.position()),
                   Guard(c), [&](Guard& guard, std::span<const Scalar> indices, int64_t) {
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
  for_each_element(taps_of_windows(c, covering, c.position()), Guard(c),
                   [&](Guard& exists, std::span<const Scalar> window, int64_t) {
                     Scalar share = share_of_window(c, axes, exists, window);
                     sum = sum ? c.b.add(*sum, share) : share;
                   });
  return *sum;
}

}  // namespace gradc::ops
