#pragma once
// Mixed precision, as a rewrite of the forward pass (Micikevicius et al. 2018, "Mixed precision
// training"): products and convolutions read and write Options::precision (f16 or bf16) and sum in
// f32; what they make is stored in that type until it is reduced. In detail, of f32 values only:
//   contractions            operands and result are narrow
//   ops that are exact      (OpDef::exact) narrow, if an operand is
//   all others              compute in f32 on widened operands; a result is rounded if an operand
//   is
//                           narrow and the result has as many elements as that or more: a sum, a
//                           loss, the statistics of a norm stay f32
// Parameters stay f32 (the master weights), as do the optimizer, inputs and results. Autodiff runs
// afterwards, so gradients are rounded where the values were, and are f32 at the parameters.
//
// Changes nothing unless Options::precision is f16 or bf16.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module precision(const Module& module, const Options& options);

}  // namespace gradc
