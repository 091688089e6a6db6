#include "compiler/codegen/plain_fma.h"

#include <llvm/IR/IRBuilder.h>
#include <llvm/IR/IntrinsicInst.h>

#include <vector>

namespace gradc::codegen {
namespace {

constexpr const char* kExact = "gradc.exact";

llvm::Value* product_and_sum(llvm::IRBuilder<>& b, llvm::CallInst& fma) {
  llvm::Type* type = fma.getType();
  llvm::Value *x = fma.getArgOperand(0), *y = fma.getArgOperand(1), *z = fma.getArgOperand(2);
  if (!fma.getMetadata(kExact) || !type->getScalarType()->isFloatTy())
    return b.CreateFAdd(b.CreateFMul(x, y), z);
  llvm::Type* wide = type->getWithNewType(b.getDoubleTy());
  auto widened = [&](llvm::Value* value) { return b.CreateFPExt(value, wide); };
  return b.CreateFPTrunc(b.CreateFAdd(b.CreateFMul(widened(x), widened(y)), widened(z)), type);
}

}  // namespace

void mark_exact(llvm::CallInst& fma) {
  fma.setMetadata(kExact, llvm::MDNode::get(fma.getContext(), {}));
}

void replace_fma(llvm::Function& function) {
  std::vector<llvm::CallInst*> calls;
  for (llvm::BasicBlock& block : function)
    for (llvm::Instruction& instruction : block)
      if (auto* call = llvm::dyn_cast<llvm::IntrinsicInst>(&instruction))
        if (call->getIntrinsicID() == llvm::Intrinsic::fma)
          calls.push_back(call);
  for (llvm::CallInst* call : calls) {
    llvm::IRBuilder<> b(call);
    call->replaceAllUsesWith(product_and_sum(b, *call));
    call->eraseFromParent();
  }
}

}  // namespace gradc::codegen
