#include <llvm/ExecutionEngine/Orc/ExecutionUtils.h>
#include <llvm/ExecutionEngine/Orc/LLJIT.h>
#include <llvm/Support/MemoryBuffer.h>

#include "compiler/codegen/checked.h"
#include "compiler/codegen/codegen.h"
#include "compiler/codegen/debugger.h"
#include "compiler/codegen/module_object.h"
#include "compiler/codegen/target_machine.h"

namespace gradc {

using codegen::check;
using codegen::checked;

struct JitModule::Code {
  std::unique_ptr<llvm::orc::LLJIT> jit;
  std::unique_ptr<codegen::DebuggerObject> debugged;

  void tell_debuggers(codegen::ElfFile file);
};

// Kernels are symbols that can be looked up, for tell_debuggers.
static void export_functions(codegen::ElfFile& file) {
  for (codegen::ElfSymbol& symbol : file.symbols)
    symbol.global |= symbol.bytes > 0;
}

void JitModule::Code::tell_debuggers(codegen::ElfFile file) {
  std::vector<codegen::LoadedFunction> functions;
  for (const codegen::ElfSymbol& symbol : file.symbols) {
    if (symbol.section == codegen::ElfSymbol::kUndefined)
      continue;
    uint64_t address = checked(jit->lookup(symbol.name)).getValue();
    file.sections[symbol.section].address = address - symbol.value;
    functions.push_back({address, symbol.bytes, symbol.name});
  }
  codegen::write_perf_map(functions);
  debugged = std::make_unique<codegen::DebuggerObject>(codegen::write_elf(file));
}

// What is loaded is the object that `gradc compile` would write.
JitModule::JitModule(const Module& module, const CodegenOptions& options)
    : code_(std::make_unique<Code>()) {
  if (!is_of_this_machine(options.target))
    throw UserError("",
                    fmt::format("code for {} ({}) does not run on this machine", options.target.cpu,
                                architecture(options.target)),
                    Fault::command_line)
        .with_help("`gradc compile` writes objects for other machines");
  codegen::ElfFile file = codegen::module_object(module, options);
  if (options.debugging)
    export_functions(file);
  std::string object = codegen::write_elf(file);
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(options.target);
  llvm::orc::LLJITBuilder builder;
  builder.setDataLayout(machine->createDataLayout());
  builder.setJITTargetMachineBuilder(
      llvm::orc::JITTargetMachineBuilder(machine->getTargetTriple()));
  code_->jit = checked(builder.create());
  // f64 functions and fmod are libm's, memory is cleared and copied by libc.
  code_->jit->getMainJITDylib().addGenerator(
      checked(llvm::orc::DynamicLibrarySearchGenerator::GetForCurrentProcess(
          code_->jit->getDataLayout().getGlobalPrefix())));
  check(code_->jit->addObjectFile(
      llvm::MemoryBuffer::getMemBufferCopy(object, options.prefix + ".o")));
  module_ = checked(code_->jit->lookup(options.prefix + "_module")).toPtr<const gradc_module*>();
  if (options.debugging)
    code_->tell_debuggers(std::move(file));
}

JitModule::~JitModule() = default;
JitModule::JitModule(JitModule&&) noexcept = default;
JitModule& JitModule::operator=(JitModule&&) noexcept = default;

}  // namespace gradc
