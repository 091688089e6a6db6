#include "compiler/lower/stage_operand.h"

#include <algorithm>

namespace gradc {

using loop::Scalar;

Scalar operand_element(KernelValues& values, const ContractionNest& nest, size_t operand,
                       Position position, DType dtype) {
  loop::Builder& b = values.builder();
  ValueId value = nest.operands[operand];
  const Dims &joined = nest.types[operand].dims, &dims = values.function().type(value).dims;
  if (joined != dims)
    position.indices = unravel(b, ravel(b, position.indices, joined), dims);
  Scalar element = values.element(value, position);
  if (position.condition)
    element = b.select(*position.condition, element, b.constant(element.dtype, 0));
  return b.convert(element, dtype);
}

Scalar operand_element_at(KernelValues& values, const ContractionNest& nest, size_t operand,
                          const std::vector<Scalar>& loops, DType dtype) {
  loop::Builder& b = values.builder();
  Position position;
  for (const AffineIndex& index : nest.contraction.operand_indices[operand]) {
    Scalar sum = b.index(index.offset);
    for (auto [l, coefficient] : index.terms)
      sum = b.add(sum, b.scaled(loops[static_cast<size_t>(l)], coefficient));
    position.indices.push_back(sum);
  }
  return operand_element(values, nest, operand, std::move(position), dtype);
}

OperandAccess access_in_place(KernelValues& values, const ContractionNest& nest, size_t operand,
                              const NestBlock& block, std::span<const size_t> without) {
  loop::Builder& b = values.builder();
  OperandAccess access{*values.buffer_of(nest.operands[operand]), b.index(0),
                       std::vector<int64_t>(nest.loops.size())};
  Dims strides = row_major_strides(nest.types[operand].dims);
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    if (std::find(without.begin(), without.end(), axis) != without.end())
      continue;
    const AffineIndex& index = nest.contraction.operand_indices[operand][axis];
    access.base = b.add(access.base, b.index(index.offset * strides[axis]));
    for (auto [l, coefficient] : index.terms)
      access.step[static_cast<size_t>(l)] += coefficient * strides[axis];
  }
  for (size_t l = 0; l < nest.loops.size(); ++l)
    access.base = b.add(access.base, b.scaled(block.start[l], access.step[l]));
  return access;
}

}  // namespace gradc
