// Averages over windows. Maxima over windows are the primitive `window_max`.
#include <algorithm>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

// The attributes that window_sum takes.
Attrs window_attrs(const Attrs& attrs) {
  Attrs window = {{"high", attrs.integers("high")},
                  {"low", attrs.integers("low")},
                  {"stride", attrs.integers("stride")},
                  {"window", attrs.integers("window")}};
  if (attrs.has("dilation"))
    window.set("dilation", attrs.integers("dilation"));
  return window;
}

Types infer_avg_pool(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x);
  return infer_types(Opcode::window_sum, x, window_attrs(attrs));
}

bool has_padding(const Attrs& attrs) {
  auto is_not_zero = [](int64_t size) { return size != 0; };
  return std::ranges::any_of(attrs.integers("low"), is_not_zero) ||
         std::ranges::any_of(attrs.integers("high"), is_not_zero);
}

std::vector<Tensor> eval_avg_pool(std::span<const Tensor> x, const Op& op,
                                  std::span<const Type> types) {
  const Dims &window = op.attrs.integers("window"), &stride = op.attrs.integers("stride");
  const Dims &low = op.attrs.integers("low"), &size = x[0].type.dims;
  Dims dilation(window.size(), 1);
  if (op.attrs.has("dilation"))
    dilation = op.attrs.integers("dilation");
  size_t leading = size.size() - window.size();
  return {tensor_of(types[0], [&](const Dims& at) {
    double sum = 0, inside_count = 0;
    for_each_index(window, [&](const Dims& tap) {
      Dims from = at;
      bool inside = true;
      for (size_t i = 0; i < window.size(); ++i) {
        int64_t& position = from[leading + i];
        position = position * stride[i] - low[i] + tap[i] * dilation[i];
        inside = inside && position >= 0 && position < size[leading + i];
      }
      sum += inside ? element(x[0], from) : 0;
      inside_count += inside ? 1 : 0;
    });
    bool count_padding = op.attrs.flag("count_include_pad");
    return sum / (count_padding ? static_cast<double>(element_count(window)) : inside_count);
  })};
}

// Without padding to leave out, the count is one number; else a sum over windows of ones, which has
// the spatial axes only.
std::vector<ValueId> expand_avg_pool(Builder& b, const Op& op) {
  Attrs window = window_attrs(op.attrs);
  const Dims& sizes = op.attrs.integers("window");
  ValueId x = op.operand(0);
  ValueId sum = b.op(Opcode::window_sum, {x}, window);
  if (op.attrs.flag("count_include_pad") || !has_padding(op.attrs))
    return {b.scale(sum, 1 / static_cast<double>(element_count(sizes)))};
  Type image = b.type(x);
  image.dims.erase(image.dims.begin(), image.dims.end() - static_cast<ptrdiff_t>(sizes.size()));
  ValueId count = b.op(Opcode::window_sum, {b.constant(image, 1.0)}, window);
  return {b.div(sum, b.broadcast_to(count, b.dims(sum)))};
}

}  // namespace

extern constexpr OpDef avg_pool = {
    .name = "avg_pool",
    .doc =
        "The mean over each window that slides along x's last axes, as in `window_sum`. With "
        "`count_include_pad` padding counts as zeros, else it does not count.",
    .examples =
        "avg_pool(f32[1,2,4,4]) {count_include_pad=false, high=[0,0], low=[0,0], stride=[2,2], "
        "window=[2,2]}\n"
        "avg_pool(f32[1,2,4,5]) {count_include_pad=false, high=[1,0], low=[1,2], stride=[2,1], "
        "window=[3,3]}\n"
        "avg_pool(f32[2,5]) {count_include_pad=true, high=[1], low=[1], stride=[2], window=[3]}\n"
        "avg_pool(f32[2,9]) {count_include_pad=false, dilation=[2], high=[1], low=[2], stride=[2], "
        "window=[3]}",
    .kernel = KernelClass::composite,
    .attrs = {{"count_include_pad", AttrKind::boolean},
              {"dilation", AttrKind::integers, false},
              {"high", AttrKind::integers},
              {"low", AttrKind::integers},
              {"stride", AttrKind::integers},
              {"window", AttrKind::integers}},
    .infer = infer_avg_pool,
    .eval = eval_avg_pool,
    .expand = expand_avg_pool,
};

}  // namespace gradc::ops
