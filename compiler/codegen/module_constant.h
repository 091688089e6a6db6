#pragma once
// The gradc_module of a compiled module as an LLVM constant.
#include <llvm/IR/Module.h>

#include <span>

#include "compiler/codegen/codegen.h"

namespace gradc::codegen {

struct EntryCode {
  const gradc::Function* entry = nullptr;
  llvm::Function* code = nullptr;
};

// Adds the exported constant `<prefix>_module`.
void emit_module_constant(llvm::Module& code, const gradc::Module& module,
                          const CodegenOptions& options, std::span<const EntryCode> entries);

}  // namespace gradc::codegen
