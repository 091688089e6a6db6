#pragma once
// Copies of a contraction's operands in scratch, in the order in which a tile reads them: a with
// its padding and dilation made explicit (stage_padded.cpp), b with the vector loop innermost
// (stage_vectors.cpp), or rows of either (stage_rows.cpp); and operands where they lie.
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compiler/lower/contraction.h"
#include "compiler/lower/kernel_values.h"

namespace gradc {

// The part of the nest that is open: loop l covers [start[l], start[l] + size[l]).
struct NestBlock {
  std::vector<loop::Scalar> start;
  std::vector<int64_t> size;
  // Of store_sums only: from one of the block's iterations of loop l to the next; none: 1.
  std::vector<int64_t> period{};
};

// Where a tile finds an operand: element (i_0, i_1, ...), counted from the block's start, lies at
// base + sum of step[l] * i_l in the buffer.
struct OperandAccess {
  uint32_t buffer = 0;
  loop::Scalar base;
  std::vector<int64_t> step;  // per loop of the nest
};

// An element of an operand at the indices of its axes, as a `dtype`; 0 where the position's
// condition does not hold.
loop::Scalar operand_element(KernelValues& values, const ContractionNest& nest, size_t operand,
                             Position position, DType dtype);
// The same at the nest's loops, of an operand without padding.
loop::Scalar operand_element_at(KernelValues& values, const ContractionNest& nest, size_t operand,
                                const std::vector<loop::Scalar>& loops, DType dtype);

// The operand where it lies: not computed in the kernel, without padding except on the axes
// `without`, whose indices are 0.
OperandAccess access_in_place(KernelValues& values, const ContractionNest& nest, size_t operand,
                              const NestBlock& block, std::span<const size_t> without = {});

// Elements that stage_padded and stage_vectors need.
int64_t padded_elements(const ContractionNest& nest, size_t operand, const NestBlock& block);

// Copies what the block reads, axis by axis, zeros where an index leaves the operand or does not
// divide.
OperandAccess stage_padded(KernelValues& values, const ContractionNest& nest, size_t operand,
                           const NestBlock& block, uint32_t buffer);

// The same of the whole nest, by a loop of its own over the outermost axis.
OperandAccess stage_padded_whole(KernelValues& values, const ContractionNest& nest, size_t operand,
                                 uint32_t buffer, bool parallel);

// Copies what the block reads and the operand has; the indices of `axes`, which have padding but no
// gaps, count from where their copy begins and not from the block's start.
struct StagedInside {
  OperandAccess access;  // without those axes
  struct Axis {
    loop::Scalar begin;
    int64_t stride = 0;
  };
  std::vector<Axis> axes;  // in the order of `axes`
};
StagedInside stage_inside(KernelValues& values, const ContractionNest& nest, size_t operand,
                          const NestBlock& block, std::span<const size_t> axes, uint32_t buffer);

// Makes, or finds again, a scratch buffer of that name with so many elements at least.
using ScratchBuffers = std::function<uint32_t(const std::string& name, int64_t elements)>;

// Copies what the block reads as [summed loops][vector loop], rows of `row_elements`, to `to` in
// the buffer, or its begin. The operand has no padding, and no two of the block's loops move one of
// its axes.
OperandAccess stage_vectors(KernelValues& values, const ContractionNest& nest, size_t operand,
                            size_t vector_loop, const NestBlock& block, int64_t row_elements,
                            const ScratchBuffers& scratch,
                            std::optional<loop::Scalar> to = std::nullopt);

// Zeros from `start` on, if any. Behind a row's last column they are needed: a tile multiplies
// whole vectors, and what earlier kernels left there may be denormal numbers, which take a CPU a
// hundred times as long.
void clear_elements(loop::Builder& builder, DType dtype, int64_t elements, uint32_t buffer,
                    loop::Scalar start);

// Copies the row of `vector_loop` that begins at the block's start to `to`.
void stage_row(KernelValues& values, const ContractionNest& nest, size_t operand,
               size_t vector_loop, const NestBlock& block, uint32_t buffer, loop::Scalar to);

// Copies what the block reads as [panel of `rows` rows][summed loops][rows of the panel]. The
// operand is as for stage_vectors, its rows are contiguous, and the block has whole panels.
void stage_rows(KernelValues& values, const ContractionNest& nest, size_t operand, size_t row_loop,
                const NestBlock& block, int64_t rows, uint32_t buffer);

}  // namespace gradc
