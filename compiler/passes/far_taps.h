#pragma once
// Of few images, a dilated convolution or its data gradient as one for each part of the result
// whose pixels meet the same taps. Where the dilation is long beside the image, most taps lie in
// the padding: of 3x3 taps 24 apart over 14x14 pixels (the branches of DeepLab, Chen et al. 2017,
// section 3.3) one is left. Along an axis of 14 pixels, with taps 12 apart and padding of 12:
//
//   y[0..2) meets taps 1 and 2,   y[2..12) tap 1,   y[12..14) taps 0 and 1
//
// Their results are put together by a `concat`. Sums are those of before, in their order. For few
// images only: kernels of more have tiles that skip what is not there.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module far_taps(const Module& module, const Options& options);

}  // namespace gradc
