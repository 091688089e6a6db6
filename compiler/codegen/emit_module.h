#pragma once
// A planned module as LLVM IR: a function per kernel, a function per entry that calls them with
// the addresses of the plan, and the constant `<prefix>_module` (runtime/gradc_runtime.h).
#include <llvm/IR/Module.h>

#include <memory>
#include <string>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/kernel_units.h"

namespace gradc::codegen {

// All of it in one module: what --emit llvm and --emit asm show.
std::unique_ptr<llvm::Module> emit_module(llvm::LLVMContext& context, const gradc::Module& module,
                                          const KernelUnits& units, const CodegenOptions& options);

// The same in parts, for objects. The kernels that entries call are declared only.
std::unique_ptr<llvm::Module> emit_entries(llvm::LLVMContext& context, const gradc::Module& module,
                                           const KernelUnits& units, const CodegenOptions& options);
// One kernel alone, under a name that says nothing of the model.
inline constexpr std::string_view kKernelSymbol = "gradc.kernel";
std::unique_ptr<llvm::Module> emit_kernel(llvm::LLVMContext& context, const Function& kernel,
                                          const CodegenOptions& options);

// Under which name a kernel's code stands in the whole.
std::string kernel_symbol(const Function& kernel, const CodegenOptions& options);

}  // namespace gradc::codegen
