#pragma once
// Convolutions compute on channels-last images: the channels of a pixel are neighbours, so that
// vectors run along channels whatever the size of the image, a tap reads a run of them, and
// padding is a matter of which taps are summed.
//
// Each value has the form that the ops around it want: a convolution makes its result channels
// last, and an op that reads such a value follows, where it can move axes (layout_rules.h): what
// works element by element, reductions, windows, concatenations, resizes. A resize of an image that
// was a list of pixels, as products leave them, begins there: that list is channels last. A
// transpose stands only where a value in one form meets an op that needs the other: at the inputs
// of a network, before it is flattened. What simplify can move out of the way (transposes of
// constants and broadcasts) is left to it.
//
// A convolution whose vectors would be nearly empty, of 3 channels say, stays as it is.
//
// Parameters, inputs and results of functions keep their types.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module layout(const Module& module, const Options& options);

}  // namespace gradc
