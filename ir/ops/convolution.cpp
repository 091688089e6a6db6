// Convolutions. With i the position in the image x, p in the result y and k in the kernel w, along
// each spatial axis
//     y[n, o, p] = sum over c, k of x[n, c, i] * w[o, c, k],   i = p * stride + k * dilation - low
// is linear in x and in w. Its two adjoints are ops as well (cuDNN's split), so that no rule
// transposes or mirrors a weight in memory, and the three are closed under differentiation. The
// data gradient run forward is the transposed convolution.
#include "ir/ops/convolution.h"

#include <algorithm>
#include <array>

namespace gradc::ops {
namespace {

// Calls f(x's element, w's element, y's element), as row-major numbers, for every product of the
// sum that meets the image and not its padding.
template <typename F>
void for_each_product(const Convolution& c, F f) {
  auto element = [&](const Dims& at, const Dims& dims) {
    int64_t number = at[0];
    if (!c.channels_last)
      number = number * dims[1] + at[1];
    for (size_t i = kSpatial; i < dims.size(); ++i)
      number = number * dims[i] + at[i];
    return static_cast<size_t>(c.channels_last ? number * dims[1] + at[1] : number);
  };
  Dims taps(c.w.dims.begin() + 1, c.w.dims.end()), x(c.x.dims.size());
  for_each_index(c.y.dims, [&](const Dims& y) {
    size_t at_y = element(y, c.y.dims);
    int64_t at_w = y[1] * element_count(taps) - 1;
    x[0] = y[0];
    for_each_index(taps, [&](const Dims& tap) {
      ++at_w;
      x[1] = y[1] / c.group_outputs() * c.group_inputs() + tap[0];
      for (size_t i = 0; i < c.spatial_axes(); ++i) {
        x[kSpatial + i] = y[kSpatial + i] * c.stride[i] + tap[1 + i] * c.dilation[i] - c.low[i];
        if (x[kSpatial + i] < 0 || x[kSpatial + i] >= c.x.dims[kSpatial + i])
          return;
      }
      f(element(x, c.x.dims), static_cast<size_t>(at_w), at_y);
    });
  });
}

Tensor zeros(const Type& type) {
  return {type, std::vector<double>(static_cast<size_t>(type.elements()))};
}

std::vector<Tensor> eval_conv(std::span<const Tensor> operands, const Op& op,
                              std::span<const Type> results) {
  const Tensor &x = operands[0], &w = operands[1];
  Tensor y = zeros(results[0]);
  for_each_product(
      of_conv(std::array{x.type, w.type}, op.attrs),
      [&](size_t at_x, size_t at_w, size_t at_y) { y.data[at_y] += x.data[at_x] * w.data[at_w]; });
  return {y};
}

std::vector<Tensor> eval_data_gradient(std::span<const Tensor> operands, const Op& op,
                                       std::span<const Type> results) {
  const Tensor &dy = operands[0], &w = operands[1];
  Tensor dx = zeros(results[0]);
  for_each_product(of_conv(std::array{dx.type, w.type}, op.attrs),
                   [&](size_t at_x, size_t at_w, size_t at_y) {
                     dx.data[at_x] += dy.data[at_y] * w.data[at_w];
                   });
  return {dx};
}

std::vector<Tensor> eval_weight_gradient(std::span<const Tensor> operands, const Op& op,
                                         std::span<const Type> results) {
  const Tensor &x = operands[0], &dy = operands[1];
  Tensor dw = zeros(results[0]);
  for_each_product(of_conv(std::array{x.type, dw.type}, op.attrs),
                   [&](size_t at_x, size_t at_w, size_t at_y) {
                     dw.data[at_w] += x.data[at_x] * dy.data[at_y];
                   });
  return {dw};
}

// Taps that meet the padding are counted as work: one number for all three.
template <Convolution (*of)(std::span<const Type>, const Attrs&)>
int64_t flops_of_convolution(std::span<const Type> operands, std::span<const Type>,
                             const Attrs& attrs) {
  Convolution c = of(operands, attrs);
  return 2 * c.y.elements() * (c.w.elements() / c.w.dims[0]);
}

// The attributes that the three ops share.
Attrs shared(const Attrs& attrs) {
  Attrs copy;
  for (const auto& [key, value] : attrs)
    if (key != "size")
      copy.set(key, value);
  return copy;
}

Attrs with_size(const Attrs& attrs, const Dims& size) {
  Attrs copy = attrs;
  copy.set("size", size);
  return copy;
}

constexpr AttrDefs kAttrs = {{"channels_last", AttrKind::boolean, false},
                             {"dilation", AttrKind::integers},
                             {"groups", AttrKind::integer},
                             {"high", AttrKind::integers},
                             {"low", AttrKind::integers},
                             {"stride", AttrKind::integers},
                             {"winograd", AttrKind::boolean, false}};
constexpr AttrDefs kGradientAttrs = {{"channels_last", AttrKind::boolean, false},
                                     {"dilation", AttrKind::integers},
                                     {"groups", AttrKind::integer},
                                     {"high", AttrKind::integers},
                                     {"low", AttrKind::integers},
                                     {"size", AttrKind::integers},
                                     {"stride", AttrKind::integers},
                                     {"winograd", AttrKind::boolean, false}};

}  // namespace

extern constexpr OpDef conv = {
    .name = "conv",
    .doc =
        "Convolution (cross-correlation) of an image [batch, channels, spatial...] by a weight "
        "[outputs, channels / groups, spatial...] with 1 to 3 spatial axes. `low` and `high` pad "
        "with zeros before and after (negative: crop), `dilation` spreads the taps. With "
        "`channels_last` image and result are [batch, spatial..., channels]. `winograd` asks for "
        "Winograd's tiles, which round otherwise: for 3x3 taps, channels last, and nothing else.",
    .examples =
        "conv(f32[2,3,5], f32[4,3,2]) {dilation=[1], groups=1, high=[0], low=[0], stride=[1]}\n"
        "conv(f32[2,2,5,6], f32[3,2,3,3]) {dilation=[1,1], groups=1, high=[1,1], low=[1,1], "
        "stride=[1,1]}\n"
        "conv(f32[1,4,6,5], f32[6,2,3,2]) {dilation=[1,2], groups=2, high=[0,2], low=[1,-1], "
        "stride=[2,1]}\n"
        "conv(f32[1,3,5,5], f32[3,1,3,3]) {dilation=[1,1], groups=3, high=[1,1], low=[1,1], "
        "stride=[2,2]}\n"
        "conv(f32[1,2,3,4,3], f32[2,2,2,2,2]) {dilation=[1,1,1], groups=1, high=[0,0,1], "
        "low=[0,1,0], stride=[1,2,1]}\n"
        "conv(f32[2,5,6,2], f32[3,2,3,3]) {channels_last=true, dilation=[1,1], groups=1, "
        "high=[1,1], low=[1,1], stride=[2,1]}\n"
        "conv(f32[2,5,4], f32[6,2,3]) {channels_last=true, dilation=[1], groups=2, high=[1], "
        "low=[1], stride=[1]}",
    .kernel = KernelClass::contract,
    .operands = 2,
    .attrs = kAttrs,
    .infer =
        [](std::span<const Type> x, const Attrs& attrs) {
          Convolution c = of_conv(x, attrs);
          return one(c.laid_out(c.y));
        },
    .eval = eval_conv,
    .flops = flops_of_convolution<of_conv>,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.op(Opcode::conv_data_gradient, {g.dy(), g.x(1)},
                          with_size(g.attrs(), image_spatial(g.x_type(0), g.attrs()))));
          g.add(1, g.b.op(Opcode::conv_weight_gradient, {g.x(0), g.dy()},
                          with_size(g.attrs(), spatial(g.x_type(1)))));
        },
    .contraction = contraction_of_conv,
};

// Linear in dy and in w: the gradient of a gradient is a convolution again.
extern constexpr OpDef conv_data_gradient = {
    .name = "conv_data_gradient",
    .doc =
        "The gradient of `conv`'s image, of spatial sizes `size`, from the gradient of its result "
        "and its weight; run forward, the transposed convolution.",
    .examples =
        "conv_data_gradient(f32[2,4,4], f32[4,3,2]) {dilation=[1], groups=1, high=[0], low=[0], "
        "size=[5], stride=[1]}\n"
        "conv_data_gradient(f32[1,6,3,5], f32[6,2,3,2]) {dilation=[1,1], groups=2, high=[1,1], "
        "low=[0,0], size=[6,5], stride=[2,1]}\n"
        "conv_data_gradient(f32[1,3,3,3], f32[3,1,3,2]) {dilation=[1,2], groups=3, high=[1,2], "
        "low=[1,-1], size=[6,6], stride=[2,2]}\n"
        "conv_data_gradient(f32[1,3,5,6], f32[6,2,3,2]) {channels_last=true, dilation=[1,1], "
        "groups=2, high=[1,1], low=[0,0], size=[6,5], stride=[2,1]}",
    .kernel = KernelClass::contract,
    .operands = 2,
    .attrs = kGradientAttrs,
    .infer =
        [](std::span<const Type> x, const Attrs& attrs) {
          Convolution c = of_data_gradient(x, attrs);
          return one(c.laid_out(c.x));
        },
    .eval = eval_data_gradient,
    .flops = flops_of_convolution<of_data_gradient>,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.op(Opcode::conv, {g.dy(), g.x(1)}, shared(g.attrs())));
          g.add(1, g.b.op(Opcode::conv_weight_gradient, {g.dy(), g.x(0)},
                          with_size(g.attrs(), spatial(g.x_type(1)))));
        },
    .contraction = contraction_of_data_gradient,
};

extern constexpr OpDef conv_weight_gradient = {
    .name = "conv_weight_gradient",
    .doc =
        "The gradient of `conv`'s weight, of spatial sizes `size`, from its image and the gradient "
        "of its result.",
    .examples =
        "conv_weight_gradient(f32[2,3,5], f32[2,4,4]) {dilation=[1], groups=1, high=[0], low=[0], "
        "size=[2], stride=[1]}\n"
        "conv_weight_gradient(f32[2,4,6,5], f32[2,6,3,5]) {dilation=[1,1], groups=2, high=[1,1], "
        "low=[0,0], size=[3,2], stride=[2,1]}\n"
        "conv_weight_gradient(f32[1,3,6,6], f32[1,3,3,3]) {dilation=[1,2], groups=3, high=[1,2], "
        "low=[1,-1], size=[3,2], stride=[2,2]}\n"
        "conv_weight_gradient(f32[2,6,5,4], f32[2,3,5,6]) {channels_last=true, dilation=[1,1], "
        "groups=2, high=[1,1], low=[0,0], size=[3,2], stride=[2,1]}",
    .kernel = KernelClass::contract,
    .operands = 2,
    .attrs = kGradientAttrs,
    .infer = [](std::span<const Type> x,
                const Attrs& attrs) { return one(of_weight_gradient(x, attrs).w); },
    .eval = eval_weight_gradient,
    .flops = flops_of_convolution<of_weight_gradient>,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.op(Opcode::conv_data_gradient, {g.x(1), g.dy()},
                          with_size(g.attrs(), image_spatial(g.x_type(0), g.attrs()))));
          g.add(1, g.b.op(Opcode::conv, {g.x(0), g.dy()}, shared(g.attrs())));
        },
    .contraction = contraction_of_weight_gradient,
};

}  // namespace gradc::ops
