#pragma once
// Whether what a training step computes for a sample depends on other samples of its batch.
// Micro-batches give the whole batch's gradients only where it does not: where samples meet in sums
// alone, and what is optimized is their mean.
#include <optional>
#include <string>

#include "ir/module.h"

namespace gradc {

struct BatchMixing {
  std::string what;  // a sentence on what was seen
  std::string loc;  // in the model; "" when not known
};

// `step` is a forward pass of primitives: behind `unroll` and `expand`, before `autodiff`. Each of
// its data inputs begins with the batch axis. What cannot be shown to keep samples apart counts as
// mixing them.
std::optional<BatchMixing> batch_mixing(const Function& step);

}  // namespace gradc
