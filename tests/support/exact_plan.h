#pragma once
// The cheapest schedule of a tiny problem within a budget, by search over everything.
#include <cstdint>
#include <optional>

#include "compiler/plan/core/problem.h"

namespace gradc_test {

// The least cost of any order and any recomputation, or nullopt when no schedule fits. States are
// sets of values in memory and of kernels that have run: at most about 10 kernels.
std::optional<int64_t> exact_cost(const gradc::Problem& problem, int64_t budget);

// Kernels in a few layers, forward and backward, some in place. Costs and sizes vary.
gradc::Problem random_problem(uint32_t seed, int kernels);

}  // namespace gradc_test
