#pragma once
// Gradient accumulation as a rewrite of train_step: the inputs become N batches long, the forward
// and the backward pass stand there once for each of the N micro-batches, and the gradients that
// the optimizer sees are the means of theirs. The sums live in the arena like everything else, and
// the activations of one micro-batch are gone when the next begins.
//
// What holds: a loss that is a mean over samples, and its gradients, are those of the large batch
// but for rounding. Batch statistics are those of each micro-batch, and running ones are updated N
// times; random ops draw other numbers in each. A float result without a batch axis is the mean
// over the micro-batches, one with a batch axis is joined.
//
// Changes nothing unless Options::train, Options::update and Options::accumulate > 1.
#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

Module accumulate(const Module& module, const Options& options);

// The size that the first axes of all data of a training step have in common; fails if they differ.
int64_t batch_size(const Function& step);

}  // namespace gradc
