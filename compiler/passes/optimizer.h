#pragma once
// Gradient descent as part of the step: replaces the results grad/<parameter> of train_step by the
// parameter's next value, tied to its state tensor, all in phase `update`. What an optimizer
// remembers becomes state of role optimizer (@w.momentum, ...), bound and tied in train_step and
// set to zero by init.
//
// An update stands right behind the op that completes its gradient and the last reader of its
// parameter, so that the gradient's buffer lives for one kernel. Only clipping by the global norm
// makes all updates wait for all gradients; clipping by value comes before it.
//
// Changes nothing unless Options::train and Options::update are set.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module optimizer(const Module& module, const Options& options);

}  // namespace gradc
