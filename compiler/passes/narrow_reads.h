#pragma once
// With `--precision`: where the forward pass rounds what it has computed in f32, the backward pass
// reads what was rounded, as that is what later ops were given and what is held for their own
// gradients. The slope of y = tanh(x), 1 - y y, is then made where its gradient comes, instead of
// being held in f32.
//
// Changes nothing unless Options::precision is f16 or bf16.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module narrow_reads(const Module& module, const Options& options);

}  // namespace gradc
