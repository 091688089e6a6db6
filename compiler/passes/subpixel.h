#pragma once
// A data gradient with a stride, which run forward is a transposed convolution, as one convolution
// without a stride for each residue of the result's pixels: a pixel meets only those taps whose
// distance from it is a multiple of the stride (Shi et al. 2016, "Is the deconvolution layer the
// same as a convolutional layer?"). With a stride of 2 along one axis, and 3 taps:
//
//   x[2 i]     = g[i] w[0] + g[i - 1] w[2]
//   x[2 i + 1] = g[i] w[1]
//
// Their results are put together by a `concat`. Sums are those of before, in their order. For few
// images only: kernels of more have tiles that skip what is not there.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module subpixel(const Module& module, const Options& options);

}  // namespace gradc
