#include <llvm/ExecutionEngine/Orc/CompileUtils.h>
#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Target/TargetMachine.h>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/emit_module.h"
#include "compiler/codegen/target_machine.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

template <typename T>
T checked(llvm::Expected<T> value) {
  GRADC_CHECK(value, "{}", llvm::toString(value.takeError()));
  return std::move(*value);
}

void check(llvm::Error error) {
  std::string message = llvm::toString(std::move(error));
  GRADC_CHECK(message.empty(), "{}", message);
}

// The same target machine as for objects.
auto compiler_for(const Target& target) {
  return [target](llvm::orc::JITTargetMachineBuilder)
             -> llvm::Expected<std::unique_ptr<llvm::orc::IRCompileLayer::IRCompiler>> {
    return std::make_unique<llvm::orc::TMOwningSimpleCompiler>(make_target_machine(target));
  };
}

}  // namespace

struct JitModule::Code {
  std::unique_ptr<llvm::orc::LLJIT> jit;
};

JitModule::JitModule(const Module& module, const CodegenOptions& options)
    : code_(std::make_unique<Code>()) {
  auto context = std::make_unique<llvm::LLVMContext>();
  std::unique_ptr<llvm::Module> code = codegen::emit_module(*context, module, options);
  llvm::orc::LLJITBuilder builder;
  builder.setDataLayout(code->getDataLayout());
  builder.setJITTargetMachineBuilder(
      llvm::orc::JITTargetMachineBuilder(llvm::Triple(code->getTargetTriple())));
  builder.setCompileFunctionCreator(compiler_for(options.target));
  code_->jit = checked(builder.create());
  // f64 functions and fmod are libm's, memory is cleared and copied by libc.
  code_->jit->getMainJITDylib().addGenerator(
      checked(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
          code_->jit->getDataLayout().getGlobalPrefix())));
  check(code_->jit->addIRModule(llvm::orc::ThreadSafeModule(std::move(code), std::move(context))));
  module_ = checked(code_->jit->lookup(options.prefix + "_module")).toPtr<const gradc_module*>();
}

JitModule::~JitModule() = default;
JitModule::JitModule(JitModule&&) noexcept = default;
JitModule& JitModule::operator=(JitModule&&) noexcept = default;

}  // namespace gradc
