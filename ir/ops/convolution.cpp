// Convolutions. With i the position in the image x, p in the result y and k in the kernel w, along
// each spatial axis
//     y[n, o, p] = sum over c, k of x[n, c, i] * w[o, c, k],   i = p * stride + k * dilation - low
// is linear in x and in w. Its two adjoints are ops as well (cuDNN's split), so that no rule
// transposes or mirrors a weight in memory, and the three are closed under differentiation. The
// data gradient run forward is the transposed convolution.
#include "ir/ops/rules.h"

namespace gradc::ops {
namespace {

constexpr size_t kSpatial = 2;  // the first spatial axis, after batch and channels

// The types of image, weight and result, of which an op is given two, and the attributes.
struct Convolution {
  Type x, w, y;
  std::vector<int64_t> stride, low, high, dilation;
  int64_t groups = 1;

  size_t spatial_axes() const { return stride.size(); }
  int64_t batch() const { return x.dims[0]; }
  int64_t group_inputs() const { return w.dims[1]; }
  int64_t group_outputs() const { return w.dims[0] / groups; }
};

Dims spatial(const Type& type) {
  return Dims(type.dims.begin() + kSpatial, type.dims.end());
}

Type with_spatial(DType dtype, int64_t first, int64_t second, const Dims& sizes) {
  Type type{dtype, {first, second}};
  type.dims.insert(type.dims.end(), sizes.begin(), sizes.end());
  return type;
}

void check_attributes(const Convolution& c) {
  size_t axes = c.x.dims.size() - kSpatial;
  for (const auto& [name, values] : {std::pair{"stride", &c.stride},
                                     {"low", &c.low},
                                     {"high", &c.high},
                                     {"dilation", &c.dilation}})
    if (values->size() != axes)
      fail("`{}` {} has {} entries, the image {} has {} spatial axes", name, to_string(*values),
           values->size(), to_string(c.x), axes);
  for (size_t i = 0; i < axes; ++i)
    if (c.stride[i] < 1 || c.dilation[i] < 1)
      fail("stride {} and dilation {} must be at least 1", to_string(c.stride),
           to_string(c.dilation));
}

void check_channels(const Convolution& c) {
  int64_t image = c.x.dims[1], inputs = c.w.dims[1], outputs = c.w.dims[0];
  if (image != inputs * c.groups)
    fail("the image {} has {} channels, the weight {} expects {}{}", to_string(c.x), image,
         to_string(c.w), inputs * c.groups,
         c.groups == 1 ? "" : fmt::format(": {} groups of {}", c.groups, inputs));
  if (outputs % c.groups != 0)
    fail("the weight {} makes {} channels, not a multiple of {} groups", to_string(c.w), outputs,
         c.groups);
}

// The type of y from those of x and w.
Type result_type(const Convolution& c) {
  Type y{c.x.dtype, {c.x.dims[0], c.w.dims[0]}};
  for (size_t i = 0; i < c.spatial_axes(); ++i) {
    int64_t padded = c.x.dims[kSpatial + i] + c.low[i] + c.high[i];
    int64_t span = c.dilation[i] * (c.w.dims[kSpatial + i] - 1) + 1;
    if (span > padded || span < 1)
      fail("spatial axis {}: the kernel of {} spans {}, the padded image of {} has {}", i,
           to_string(c.w), span, to_string(c.x), padded);
    y.dims.push_back((padded - span) / c.stride[i] + 1);
  }
  return y;
}

int64_t groups_of(const Attrs& attrs) {
  int64_t groups = attrs.integer("groups");
  if (groups < 1 || groups > kMaxSize)
    fail("`groups` is {}, it must be from 1 to {}", groups, kMaxSize);
  return groups;
}

Convolution convolution(const Type& x, const Type& w, const Attrs& attrs) {
  if (x.dtype != w.dtype || !is_float(x.dtype))
    fail("expected two tensors of one float type, got {} and {}", to_string(x), to_string(w));
  if (x.rank() != w.rank() || x.rank() < 3 || x.rank() > 5)
    fail("the image {} and the weight {} need one rank: 2 axes and 1 to 3 spatial ones",
         to_string(x), to_string(w));
  Convolution c{x,
                w,
                {},
                attrs.integers("stride"),
                attrs.integers("low"),
                attrs.integers("high"),
                attrs.integers("dilation"),
                groups_of(attrs)};
  check_attributes(c);
  check_channels(c);
  c.y = result_type(c);
  return c;
}

void check_rank_and_size(const Type& dy, const Attrs& attrs) {
  if (dy.rank() < 3 || attrs.integers("size").size() != dy.dims.size() - kSpatial)
    fail("`size` {} must have one entry per spatial axis of the gradient {}",
         to_string(attrs.integers("size")), to_string(dy));
  for (int64_t size : attrs.integers("size"))
    if (size < 1)
      fail("`size` {} must be at least 1", to_string(attrs.integers("size")));
}

Convolution checked_against(Convolution c, const Type& dy) {
  if (c.y != dy)
    fail("a convolution of {} by {} gives {}, but its gradient is {}", to_string(c.x),
         to_string(c.w), to_string(c.y), to_string(dy));
  return c;
}

Convolution of_conv(std::span<const Type> operands, const Attrs& attrs) {
  return convolution(operands[0], operands[1], attrs);
}

Convolution of_data_gradient(std::span<const Type> operands, const Attrs& attrs) {
  const Type &dy = operands[0], &w = operands[1];
  check_rank_and_size(dy, attrs);
  if (w.rank() < 2)
    fail("the weight {} needs the rank of the gradient {}", to_string(w), to_string(dy));
  Type x = with_spatial(dy.dtype, dy.dims[0], w.dims[1] * groups_of(attrs), attrs.integers("size"));
  return checked_against(convolution(x, w, attrs), dy);
}

Convolution of_weight_gradient(std::span<const Type> operands, const Attrs& attrs) {
  const Type &x = operands[0], &dy = operands[1];
  check_rank_and_size(dy, attrs);
  int64_t groups = attrs.integer("groups");
  if (x.rank() < 2 || groups < 1 || x.dims[1] % groups != 0)
    fail("the channels of the image {} are not a multiple of {} groups", to_string(x), groups);
  Type w = with_spatial(dy.dtype, dy.dims[1], x.dims[1] / groups, attrs.integers("size"));
  return checked_against(convolution(x, w, attrs), dy);
}

// The loops of a contraction, as roles; a role's first loop, of one per spatial axis where plural.
class Loops {
 public:
  int add(int64_t size) {
    sizes_.push_back(size);
    return static_cast<int>(sizes_.size()) - 1;
  }
  int add(const Dims& sizes) {
    sizes_.insert(sizes_.end(), sizes.begin(), sizes.end());
    return static_cast<int>(sizes_.size() - sizes.size());
  }
  // One group needs no loop.
  int add_groups(int64_t groups) { return groups == 1 ? -1 : add(groups); }
  void end_of_result() { result_loops_ = static_cast<ptrdiff_t>(sizes_.size()); }
  Dims result_dims() const { return Dims(sizes_.begin(), sizes_.begin() + result_loops_); }
  Dims summed_dims() const { return Dims(sizes_.begin() + result_loops_, sizes_.end()); }

 private:
  Dims sizes_;
  ptrdiff_t result_loops_ = 0;
};

AffineIndex index_of(int loop) {
  return {{{loop, 1}}};
}

AffineIndex channel_index(int group_loop, int64_t group_size, int channel_loop) {
  if (group_loop < 0)
    return index_of(channel_loop);
  return {{{group_loop, group_size}, {channel_loop, 1}}};
}

// i = p * stride + k * dilation - low
void append_image_indices(std::vector<AffineIndex>& indices, const Convolution& c, int positions,
                          int taps) {
  for (size_t i = 0; i < c.spatial_axes(); ++i)
    indices.push_back({{{positions + static_cast<int>(i), c.stride[i]},
                        {taps + static_cast<int>(i), c.dilation[i]}},
                       -c.low[i]});
}

// p = (i - k * dilation + low) / stride
void append_result_indices(std::vector<AffineIndex>& indices, const Convolution& c, int pixels,
                           int taps) {
  for (size_t i = 0; i < c.spatial_axes(); ++i)
    indices.push_back(
        {{{pixels + static_cast<int>(i), 1}, {taps + static_cast<int>(i), -c.dilation[i]}},
         c.low[i],
         c.stride[i]});
}

void append_plain_indices(std::vector<AffineIndex>& indices, const Convolution& c, int first) {
  for (size_t i = 0; i < c.spatial_axes(); ++i)
    indices.push_back(index_of(first + static_cast<int>(i)));
}

Contraction contraction_of_conv(std::span<const Type> operands, const Type&, const Attrs& attrs) {
  Convolution c = of_conv(operands, attrs);
  Loops loops;
  int n = loops.add(c.batch()), g = loops.add_groups(c.groups), o = loops.add(c.group_outputs());
  int p = loops.add(spatial(c.y));
  loops.end_of_result();
  int channel = loops.add(c.group_inputs()), k = loops.add(spatial(c.w));
  std::vector<AffineIndex> x = {index_of(n), channel_index(g, c.group_inputs(), channel)};
  append_image_indices(x, c, p, k);
  std::vector<AffineIndex> w = {channel_index(g, c.group_outputs(), o), index_of(channel)};
  append_plain_indices(w, c, k);
  return {loops.result_dims(), loops.summed_dims(), {x, w}};
}

Contraction contraction_of_data_gradient(std::span<const Type> operands, const Type&,
                                         const Attrs& attrs) {
  Convolution c = of_data_gradient(operands, attrs);
  Loops loops;
  int n = loops.add(c.batch()), g = loops.add_groups(c.groups);
  int channel = loops.add(c.group_inputs()), i = loops.add(spatial(c.x));
  loops.end_of_result();
  int o = loops.add(c.group_outputs()), k = loops.add(spatial(c.w));
  std::vector<AffineIndex> dy = {index_of(n), channel_index(g, c.group_outputs(), o)};
  append_result_indices(dy, c, i, k);
  std::vector<AffineIndex> w = {channel_index(g, c.group_outputs(), o), index_of(channel)};
  append_plain_indices(w, c, k);
  return {loops.result_dims(), loops.summed_dims(), {dy, w}};
}

Contraction contraction_of_weight_gradient(std::span<const Type> operands, const Type&,
                                           const Attrs& attrs) {
  Convolution c = of_weight_gradient(operands, attrs);
  Loops loops;
  int g = loops.add_groups(c.groups), o = loops.add(c.group_outputs());
  int channel = loops.add(c.group_inputs()), k = loops.add(spatial(c.w));
  loops.end_of_result();
  int n = loops.add(c.batch()), p = loops.add(spatial(c.y));
  std::vector<AffineIndex> x = {index_of(n), channel_index(g, c.group_inputs(), channel)};
  append_image_indices(x, c, p, k);
  std::vector<AffineIndex> dy = {index_of(n), channel_index(g, c.group_outputs(), o)};
  append_plain_indices(dy, c, p);
  return {loops.result_dims(), loops.summed_dims(), {x, dy}};
}

// Calls f(x's element, w's element, y's element), as row-major numbers, for every product of the
// sum that meets the image and not its padding.
template <typename F>
void for_each_product(const Convolution& c, F f) {
  for (int64_t at_y = 0; at_y < c.y.elements(); ++at_y)
    for (int64_t tap = 0; tap < c.w.elements() / c.w.dims[0]; ++tap) {
      Dims y = unravel(at_y, c.y.dims);
      Dims w = unravel(y[1] * (c.w.elements() / c.w.dims[0]) + tap, c.w.dims);
      Dims x = {y[0], y[1] / c.group_outputs() * c.group_inputs() + w[1]};
      bool inside = true;
      for (size_t i = 0; i < c.spatial_axes(); ++i) {
        x.push_back(y[kSpatial + i] * c.stride[i] + w[kSpatial + i] * c.dilation[i] - c.low[i]);
        inside = inside && x.back() >= 0 && x.back() < c.x.dims[kSpatial + i];
      }
      if (inside)
        f(static_cast<size_t>(ravel(x, c.x.dims)), static_cast<size_t>(ravel(w, c.w.dims)),
          static_cast<size_t>(at_y));
    }
}

Tensor zeros(const Type& type) {
  return {type, std::vector<double>(static_cast<size_t>(type.elements()))};
}

std::vector<Tensor> eval_conv(std::span<const Tensor> operands, const Op& op,
                              std::span<const Type> results) {
  const Tensor &x = operands[0], &w = operands[1];
  Tensor y = zeros(results[0]);
  for_each_product(
      convolution(x.type, w.type, op.attrs),
      [&](size_t at_x, size_t at_w, size_t at_y) { y.data[at_y] += x.data[at_x] * w.data[at_w]; });
  return {y};
}

std::vector<Tensor> eval_data_gradient(std::span<const Tensor> operands, const Op& op,
                                       std::span<const Type> results) {
  const Tensor &dy = operands[0], &w = operands[1];
  Tensor dx = zeros(results[0]);
  for_each_product(convolution(dx.type, w.type, op.attrs),
                   [&](size_t at_x, size_t at_w, size_t at_y) {
                     dx.data[at_x] += dy.data[at_y] * w.data[at_w];
                   });
  return {dx};
}

std::vector<Tensor> eval_weight_gradient(std::span<const Tensor> operands, const Op& op,
                                         std::span<const Type> results) {
  const Tensor &x = operands[0], &dy = operands[1];
  Tensor dw = zeros(results[0]);
  for_each_product(convolution(x.type, dw.type, op.attrs),
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

Attrs with_size(const Attrs& attrs, const Type& result) {
  Attrs copy = attrs;
  copy.set("size", spatial(result));
  return copy;
}

constexpr AttrDefs kAttrs = {{"dilation", AttrKind::integers},
                             {"groups", AttrKind::integer},
                             {"high", AttrKind::integers},
                             {"low", AttrKind::integers},
                             {"stride", AttrKind::integers}};
constexpr AttrDefs kGradientAttrs = {
    {"dilation", AttrKind::integers}, {"groups", AttrKind::integer},
    {"high", AttrKind::integers},     {"low", AttrKind::integers},
    {"size", AttrKind::integers},     {"stride", AttrKind::integers}};

}  // namespace

extern constexpr OpDef conv = {
    .name = "conv",
    .doc =
        "Convolution (cross-correlation) of an image [batch, channels, spatial...] by a weight "
        "[outputs, channels / groups, spatial...] with 1 to 3 spatial axes. `low` and `high` pad "
        "with zeros before and after (negative: crop), `dilation` spreads the taps.",
    .examples =
        "conv(f32[2,3,5], f32[4,3,2]) {dilation=[1], groups=1, high=[0], low=[0], stride=[1]}\n"
        "conv(f32[2,2,5,6], f32[3,2,3,3]) {dilation=[1,1], groups=1, high=[1,1], low=[1,1], "
        "stride=[1,1]}\n"
        "conv(f32[1,4,6,5], f32[6,2,3,2]) {dilation=[1,2], groups=2, high=[0,2], low=[1,-1], "
        "stride=[2,1]}\n"
        "conv(f32[1,3,5,5], f32[3,1,3,3]) {dilation=[1,1], groups=3, high=[1,1], low=[1,1], "
        "stride=[2,2]}\n"
        "conv(f32[1,2,3,4,3], f32[2,2,2,2,2]) {dilation=[1,1,1], groups=1, high=[0,0,1], "
        "low=[0,1,0], stride=[1,2,1]}",
    .kernel = KernelClass::contract,
    .operands = 2,
    .attrs = kAttrs,
    .infer = [](std::span<const Type> x, const Attrs& attrs) { return one(of_conv(x, attrs).y); },
    .eval = eval_conv,
    .flops = flops_of_convolution<of_conv>,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.op(Opcode::conv_data_gradient, {g.dy(), g.x(1)},
                          with_size(g.attrs(), g.x_type(0))));
          g.add(1, g.b.op(Opcode::conv_weight_gradient, {g.x(0), g.dy()},
                          with_size(g.attrs(), g.x_type(1))));
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
        "low=[1,-1], size=[6,6], stride=[2,2]}",
    .kernel = KernelClass::contract,
    .operands = 2,
    .attrs = kGradientAttrs,
    .infer = [](std::span<const Type> x,
                const Attrs& attrs) { return one(of_data_gradient(x, attrs).x); },
    .eval = eval_data_gradient,
    .flops = flops_of_convolution<of_data_gradient>,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.op(Opcode::conv, {g.dy(), g.x(1)}, shared(g.attrs())));
          g.add(1, g.b.op(Opcode::conv_weight_gradient, {g.dy(), g.x(0)},
                          with_size(g.attrs(), g.x_type(1))));
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
        "low=[1,-1], size=[3,2], stride=[2,2]}",
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
                          with_size(g.attrs(), g.x_type(0))));
          g.add(1, g.b.op(Opcode::conv, {g.x(0), g.dy()}, shared(g.attrs())));
        },
    .contraction = contraction_of_weight_gradient,
};

}  // namespace gradc::ops
