#pragma once
// Ops that stop training: those on the way from the loss to a trainable parameter that have no
// gradient.
#include <vector>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// Of train_step, in order. Empty where there is no such entry or no loss.
std::vector<Op> ops_without_gradient(const Module& module, const Options& options);

}  // namespace gradc
