#pragma once
// Inference of image models takes most bytes where a convolution at high resolution is followed by a
// pooling window: between the two lies the largest tensor, which is read once. Where such a pair is
// what makes the arena large, both work in bands of rows (of images, if there are several): a band
// of the convolution, then its windows, so that only one band lies between them. What windows of
// two bands share is computed twice. The results of the bands are put together by a `concat`.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module bands(const Module& module, const Options& options);

}  // namespace gradc
