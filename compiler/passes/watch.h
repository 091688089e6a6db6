#pragma once
// Names, before the backward pass is made, what `health` is to measure in it. For each layer with a
// trainable parameter that reads data, as results of train_step:
//   watch/output/<axis>/<layer>   what leaves the layer: the result of the first op that joins
//                                 one of its parameters with data, seen through all that only
//                                 this value goes through, element by element: bias, activation
//   watch/input/<axis>/<layer>    the same before the activation: where the gradient is measured
// <axis> is the one along which the layer's units lie. A parameter with several readers, as in a
// loop that was unrolled, has no one place and is not watched.
//
// Changes nothing unless Options::health, Options::train and Options::update.
#include <string>
#include <string_view>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// `block_1.dense_2` of `block_1.dense_2.w`.
std::string layer_of_parameter(std::string_view parameter);

Module watch(const Module& module, const Options& options);

}  // namespace gradc
