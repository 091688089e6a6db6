#pragma once
// What the records of the three convolutions share: the types they are between, and their loops.
#include "ir/ops/rules.h"

namespace gradc::ops {

inline constexpr size_t kSpatial = 2;  // a channels-first image's first spatial axis

// The types of image, weight and result, of which an op is given two, and the attributes. Images
// and results are channels first here, whatever the op's operands are.
struct Convolution {
  Type x, w, y;
  std::vector<int64_t> stride, low, high, dilation;
  int64_t groups = 1;
  bool channels_last = false;

  size_t spatial_axes() const { return stride.size(); }
  int64_t batch() const { return x.dims[0]; }
  int64_t group_inputs() const { return w.dims[1]; }
  int64_t group_outputs() const { return w.dims[0] / groups; }
  // A type of an image or a result here, as the op's operand or result has it.
  Type laid_out(const Type& type) const;
};

Dims spatial(const Type& type);  // of a channels-first image, or of a weight
// The spatial sizes of an op's image.
Dims image_spatial(const Type& type, const Attrs& attrs);

Convolution of_conv(std::span<const Type> operands, const Attrs& attrs);
Convolution of_data_gradient(std::span<const Type> operands, const Attrs& attrs);
Convolution of_weight_gradient(std::span<const Type> operands, const Attrs& attrs);

Contraction contraction_of_conv(std::span<const Type> operands, const Type& result,
                                const Attrs& attrs);
Contraction contraction_of_data_gradient(std::span<const Type> operands, const Type& result,
                                         const Attrs& attrs);
Contraction contraction_of_weight_gradient(std::span<const Type> operands, const Type& result,
                                           const Attrs& attrs);

}  // namespace gradc::ops
