// Rows of operands, and panels of them.
#include "compiler/lower/stage_operand.h"

namespace gradc {

using loop::LoopKind;
using loop::Scalar;

void stage_row(KernelValues& values, const ContractionNest& nest, size_t operand,
               size_t vector_loop, const NestBlock& block, uint32_t buffer, Scalar to) {
  loop::Builder& b = values.builder();
  std::vector<Scalar> at = block.start;
  Scalar column = b.begin_for(LoopKind::vector, block.size[vector_loop])[0];
  at[vector_loop] = b.add(at[vector_loop], column);
  Scalar x = operand_element_at(values, nest, operand, at, nest.sum_dtype());
  b.store(buffer, b.add(to, column), x);
  b.end_for();
}

void clear_elements(loop::Builder& b, DType dtype, int64_t elements, uint32_t buffer,
                    Scalar start) {
  if (elements == 0)
    return;
  Scalar i = b.begin_for(LoopKind::vector, elements)[0];
  b.store(buffer, b.add(start, i), b.constant(dtype, 0));
  b.end_for();
}

// Row by row of the summed loops, so that the operand is read by whole cache lines.
void stage_rows(KernelValues& values, const ContractionNest& nest, size_t operand, size_t row_loop,
                const NestBlock& block, int64_t rows, uint32_t buffer) {
  loop::Builder& b = values.builder();
  std::vector<Scalar> at = block.start;
  Scalar k = b.index(0);
  int64_t elements = 1;
  size_t opened = 0;
  for (size_t l = nest.result_loops; l < nest.loops.size(); ++l) {
    if (block.size[l] == 1)
      continue;
    Scalar i = b.begin_for(LoopKind::serial, block.size[l])[0];
    at[l] = b.add(at[l], i);
    k = b.add(b.scaled(k, block.size[l]), i);
    elements *= block.size[l];
    ++opened;
  }
  Scalar panel = b.begin_for(LoopKind::unrolled, block.size[row_loop] / rows)[0];
  Scalar row = b.begin_for(LoopKind::vector, rows)[0];
  at[row_loop] = b.add(at[row_loop], b.add(b.scaled(panel, rows), row));
  Scalar x = operand_element_at(values, nest, operand, at, nest.sum_dtype());
  Scalar to = b.add(b.scaled(b.add(b.scaled(panel, elements), k), rows), row);
  b.store(buffer, to, x);
  b.end_for();
  b.end_for();
  for (; opened > 0; --opened)
    b.end_for();
}

}  // namespace gradc
