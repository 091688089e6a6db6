#pragma once
// Measures the layers as part of the step: replaces the results watch/... of train_step, which
// `watch`, `autodiff` and `optimizer` have left, by numbers, all f64[]:
//   health/output/<layer>/mean     of what leaves the layer
//   health/output/<layer>/square   mean of its squares
//   health/output/<layer>/flat     where the layer has an activation: the part of the elements at
//                                  which the activation's slope is below 0.01, as it is for a relu
//                                  that is off or a sigmoid that is saturated
//   health/output/<layer>/dead     the part of the units that are flat for the whole batch
//   health/gradient/<layer>/square sum of the squares of the loss's gradient by what the activation
//                                  takes
//   health/parameter/<name>/gradient|update|weight
//                                  sum of the squares of the parameter's gradient (before
//                                  clipping), of what the step takes from it, and of its new
//                                  content
// Squares are of f64, so that neither small gradients nor large ones leave the range.
//
// Runs when no op is merged with an equal one any more: a slope of the forward pass that were one
// with a slope of the backward pass would have to be held until then. Each measurement stands
// behind the op that completes what it reads, and belongs to another phase than that op, so that
// `fuse` keeps it in a kernel of its own: in the kernel of a product, the squares of the result
// would be a tensor more in memory.
//
// Changes nothing unless Options::health, Options::train and Options::update.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// Below this slope, of 1 for a relu that is on and 1/4 at most for a sigmoid, an element is flat.
inline constexpr double kFlatSlope = 0.01;

Module health(const Module& module, const Options& options);

}  // namespace gradc
