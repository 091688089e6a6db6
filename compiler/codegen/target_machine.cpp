#include "compiler/codegen/target_machine.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>

#include <mutex>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

// Both back ends: a model is compiled for other machines too.
void initialize_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86Target();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo();
    LLVMInitializeAArch64Target();
    LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
  });
}

// What LLVM is told of the CPU: an Arm processor's name would bring features that code must not
// use, so there it is what instructions are scheduled for (`tune-cpu`).
std::string llvm_cpu(const Target& target) {
  return has_feature(target, "neon") ? "generic" : std::string(cpu_model(target));
}

}  // namespace

std::unique_ptr<llvm::TargetMachine> make_target_machine(const Target& target) {
  initialize_llvm();
  std::string triple = architecture(target) + "-unknown-linux-gnu", error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(triple, error);
  GRADC_CHECK(found, "{}", error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(
      found->createTargetMachine(triple, llvm_cpu(target), target.features, options,
                                 llvm::Reloc::PIC_, std::nullopt, llvm::CodeGenOptLevel::Default));
  GRADC_CHECK(machine, "no target machine for {}", triple);
  return machine;
}

std::string code_file(llvm::Module& code, const Target& target, CodeFormat format) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (format == CodeFormat::llvm_ir) {
    code.print(stream, nullptr);
    return {bytes.begin(), bytes.end()};
  }
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(target);
  llvm::legacy::PassManager passes;
  bool refused = machine->addPassesToEmitFile(passes, stream, nullptr,
                                              format == CodeFormat::object
                                                  ? llvm::CodeGenFileType::ObjectFile
                                                  : llvm::CodeGenFileType::AssemblyFile);
  GRADC_CHECK(!refused, "LLVM cannot write this kind of file for {}", target.cpu);
  passes.run(code);
  return {bytes.begin(), bytes.end()};
}

void set_target_attributes(llvm::Function& function, const Target& target) {
  std::string bits = std::to_string(8 * target.vector_bytes);
  function.addFnAttr("target-cpu", llvm_cpu(target));
  if (llvm_cpu(target) != cpu_model(target))
    function.addFnAttr("tune-cpu", cpu_model(target));
  function.addFnAttr("target-features", target.features);
  function.addFnAttr("prefer-vector-width", bits);
  function.addFnAttr("min-legal-vector-width", bits);
  function.setDoesNotThrow();
}

}  // namespace gradc
