#pragma once
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// Exporters take composites apart. This finds them again where the whole is worth more than its
// parts: it has a gradient that saves memory, does not overflow, or is one name in a dump and a
// report. Works on the forward pass only, after `simplify` has brought each formula into one form.
Module raise(const Module& module, const Options& options);

}  // namespace gradc
