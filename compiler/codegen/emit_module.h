#pragma once
// A planned module as LLVM IR: a function per kernel, a function per entry that calls them with
// the addresses of the plan, and the constant `<prefix>_module` (runtime/gradc_runtime.h).
#include <llvm/IR/Module.h>

#include <memory>

#include "compiler/codegen/codegen.h"

namespace gradc::codegen {

std::unique_ptr<llvm::Module> emit_module(llvm::LLVMContext& context, const gradc::Module& module,
                                          const CodegenOptions& options);

}  // namespace gradc::codegen
