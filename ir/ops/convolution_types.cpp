// The shape rules of the convolutions: from the types of two of image, weight and result to the
// third.
#include <algorithm>

#include "ir/ops/convolution.h"

namespace gradc::ops {
namespace {

// A channels-first type from that of an operand, and back.
Type channels_first(Type type, const Attrs& attrs) {
  if (attrs.flag("channels_last") && type.rank() > 1)
    std::rotate(type.dims.begin() + 1, type.dims.end() - 1, type.dims.end());
  return type;
}

Type channels_last(Type type) {
  if (type.rank() > 1)
    std::rotate(type.dims.begin() + 1, type.dims.begin() + 2, type.dims.end());
  return type;
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
           values->size(), to_string(c.laid_out(c.x)), axes);
  for (size_t i = 0; i < axes; ++i)
    if (c.stride[i] < 1 || c.dilation[i] < 1)
      fail("stride {} and dilation {} must be at least 1", to_string(c.stride),
           to_string(c.dilation));
}

void check_channels(const Convolution& c) {
  int64_t image = c.x.dims[1], inputs = c.w.dims[1], outputs = c.w.dims[0];
  if (image != inputs * c.groups)
    fail("the image {} has {} channels, the weight {} expects {}{}", to_string(c.laid_out(c.x)),
         image, to_string(c.w), inputs * c.groups,
         c.groups == 1 ? "" : fmt::format(": {} groups of {}", c.groups, inputs));
  if (outputs % c.groups != 0)
    fail("the weight {} makes {} channels, not a multiple of {} groups", to_string(c.w), outputs,
         c.groups);
}

// What Winograd's tiles can do.
void check_winograd(const Convolution& c) {
  bool has_tiles = c.w.rank() == 4 && c.w.dims[2] == 3 && c.w.dims[3] == 3 && c.groups == 1 &&
                   all_are(c.stride, 1) && all_are(c.dilation, 1);
  if (!has_tiles || !c.channels_last || c.x.dtype != DType::f32)
    fail(
        "`winograd` of {} by {}; it takes channels-last images of f32, 3x3 taps, and stride, "
        "dilation and groups of 1",
        to_string(c.laid_out(c.x)), to_string(c.w));
}

// The type of y from those of x and w.
Type result_type(const Convolution& c) {
  Type y{c.x.dtype, {c.x.dims[0], c.w.dims[0]}};
  for (size_t i = 0; i < c.spatial_axes(); ++i) {
    int64_t padded = c.x.dims[kSpatial + i] + c.low[i] + c.high[i];
    int64_t span = c.dilation[i] * (c.w.dims[kSpatial + i] - 1) + 1;
    if (span > padded || span < 1)
      fail("spatial axis {}: the kernel of {} spans {}, the padded image of {} has {}", i,
           to_string(c.w), span, to_string(c.laid_out(c.x)), padded);
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

// Of a channels-first image.
Convolution convolution(const Type& x, const Type& w, const Attrs& attrs) {
  Convolution c{.x = x, .w = w, .channels_last = attrs.flag("channels_last")};
  std::string image = to_string(c.laid_out(x));
  if (x.dtype != w.dtype || !is_float(x.dtype))
    fail("expected two tensors of one float type, got {} and {}", image, to_string(w));
  if (x.rank() != w.rank() || x.rank() < 3 || x.rank() > 5)
    fail("the image {} and the weight {} need one rank: 2 axes and 1 to 3 spatial ones", image,
         to_string(w));
  c.stride = attrs.integers("stride");
  c.low = attrs.integers("low");
  c.high = attrs.integers("high");
  c.dilation = attrs.integers("dilation");
  c.groups = groups_of(attrs);
  check_attributes(c);
  check_channels(c);
  if (attrs.flag("winograd"))
    check_winograd(c);
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
  if (c.laid_out(c.y) != dy)
    fail("a convolution of {} by {} gives {}, but its gradient is {}", to_string(c.laid_out(c.x)),
         to_string(c.w), to_string(c.laid_out(c.y)), to_string(dy));
  return c;
}

}  // namespace

Type Convolution::laid_out(const Type& type) const {
  return channels_last ? ops::channels_last(type) : type;
}

Dims spatial(const Type& type) {
  return Dims(type.dims.begin() + kSpatial, type.dims.end());
}

Dims image_spatial(const Type& type, const Attrs& attrs) {
  return spatial(channels_first(type, attrs));
}

Convolution of_conv(std::span<const Type> operands, const Attrs& attrs) {
  return convolution(channels_first(operands[0], attrs), operands[1], attrs);
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
  const Type &dy = operands[1], x = channels_first(operands[0], attrs);
  check_rank_and_size(dy, attrs);
  int64_t groups = attrs.integer("groups");
  if (x.rank() < 2 || groups < 1 || x.dims[1] % groups != 0)
    fail("the channels of the image {} are not a multiple of {} groups", to_string(operands[0]),
         groups);
  int64_t outputs = channels_first(dy, attrs).dims[1];
  Type w = with_spatial(dy.dtype, outputs, x.dims[1] / groups, attrs.integers("size"));
  return checked_against(convolution(x, w, attrs), dy);
}

}  // namespace gradc::ops
