#pragma once
// Of inference: what depends on weights alone is made once, by the entry @prepare, and not in each
// call: kernels that read nothing else, and a weight in the order of a kernel's tiles, where few
// rows share its way into that. The entry @infer then reads state of role `derived`:
//
//   derived @w.packed: f32[8,256,64]
//   entry @prepare(%w: f32[512,256] = @w) {
//     %w.packed: f32[8,256,64] = call @pack_1(%w)
//     return -> @w.packed=%w.packed
//   }
//
// The sums are those of before. Runs where nothing trains the weights and there is no budget that
// counts what is kept beside them.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module prepack(const Module& module, const Options& options);

}  // namespace gradc
