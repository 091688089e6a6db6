#pragma once
// Planning problems as training steps give them, and any kind of graph, small.
#include <cstdint>

#include "compiler/plan/core/problem.h"

namespace gradc_test {

// Layers with weights, some with two results, skips, residual sums and what is made in place; their
// gradients, and updates that wait for the readers of the weights. Every third seed has inverses.
// About six kernels a layer.
gradc::Problem random_step(uint32_t seed, int layers);

// Kernels that read what any earlier ones made; some make two values, some are only another way to
// make a value, some may not run behind others.
gradc::Problem random_graph(uint32_t seed, int kernels);

}  // namespace gradc_test
