#pragma once
// Moves what makes the rows of a scan's sequence into the scan's body. The product of all rows with
// a weight, before the loop, becomes the product of one row in each trip:
//   %z: f32[28,64,512] = dot(%x, %w)  ...  scan @cell(%h, %z)
// becomes scan @cell(%h, %x, %w), with a dot of f32[64,28] in the body. So neither the tensor of
// all rows nor its gradient is ever in memory as a whole, and the gradient of the weight is summed
// trip by trip, as that of every constant of a loop.
//
// An op moves when row i of its result follows from row i of operands and from operands that are
// the same for all rows, nothing else reads its result, what the body reads instead is no larger,
// and, for a product, a trip has rows enough to be worth loading the weight. Where it has fewer, a
// loop over chunks of trips has the product of a chunk's rows, and in it the scan of the chunk.
// These are facts of the model's shapes, so a model's bits depend on nothing else.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module sink(const Module& module, const Options& options);

}  // namespace gradc
