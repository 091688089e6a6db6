// Files of code: object, assembly, LLVM IR.
#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/emit_module.h"
#include "compiler/codegen/target_machine.h"
#include "ir/diagnostic.h"

namespace gradc {

std::string generate_code(const Module& module, const CodegenOptions& options, CodeFormat format) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = codegen::emit_module(context, module, options);
  if (format == CodeFormat::llvm_ir) {
    std::string text;
    llvm::raw_string_ostream stream(text);
    code->print(stream, nullptr);
    return stream.str();
  }
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(options.target);
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  bool refused = machine->addPassesToEmitFile(passes, stream, nullptr,
                                              format == CodeFormat::object
                                                  ? llvm::CodeGenFileType::ObjectFile
                                                  : llvm::CodeGenFileType::AssemblyFile);
  GRADC_CHECK(!refused, "LLVM cannot write this kind of file for {}", options.target.cpu);
  passes.run(*code);
  return {bytes.begin(), bytes.end()};
}

}  // namespace gradc
