#pragma once
// From finished sums of a contraction to the kernel's results: the map ops that follow it run on
// each sum where it is.
#include <span>

#include "compiler/lower/contraction.h"
#include "compiler/lower/kernel_values.h"
#include "compiler/lower/stage_operand.h"

namespace gradc {

// Stores the elements of all results at one position of the contraction's result, given by the
// nest's result loops.
void store_results(KernelValues& values, const ContractionNest& nest,
                   std::span<const loop::Scalar> loops, loop::Scalar sum);

// Stores the results of a whole block whose finished sums lie at `sums`, in vectors along the
// result's rows: of the loops of a block only the vector loop and row loops are longer than 1.
void store_sums(KernelValues& values, const ContractionNest& nest, size_t vector_loop,
                const NestBlock& block, const OperandAccess& sums, const ScratchBuffers& scratch);

// The kernel's only result is the sum itself, as it is: no epilogue.
bool stores_sums_unchanged(const Function& kernel, const ContractionNest& nest);

}  // namespace gradc
