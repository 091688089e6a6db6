#include "compiler/codegen/counted_loop.h"

namespace gradc::codegen {

using llvm::Value;

std::vector<Value*> emit_loop(llvm::IRBuilder<>& b, Value* begin, Value* end, int64_t step,
                              std::vector<Value*> carries, const LoopBody& body) {
  llvm::BasicBlock* before = b.GetInsertBlock();
  llvm::Function* function = before->getParent();
  auto* head = llvm::BasicBlock::Create(b.getContext(), "loop", function);
  auto* after = llvm::BasicBlock::Create(b.getContext(), "after", function);
  b.CreateBr(head);
  b.SetInsertPoint(head);
  std::vector<llvm::PHINode*> phis = {b.CreatePHI(b.getInt64Ty(), 2)};
  phis[0]->addIncoming(begin, before);
  for (Value*& carry : carries) {
    phis.push_back(b.CreatePHI(carry->getType(), 2));
    phis.back()->addIncoming(carry, before);
    carry = phis.back();
  }
  carries = body(phis[0], carries);
  Value* next = b.CreateAdd(phis[0], b.getInt64(static_cast<uint64_t>(step)), "", true, true);
  llvm::BasicBlock* latch = b.GetInsertBlock();
  b.CreateCondBr(b.CreateICmpULT(next, end), head, after);
  phis[0]->addIncoming(next, latch);
  for (size_t i = 0; i < carries.size(); ++i)
    phis[i + 1]->addIncoming(carries[i], latch);
  b.SetInsertPoint(after);
  return carries;
}

std::vector<Value*> emit_loop_if_any(llvm::IRBuilder<>& b, Value* end, std::vector<Value*> carries,
                                     const LoopBody& body) {
  llvm::BasicBlock* before = b.GetInsertBlock();
  llvm::Function* function = before->getParent();
  auto* some = llvm::BasicBlock::Create(b.getContext(), "some", function);
  auto* after = llvm::BasicBlock::Create(b.getContext(), "joined", function);
  b.CreateCondBr(b.CreateICmpSGT(end, b.getInt64(0)), some, after);
  b.SetInsertPoint(some);
  std::vector<Value*> looped = emit_loop(b, b.getInt64(0), end, 1, carries, body);
  llvm::BasicBlock* last = b.GetInsertBlock();
  b.CreateBr(after);
  b.SetInsertPoint(after);
  for (size_t i = 0; i < carries.size(); ++i) {
    llvm::PHINode* joined = b.CreatePHI(carries[i]->getType(), 2);
    joined->addIncoming(carries[i], before);
    joined->addIncoming(looped[i], last);
    carries[i] = joined;
  }
  return carries;
}

std::vector<Value*> emit_counted_loop(llvm::IRBuilder<>& b, int64_t end, int64_t step,
                                      std::vector<Value*> carries, const LoopBody& body) {
  if (end <= 0)
    return carries;
  if (end <= step)
    return body(b.getInt64(0), carries);
  return emit_loop(b, b.getInt64(0), b.getInt64(static_cast<uint64_t>(end)), step,
                   std::move(carries), body);
}

}  // namespace gradc::codegen
