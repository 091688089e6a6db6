// Sums and maxima over sliding windows. The attributes have one entry for each of x's last axes:
// [2,2] slides over the last two of [N,C,H,W], [2,2,1] over H and W of [N,H,W,C]. Windows that
// reach over the border see nothing there.
#include "ir/ops/window.h"

#include <algorithm>
#include <limits>
#include <optional>

namespace gradc::ops {

WindowAxes window_axes(const Type& x, const Attrs& a) {
  WindowAxes axes;
  size_t count = a.integers("window").size(), leading = x.dims.size() - count;
  for (size_t i = 0; i < x.dims.size(); ++i) {
    axes.push_back({x.dims[i]});
    if (i < leading)
      continue;
    size_t k = i - leading;
    axes[i] = {x.dims[i], a.integers("window")[k], a.integers("stride")[k], a.integers("low")[k],
               a.integers("high")[k]};
    if (a.has("dilation"))
      axes[i].dilation = a.integers("dilation")[k];
    if (a.has("base_dilation"))
      axes[i].base = a.integers("base_dilation")[k];
  }
  return axes;
}

WindowAxis transposed(const WindowAxis& axis) {
  WindowAxis result{.size = axis.result_size(),
                    .window = axis.window,
                    .stride = axis.base,
                    .low = axis.span() - 1 - axis.low,
                    .dilation = axis.dilation,
                    .base = axis.stride};
  int64_t covered = result.spread() + result.low;
  result.high = std::max<int64_t>(0, axis.spread() + axis.span() - 1 - covered);
  return result;
}

namespace {

void check_window_axis(size_t i, const WindowAxis& axis) {
  if (axis.window < 1 || axis.stride < 1 || axis.dilation < 1 || axis.base < 1)
    fail("axis {}: window {}, stride {}, dilation {} and base dilation {} must be at least 1", i,
         axis.window, axis.stride, axis.dilation, axis.base);
  if (axis.low < 0 || axis.high < 0 || axis.low >= axis.span())
    fail(
        "axis {}: padding {} before and {} after must not be negative, and that before less than "
        "the window, {}",
        i, axis.low, axis.high, axis.span());
  if (axis.spread() + axis.low + axis.high < axis.span())
    fail("axis {}: a window of {} does not fit into size {} padded by {} and {}", i, axis.span(),
         axis.spread(), axis.low, axis.high);
}

Types infer_window(std::span<const Type> x, const Attrs& a) {
  same_number(x.first(1), a);
  size_t count = a.integers("window").size();
  if (static_cast<int64_t>(count) > x[0].rank())
    fail("`window` has {} entries, {} has {} axes", count, to_string(x[0]), x[0].rank());
  for (std::string_view key : {"stride", "low", "high", "dilation", "base_dilation"})
    if (a.has(key) && a.integers(key).size() != count)
      fail("`{}` must have {} entries as `window` has, got {}", key, count,
           to_string(a.integers(key)));
  Type y{x[0].dtype, {}};
  WindowAxes axes = window_axes(x[0], a);
  for (size_t i = 0; i < axes.size(); ++i) {
    check_window_axis(i, axes[i]);
    y.dims.push_back(axes[i].result_size());
  }
  return one(y);
}

// Whether a tap of window o meets an element of x.
bool holds_element(const WindowAxis& axis, int64_t o) {
  for (int64_t k = 0; k < axis.window; ++k) {
    int64_t position = o * axis.stride - axis.low + k * axis.dilation;
    if (position >= 0 && position < axis.size)
      return true;
  }
  return false;
}

// Each window must have a first maximum, so that none lies in the padding.
Types infer_window_max(std::span<const Type> x, const Attrs& a) {
  Types y = infer_window(x, a);
  WindowAxes axes = window_axes(x[0], a);
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].high >= axes[i].span())
      fail("axis {}: padding {} after must be less than the window, {}", i, axes[i].high,
           axes[i].span());
    for (int64_t o = 0; axes[i].dilation > 1 && o < axes[i].result_size(); ++o)
      if (!holds_element(axes[i], o))
        fail("axis {}: window {} holds no element, only padding", i, o);
  }
  return y;
}

// Calls f(indices of the elements of x in window `at`), in row-major order.
template <typename F>
void for_each_in_window(const WindowAxes& axes, const Dims& at, F f) {
  Dims window;
  for (const WindowAxis& axis : axes)
    window.push_back(axis.window);
  Dims indices(axes.size());
  for_each_index(window, [&](const Dims& tap) {
    bool inside = true;
    for (size_t i = 0; i < axes.size(); ++i) {
      int64_t position = at[i] * axes[i].stride - axes[i].low + tap[i] * axes[i].dilation;
      indices[i] = position / axes[i].base;
      inside &= position >= 0 && indices[i] < axes[i].size && position % axes[i].base == 0;
    }
    if (inside)
      f(indices);
  });
}

// Row-major number in x of the first maximum of window `at`.
size_t first_maximum(const Tensor& x, const WindowAxes& axes, const Dims& at) {
  std::optional<size_t> best;
  for_each_in_window(axes, at, [&](const Dims& indices) {
    auto i = static_cast<size_t>(ravel(indices, x.type.dims));
    if (!best || x.data[i] > x.data[*best])
      best = i;
  });
  return *best;
}

std::vector<Tensor> eval_window_sum(std::span<const Tensor> x, const Op& op,
                                    std::span<const Type> types) {
  WindowAxes axes = window_axes(x[0].type, op.attrs);
  return {tensor_of(types[0], [&](const Dims& at) {
    double sum = 0;
    for_each_in_window(axes, at, [&](const Dims& indices) { sum += element(x[0], indices); });
    return sum;
  })};
}

std::vector<Tensor> eval_window_max(std::span<const Tensor> x, const Op& op,
                                    std::span<const Type> types) {
  WindowAxes axes = window_axes(x[0].type, op.attrs);
  return {tensor_of(types[0],
                    [&](const Dims& at) { return x[0].data[first_maximum(x[0], axes, at)]; })};
}

std::vector<Tensor> eval_window_max_gather(std::span<const Tensor> x, const Op& op,
                                           std::span<const Type> types) {
  WindowAxes axes = window_axes(x[0].type, op.attrs);
  return {tensor_of(types[0],
                    [&](const Dims& at) { return x[1].data[first_maximum(x[0], axes, at)]; })};
}

std::vector<Tensor> eval_window_max_scatter(std::span<const Tensor> x, const Op& op,
                                            std::span<const Type> types) {
  WindowAxes axes = window_axes(x[0].type, op.attrs);
  Tensor y = tensor_of(types[0], [](const Dims&) { return 0.0; });
  auto next = x[1].data.begin();
  for_each_index(x[1].type.dims,
                 [&](const Dims& at) { y.data[first_maximum(x[0], axes, at)] += *next++; });
  return {y};
}

int64_t flops_window_sum(std::span<const Type> x, std::span<const Type> y, const Attrs& a) {
  int64_t flops = y[0].elements();
  for (const WindowAxis& axis : window_axes(x[0], a))
    flops *= axis.elements();
  return flops;
}

int64_t flops_window_max(std::span<const Type> x, std::span<const Type>, const Attrs& a) {
  int64_t windows = 1, window = 1;
  for (const WindowAxis& axis : window_axes(x[0], a)) {
    windows *= axis.result_size();
    window *= axis.window;
  }
  return windows * window;
}

void vjp_window_sum(Vjp& g) {
  WindowAxes axes = window_axes(g.x_type(), g.attrs());
  size_t count = g.attrs().integers("window").size();
  std::vector<int64_t> stride, low, high, base;
  bool spread = false;
  for (size_t i = axes.size() - count; i < axes.size(); ++i) {
    WindowAxis axis = transposed(axes[i]);
    stride.push_back(axis.stride);
    low.push_back(axis.low);
    high.push_back(axis.high);
    base.push_back(axis.base);
    spread |= axis.base != 1;
  }
  Attrs attrs = {
      {"window", g.attrs().integers("window")}, {"stride", stride}, {"low", low}, {"high", high}};
  if (g.attrs().has("dilation"))
    attrs.set("dilation", g.attrs().integers("dilation"));
  if (spread)
    attrs.set("base_dilation", base);
  g.add(0, g.b.op(Opcode::window_sum, {g.dy()}, attrs));
}

// Of windows with more elements, one comparison for each costs more than to look for the maximum
// again.
constexpr int64_t kMostNumbered = 16;

// x at the element `tap` of each window, where padded x has one: a slice.
ValueId tap_of(Builder& b, ValueId padded, const WindowAxes& axes, const Dims& tap) {
  std::vector<int64_t> begin, end, step;
  for (size_t i = 0; i < axes.size(); ++i) {
    begin.push_back(tap[i] * axes[i].dilation);
    end.push_back(begin[i] + (axes[i].result_size() - 1) * axes[i].stride + 1);
    step.push_back(axes[i].stride);
  }
  return b.op(Opcode::slice, {padded}, {{"begin", begin}, {"end", end}, {"step", step}});
}

// The inverse: what `windows` has for each window at its element `tap`, in x's shape, and `value`
// elsewhere.
ValueId at_tap(Builder& b, ValueId windows, const WindowAxes& axes, const Dims& tap, double value) {
  std::vector<int64_t> low, high, interior, begin, end;
  for (size_t i = 0; i < axes.size(); ++i) {
    const WindowAxis& axis = axes[i];
    low.push_back(tap[i] * axis.dilation);
    int64_t last = low[i] + (axis.result_size() - 1) * axis.stride;
    high.push_back(std::max<int64_t>(0, axis.low + axis.size - 1 - last));
    interior.push_back(axis.stride - 1);
    begin.push_back(axis.low);
    end.push_back(axis.low + axis.size);
  }
  ValueId spread = b.op(Opcode::pad, {windows},
                        {{"low", low}, {"high", high}, {"interior", interior}, {"value", value}});
  return b.op(Opcode::slice, {spread},
              {{"begin", begin}, {"end", end}, {"step", std::vector<int64_t>(axes.size(), 1)}});
}

// The number, within its window, of the first element that is the maximum: all that the gradient
// needs of x, in a byte.
ValueId numbers_of_maxima(Vjp& g, const WindowAxes& axes, const std::vector<Dims>& taps) {
  std::vector<int64_t> low, high;
  for (const WindowAxis& axis : axes) {
    low.push_back(axis.low);
    high.push_back(axis.high);
  }
  double outside = -std::numeric_limits<double>::infinity();
  ValueId padded = g.b.op(Opcode::pad, {g.x()}, {{"low", low}, {"high", high}, {"value", outside}});
  Type bytes{DType::u8, g.y_type().dims};
  ValueId number = g.b.constant(bytes, static_cast<double>(taps.size() - 1));
  for (size_t i = taps.size() - 1; i-- > 0;) {
    ValueId is_maximum = g.b.op(Opcode::equal, {tap_of(g.b, padded, axes, taps[i]), g.y()});
    number = g.b.select(is_maximum, g.b.constant(bytes, static_cast<double>(i)), number);
  }
  return number;
}

// dx = the sum over the taps of dy where the window's maximum has the tap's number. For images,
// whose channels become the last axis; where the windows are along the last axis, neighbours in
// memory would come from windows here and there, and x is read instead.
void vjp_window_max(Vjp& g) {
  WindowAxes axes = window_axes(g.x_type(), g.attrs());
  const Dims& window = g.attrs().integers("window");
  if (element_count(window) > kMostNumbered || axes.size() < window.size() + 2) {
    g.add(0, g.b.op(Opcode::window_max_scatter, {g.x(), g.dy()}, g.attrs()));
    return;
  }
  Dims sizes;
  for (const WindowAxis& axis : axes)
    sizes.push_back(axis.window);
  std::vector<Dims> taps;
  for_each_index(sizes, [&](const Dims& tap) { taps.push_back(tap); });
  ValueId number = numbers_of_maxima(g, axes, taps);
  for (size_t i = 0; i < taps.size(); ++i) {
    auto wanted = static_cast<double>(i), none = static_cast<double>(taps.size());
    ValueId numbers = at_tap(g.b, number, axes, taps[i], none);
    ValueId gradient = at_tap(g.b, g.dy(), axes, taps[i], 0);
    ValueId chosen = g.b.op(Opcode::equal, {numbers, g.b.constant_like(numbers, wanted)});
    g.add(0, g.b.select(chosen, gradient, g.b.constant_like(gradient, 0)));
  }
}

constexpr AttrDefs kWindowAttrs = {{"dilation", AttrKind::integers, false},
                                   {"high", AttrKind::integers},
                                   {"low", AttrKind::integers},
                                   {"stride", AttrKind::integers},
                                   {"window", AttrKind::integers}};

}  // namespace

extern constexpr OpDef window_sum = {
    .name = "window_sum",
    .doc =
        "Sums over windows that slide along x's last axes, one entry of each attribute for each: "
        "`window` elements, `dilation` (1 when absent) apart, every `stride`, over x with `low` "
        "and `high` zeros around it and `base_dilation` - 1 (0 when absent) between its elements.",
    .examples =
        "window_sum(f32[1,2,4,5]) {high=[0,0], low=[0,0], stride=[2,2], window=[2,2]}\n"
        "window_sum(f32[2,5]) {high=[1], low=[1], stride=[2], window=[3]}\n"
        "window_sum(f32[2,3,2]) {high=[1,0], low=[2,0], stride=[1,1], window=[3,1]}\n"
        "window_sum(f32[4]) {base_dilation=[2], high=[0], low=[1], stride=[1], window=[2]}\n"
        "window_sum(f32[4]) {base_dilation=[3], high=[2], low=[1], stride=[2], window=[4]}\n"
        "window_sum(f32[2,9]) {dilation=[3], high=[2], low=[1], stride=[2], window=[3]}\n"
        "window_sum(f32[5]) {base_dilation=[2], dilation=[3], high=[2], low=[1], stride=[1], "
        "window=[3]}",
    .attrs = {{"base_dilation", AttrKind::integers, false},
              {"dilation", AttrKind::integers, false},
              {"high", AttrKind::integers},
              {"low", AttrKind::integers},
              {"stride", AttrKind::integers},
              {"window", AttrKind::integers}},
    .infer = infer_window,
    .eval = eval_window_sum,
    .flops = flops_window_sum,
    .vjp = vjp_window_sum,
    .element = element_window_sum,
};

extern constexpr OpDef window_max = {
    .name = "window_max",
    .doc =
        "Largest element in each of the windows that slide along x's last axes, as in "
        "window_sum. The first of equal ones gets the gradient.",
    .examples =
        "window_max(f32[1,2,4,6]) {high=[0,0], low=[0,0], stride=[2,2], window=[2,2]}\n"
        "window_max(f32[2,5,2]) {high=[1,0], low=[1,0], stride=[2,1], window=[3,1]}\n"
        "window_max(f32[2,5]) {high=[0], low=[0], stride=[2], window=[2]}\n"
        "window_max(f32[1,7,9]) {dilation=[2,3], high=[1,2], low=[1,0], stride=[2,1], "
        "window=[3,2]}\n"
        "window_max(f32[1,2,5,4]) {high=[1,0], low=[1,0], stride=[2,1], window=[3,2]}",
    .attrs = kWindowAttrs,
    .exact = true,
    .infer = infer_window_max,
    .eval = eval_window_max,
    .flops = flops_window_max,
    .vjp = vjp_window_max,
    .element = element_window_max,
};

// Piecewise constant in x; linear in dy, with window_max_gather as its transpose.
extern constexpr OpDef window_max_scatter = {
    .name = "window_max_scatter",
    .doc =
        "The gradient of window_max with respect to x: each element of the second operand goes to "
        "the first maximum of its window of x.",
    .examples =
        "window_max_scatter(f32[1,2,4,6], f32[1,2,2,3]) {high=[0,0], low=[0,0], stride=[2,2], "
        "window=[2,2]}\n"
        "window_max_scatter(f32[2,5,2], f32[2,3,2]) {high=[1,0], low=[1,0], stride=[2,1], "
        "window=[3,1]}\n"
        "window_max_scatter(f32[2,5], f32[2,2]) {high=[0], low=[0], stride=[2], window=[2]}\n"
        "window_max_scatter(f32[1,7,9], f32[1,3,9]) {dilation=[2,3], high=[1,2], low=[1,1], "
        "stride=[2,1], window=[3,2]}",
    .operands = 2,
    .attrs = kWindowAttrs,
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          Type windows = infer_window_max(x, a)[0];
          if (x[1].dims != windows.dims)
            fail("{} has windows {}, the second operand is {}", to_string(x[0]), to_string(windows),
                 to_string(x[1]));
          same_number(x.subspan(1), a);
          return one({x[1].dtype, x[0].dims});
        },
    .eval = eval_window_max_scatter,
    .flops = flops_window_max,
    .vjp = [](Vjp& g) { g.add(1, g.b.op(Opcode::window_max_gather, {g.x(0), g.dy()}, g.attrs())); },
    .element = element_window_max_scatter,
};

extern constexpr OpDef window_max_gather = {
    .name = "window_max_gather",
    .doc =
        "The second operand's element, of any element type, where each window of x has its first "
        "maximum.",
    .examples =
        "window_max_gather(f32[1,2,4,6], f32[1,2,4,6]) {high=[0,0], low=[0,0], stride=[2,2], "
        "window=[2,2]}\n"
        "window_max_gather(f32[2,5,2], f32[2,5,2]) {high=[1,0], low=[1,0], stride=[2,1], "
        "window=[3,1]}\n"
        "window_max_gather(f32[2,9], i64[2,9]) {dilation=[2], high=[1], low=[1], stride=[2], "
        "window=[3]}",
    .operands = 2,
    .attrs = kWindowAttrs,
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          if (x[0].dims != x[1].dims)
            fail("operand shapes differ: {} and {}", to_string(x[0]), to_string(x[1]));
          return one({x[1].dtype, infer_window_max(x, a)[0].dims});
        },
    .eval = eval_window_max_gather,
    .flops = flops_window_max,
    .vjp =
        [](Vjp& g) { g.add(1, g.b.op(Opcode::window_max_scatter, {g.x(0), g.dy()}, g.attrs())); },
    .element = element_window_max_gather,
};

}  // namespace gradc::ops
