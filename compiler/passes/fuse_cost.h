#pragma once
// Chooses kernels by what they cost: bytes that they read and write and operations, at the rates
// of compiler/plan/cost.h.
//
// What a kernel makes elementwise from values that its readers hold anyway, or that are no more
// bytes than the result, is computed again in each of them instead of being written by one and
// read by the others. Readers of the same phase only: what the backward pass holds of the forward
// pass is not chosen here.
#include "compiler/passes/fuse_groups.h"
#include "compiler/plan/cost.h"

namespace gradc {

// `repeat`: ops that are repeated whatever they cost.
Grouping group_by_cost(const Function& function, const CostTable& table,
                       std::vector<uint32_t> repeat, bool explain);

// Nanoseconds of all groups, what they move and what they compute one after the other.
double cost_of(const Function& function, const Grouping& grouping, const CostTable& table);

}  // namespace gradc
