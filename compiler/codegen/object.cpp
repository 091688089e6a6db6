// Files of code: object, assembly, LLVM IR.
#include <llvm/IR/LLVMContext.h>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/emit_module.h"
#include "compiler/codegen/module_object.h"
#include "compiler/codegen/target_machine.h"

namespace gradc {

std::string generate_code(const Module& module, const CodegenOptions& options, CodeFormat format) {
  if (format == CodeFormat::object)
    return codegen::write_elf(codegen::module_object(module, options));
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code =
      codegen::emit_module(context, module, codegen::kernel_units(module), options);
  return code_file(*code, options.target, format);
}

}  // namespace gradc
