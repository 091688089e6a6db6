#pragma once
// --micro-batch: the step works through its batch in parts, so that the activations of one part are
// gone when the next begins (--accumulate), and takes the whole batch's data all the same.
#include "tools/commands/flags.h"

namespace gradc {

// Reads ModelFlags::micro_batch, behind finish() and when Options::train is known: sets the bind
// `batch` and Options::accumulate. `auto` plans the step for 1, 2, 3, ... parts of equal size, 64
// at most, and takes the fastest by the cost table that is within the budget; it ends where no more
// parts can be faster. Where samples meet other than in the loss's mean (batch_mixing.h),
// micro-batches would give other gradients, and the model is refused.
void settle_micro_batches(ModelFlags& flags);

}  // namespace gradc
