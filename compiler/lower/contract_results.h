#pragma once
// From finished sums of a contraction to the kernel's results: the map ops that follow it run on
// each sum where it is.
#include <span>

#include "compiler/lower/contraction.h"
#include "compiler/lower/kernel_values.h"

namespace gradc {

// Stores the elements of all results at one position of the contraction's result, given by the
// nest's result loops.
void store_results(KernelValues& values, const ContractionNest& nest,
                   std::span<const loop::Scalar> loops, loop::Scalar sum);

// The kernel's only result is the sum itself, as it is: no epilogue.
bool stores_sums_unchanged(const Function& kernel, const ContractionNest& nest);

}  // namespace gradc
