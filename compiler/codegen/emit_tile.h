#pragma once
// The two structured instructions of the loop IR in LLVM IR: register tiles and transposes.
// Vectors are explicit, so that what LLVM's register allocator sees is what was scheduled.
#include <llvm/IR/IRBuilder.h>

#include <functional>

#include "ir/loop.h"

namespace gradc::codegen {

// Addresses of the first element that a tile reads of each operand; `acc` may be null.
struct TilePointers {
  llvm::Value* a = nullptr;
  llvm::Value* b = nullptr;
  llvm::Value* acc = nullptr;
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
               int registers, const TilePointers& pointers,
               const std::function<void(const TileVector&)>& sink);

void emit_transpose(llvm::IRBuilder<>& builder, const loop::Transpose& transpose,
                    llvm::Type* element, int lanes, llvm::Value* from, llvm::Value* to);

}  // namespace gradc::codegen
