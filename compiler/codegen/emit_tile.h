#pragma once
// The block instructions of the loop IR in LLVM IR: register tiles, transposes, matrix products.
// Vectors are explicit, so that what LLVM's register allocator sees is what was scheduled.
#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <vector>

#include "ir/loop.h"

namespace gradc::codegen {

// Addresses of the first element that a tile reads of each operand; `acc` may be null. What the
// counted loops count, in their order, and where what is fetched ahead begins.
struct TileOperands {
  llvm::Value* a = nullptr;
  llvm::Value* b = nullptr;
  llvm::Value* acc = nullptr;
  std::vector<llvm::Value*> counts;
  std::vector<llvm::Value*> ahead;
};

// One finished vector of a tile: the sums of columns [column, column + valid) of a row.
struct TileVector {
  int64_t row = 0, group = 0, column = 0;
  int64_t valid = 0;  // lanes that are columns; the others are undefined
  llvm::Value* sums = nullptr;
};

// Emits the tile at the builder's insertion point and hands each vector of sums to `sink`, which
// appends the tile's body. `lanes` is a vector's number of elements of type `element`, `registers`
// what the target has for vectors.
void emit_tile(llvm::IRBuilder<>& builder, const loop::Tile& tile, llvm::Type* element, int lanes,
               int registers, const TileOperands& operands,
               const std::function<void(const TileVector&)>& sink);

// The first element of each matrix.
struct MatrixPointers {
  llvm::Value* a = nullptr;
  llvm::Value* b = nullptr;
  llvm::Value* c = nullptr;
};

// Needs AMX.
void emit_matrix_tiles(llvm::IRBuilder<>& builder, const loop::Matrix& matrix,
                       const MatrixPointers& pointers);
// Needs AVX512-BF16 and 32 registers.
void emit_matrix_dots(llvm::IRBuilder<>& builder, const loop::Matrix& matrix,
                      const MatrixPointers& pointers);

void emit_pair_rows(llvm::IRBuilder<>& builder, const loop::PairRows& pairs, llvm::Value* from,
                    llvm::Value* to);

// `element` is what moves: for pairs, a type as wide as two elements.
void emit_transpose(llvm::IRBuilder<>& builder, const loop::Transpose& transpose,
                    llvm::Type* element, int lanes, llvm::Value* from, llvm::Value* to);

}  // namespace gradc::codegen
