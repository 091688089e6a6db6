// The instructions that work on whole blocks of vectors.
#include "compiler/codegen/arithmetic.h"
#include "compiler/codegen/emit_tile.h"
#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/target.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {

using llvm::Value;
using loop::Instr;

// The body of a tile runs on one vector of sums after the other: each is a vector block of its
// own, with the row and the group as constants and the columns as lanes.
void KernelEmitter::emit_tile(const Instr& instr) {
  GRADC_CHECK(block_.number == 0, "a tile of @{} is inside of a vector loop", kernel_.name);
  const loop::Tile& tile = *instr.tile;
  std::vector<LaneShape> shapes = lane_shapes(kernel_, instr);
  TileOperands operands{
      address(tile.a_buffer, scalar(instr.operands[0])),
      address(tile.b_buffer, scalar(instr.operands[1])),
      tile.accumulate ? address(tile.acc_buffer, scalar(instr.operands[2])) : nullptr,
      {},
      {}};
  size_t first_ahead = instr.operands.size() - tile.ahead.size();
  for (size_t i = tile.accumulate ? 3 : 2; i < first_ahead; ++i)
    operands.counts.push_back(scalar(instr.operands[i]));
  for (size_t i = 0; i < tile.ahead.size(); ++i)
    operands.ahead.push_back(
        b_.CreateGEP(memory_type(b_.getContext(), kernel_.buffers[tile.ahead[i].buffer].dtype),
                     buffers_[tile.ahead[i].buffer], scalar(instr.operands[first_ahead + i])));
  auto constant = [&](int64_t value) { return b_.getInt64(static_cast<uint64_t>(value)); };
  auto run_body = [&](const TileVector& at) {
    block_ = {.number = ++vector_blocks_,
              .vectors = 1,
              .last_lanes = at.valid,
              .shapes = &shapes,
              .outside = b_.GetInsertBlock()};
    define(instr.params[0], constant(at.row));
    define(instr.params[1], constant(at.group));
    define(instr.params[2], constant(at.column));
    define_vector(instr.params[3], 0, at.sums);
    emit_body(instr.body);
    block_ = {};
  };
  codegen::emit_tile(b_, tile, register_type(b_.getContext(), instr.dtype),
                     static_cast<int>(lanes_), target_.vector_registers, operands, run_body);
  for (uint32_t reg : splats_)
    values_[reg].splat = nullptr;
  splats_.clear();
}

void KernelEmitter::emit_transpose(const Instr& instr) {
  GRADC_CHECK(block_.number == 0, "a transpose of @{} is inside of a vector loop", kernel_.name);
  const loop::Transpose& transpose = *instr.transpose;
  llvm::Type* element =
      transpose.pairs ? b_.getInt32Ty() : memory_type(b_.getContext(), instr.dtype);
  codegen::emit_transpose(b_, transpose, element, static_cast<int>(lanes_),
                          address(transpose.from_buffer, scalar(instr.operands[0])),
                          address(transpose.to_buffer, scalar(instr.operands[1])));
}

void KernelEmitter::emit_pair_rows(const Instr& instr) {
  const loop::PairRows& pairs = *instr.pair_rows;
  codegen::emit_pair_rows(b_, pairs, address(pairs.from_buffer, scalar(instr.operands[0])),
                          address(pairs.to_buffer, scalar(instr.operands[1])));
}

void KernelEmitter::emit_matrix(const Instr& instr) {
  GRADC_CHECK(target_.matrix_bf16, "@{} multiplies matrices, which {} cannot", kernel_.name,
              target_.cpu);
  const loop::Matrix& matrix = *instr.matrix;
  MatrixPointers pointers{address(matrix.a_buffer, scalar(instr.operands[0])),
                          address(matrix.b_buffer, scalar(instr.operands[1])),
                          address(matrix.c_buffer, scalar(instr.operands[2]))};
  if (has_feature(target_, "amx-tile") && has_feature(target_, "amx-bf16"))
    emit_matrix_tiles(b_, matrix, pointers);
  else
    emit_matrix_dots(b_, matrix, pointers);
}

}  // namespace gradc::codegen
