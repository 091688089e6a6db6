#pragma once
// With `--conv winograd`: convolutions of 3x3 taps, stride 1, no dilation and one group, and both
// of their gradients, are marked to be computed by Winograd's tiles (compiler/lower/winograd.h),
// where these are estimated to be faster: with few channels, or on maps that tiles of 4x4 cover
// badly, they are not. It changes what is rounded, and so bits, which is why it has to be asked
// for.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module winograd(const Module& module, const Options& options);

}  // namespace gradc
