#pragma once
// Loops in LLVM IR.
#include <llvm/IR/IRBuilder.h>

#include <functional>
#include <span>
#include <vector>

namespace gradc::codegen {

// Gets the iteration's number and the carried values; returns the carries of the next iteration.
using LoopBody =
    std::function<std::vector<llvm::Value*>(llvm::Value* i, std::span<llvm::Value* const> carries)>;

// Appends a loop over i = 0, step, 2 step, ... below `end` at the builder's insertion point; the
// builder ends after it. Returns the final carries. One iteration becomes straight code.
std::vector<llvm::Value*> emit_counted_loop(llvm::IRBuilder<>& builder, int64_t end, int64_t step,
                                            std::vector<llvm::Value*> carries,
                                            const LoopBody& body);

// The same from `begin` to `end`, known at run time; runs at least once.
std::vector<llvm::Value*> emit_loop(llvm::IRBuilder<>& builder, llvm::Value* begin,
                                    llvm::Value* end, int64_t step,
                                    std::vector<llvm::Value*> carries, const LoopBody& body);

// The same over i = 0, 1, ... below `end`, which may be 0 at run time.
std::vector<llvm::Value*> emit_loop_if_any(llvm::IRBuilder<>& builder, llvm::Value* end,
                                           std::vector<llvm::Value*> carries, const LoopBody& body);

}  // namespace gradc::codegen
