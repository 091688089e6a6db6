#pragma once
// Of inference: a weight that few rows share its way into the order of their tiles is brought into
// it once, by the entry @prepare, and not in each call. The entry @infer then reads the state
// @w.packed, of role `derived`, in place of @w:
//
//   derived @w.packed: f32[8,256,64]
//   entry @prepare(%w: f32[512,256] = @w) {
//     %w.packed: f32[8,256,64] = call @pack_1(%w)
//     return -> @w.packed=%w.packed
//   }
//
// The sums are those of before. Runs where nothing trains the weights and there is no budget that
// counts them: they are kept twice.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module prepack(const Module& module, const Options& options);

}  // namespace gradc
