#include "compiler/codegen/emit_module.h"

#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <cstddef>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/module_constant.h"
#include "compiler/codegen/plain_fma.h"
#include "compiler/codegen/target_machine.h"
#include "compiler/lower/lower.h"
#include "compiler/plan/storage.h"
#include "compiler/plan/views.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"

namespace gradc::codegen {
namespace {

// What the plan has a place for must be what the loops use.
void check_schedule(const gradc::Function& function, const loop::Kernel& loops) {
  auto check = [&](std::string_view key, loop::Space space) {
    int64_t bytes = loop::space_bytes(loops, space);
    if (function.attrs.integer_or(key, -1) != bytes)
      fail("kernel @{} takes {} bytes of {}, which its attributes do not say; run `schedule`",
           function.name, bytes, key);
  };
  check("workspace", loop::Space::workspace);
  check("scratch", loop::Space::scratch);
}

void define_kernel(llvm::Module& code, const gradc::Function& kernel, const std::string& symbol,
                   const CodegenOptions& options) {
  loop::Kernel loops = lower(kernel, options.target, options.threads);
  check_schedule(kernel, loops);
  KernelEmitter(code, loops, options.target).emit(symbol);
}

void check_valid(const llvm::Module& code) {
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  GRADC_CHECK(!llvm::verifyModule(code, &stream), "{}", errors);
}

void finish(llvm::Module& code, const Target& target) {
  if (!has_feature(target, "fma") && !has_feature(target, "neon"))
    for (llvm::Function& function : code)
      replace_fma(function);
  check_valid(code);
}

class EntryEmitter {
 public:
  EntryEmitter(llvm::Module& code, const gradc::Module& module, const KernelUnits& units,
               const CodegenOptions& options)
      : code_(code), module_(module), units_(units), options_(options), b_(code.getContext()) {}

  void run() {
    std::vector<EntryCode> entries;
    for (const gradc::Function& function : module_.functions)
      if (function.kind == FunctionKind::entry)
        entries.push_back({&function, entry(function)});
    emit_module_constant(code_, module_, options_, entries);
  }

 private:
  // void entry(const gradc_context*, const void* const* inputs, void* const* outputs)
  llvm::Function* entry(const gradc::Function& function) {
    std::vector<llvm::Type*> types(3, b_.getPtrTy());
    if (!function.arena_bytes)
      fail("@{} has no arena; run `plan`", function.name);
    auto* code = llvm::Function::Create(
        llvm::FunctionType::get(b_.getVoidTy(), types, false), llvm::Function::InternalLinkage,
        fmt::format("{}.{}", options_.prefix, function.name), code_);
    set_target_attributes(*code, options_.target);
    b_.SetInsertPoint(llvm::BasicBlock::Create(code_.getContext(), "", code));
    arena_ = context_field(code, offsetof(gradc_context, arena));
    state_ = context_field(code, offsetof(gradc_context, state));
    std::vector<Storage> storages = storage_of(module_, function);
    std::vector<llvm::Value*> addresses(function.values.size());
    auto address = [&](ValueId value) {
      llvm::Value*& known = addresses[value.index];
      return known ? known : known = address_of(code, storages[value.index]);
    };
    uint32_t calls = 0;
    for (const Op& op : function.ops) {
      if (is_view(op))
        continue;
      emit_mark(code, calls++);
      std::vector<llvm::Value*> arguments = {code->getArg(0)};
      for (ValueId operand : op.operands)
        arguments.push_back(address(operand));
      for (ValueId result : op.results)
        arguments.push_back(address(result));
      arguments.push_back(offset(arena_, op.attrs.integer_or("scratch_at", 0)));
      b_.CreateCall(kernel(op.callee, arguments.size()), arguments);
    }
    emit_mark(code, calls);
    b_.CreateRetVoid();
    return code;
  }

  // if (context->mark) context->mark(context->mark_data, call)
  void emit_mark(llvm::Function* code, uint32_t call) {
    if (!options_.marks)
      return;
    auto block = [&] { return llvm::BasicBlock::Create(code_.getContext(), "", code); };
    llvm::BasicBlock *marking = block(), *after = block();
    llvm::Value* mark = context_field(code, offsetof(gradc_context, mark));
    b_.CreateCondBr(b_.CreateIsNotNull(mark), marking, after);
    b_.SetInsertPoint(marking);
    auto* type = llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy(), b_.getInt32Ty()}, false);
    b_.CreateCall(type, mark,
                  {context_field(code, offsetof(gradc_context, mark_data)), b_.getInt32(call)});
    b_.CreateBr(after);
    b_.SetInsertPoint(after);
  }

  // Defined already, or by another module that becomes part of the same object.
  llvm::Function* kernel(const std::string& name, size_t arguments) {
    std::string symbol = kernel_symbol(*units_.kernels[units_.by_name.at(name)], options_);
    if (llvm::Function* known = code_.getFunction(symbol))
      return known;
    std::vector<llvm::Type*> types(arguments, b_.getPtrTy());
    auto* declared = llvm::Function::Create(llvm::FunctionType::get(b_.getVoidTy(), types, false),
                                            llvm::Function::ExternalLinkage, symbol, code_);
    declared->setVisibility(llvm::GlobalValue::HiddenVisibility);
    return declared;
  }

  llvm::Value* context_field(llvm::Function* code, size_t at) {
    return b_.CreateLoad(b_.getPtrTy(),
                         b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), code->getArg(0), at));
  }

  llvm::Value* offset(llvm::Value* region, int64_t bytes) {
    return b_.CreateConstInBoundsGEP1_64(b_.getInt8Ty(), region, static_cast<uint64_t>(bytes));
  }

  llvm::Value* address_of(llvm::Function* code, const Storage& storage) {
    if (storage.region == Region::input || storage.region == Region::output) {
      llvm::Value* table = code->getArg(storage.region == Region::input ? 1 : 2);
      return b_.CreateLoad(b_.getPtrTy(),
                           b_.CreateConstInBoundsGEP1_64(b_.getPtrTy(), table,
                                                         static_cast<uint64_t>(storage.index)));
    }
    GRADC_CHECK(storage.offset != Storage::kUnplaced, "a value of @{} has no place; run `plan`",
                code->getName().str());
    return offset(storage.region == Region::arena ? arena_ : state_, storage.offset);
  }

  llvm::Module& code_;
  const gradc::Module& module_;
  const KernelUnits& units_;
  const CodegenOptions& options_;
  llvm::IRBuilder<> b_;
  llvm::Value* arena_ = nullptr;
  llvm::Value* state_ = nullptr;
};

std::unique_ptr<llvm::Module> empty_module(llvm::LLVMContext& context, const std::string& name,
                                           const Target& target) {
  auto code = std::make_unique<llvm::Module>(name, context);
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(target);
  code->setTargetTriple(machine->getTargetTriple().str());
  code->setDataLayout(machine->createDataLayout());
  return code;
}

}  // namespace

std::string kernel_symbol(const gradc::Function& kernel, const CodegenOptions& options) {
  return fmt::format("{}.{}", options.prefix, kernel.name);
}

std::unique_ptr<llvm::Module> emit_module(llvm::LLVMContext& context, const gradc::Module& module,
                                          const KernelUnits& units, const CodegenOptions& options) {
  auto code = empty_module(context, options.prefix, options.target);
  for (const gradc::Function* kernel : units.kernels)
    define_kernel(*code, *kernel, kernel_symbol(*kernel, options), options);
  EntryEmitter(*code, module, units, options).run();
  finish(*code, options.target);
  return code;
}

std::unique_ptr<llvm::Module> emit_entries(llvm::LLVMContext& context, const gradc::Module& module,
                                           const KernelUnits& units,
                                           const CodegenOptions& options) {
  auto code = empty_module(context, options.prefix, options.target);
  EntryEmitter(*code, module, units, options).run();
  finish(*code, options.target);
  return code;
}

std::unique_ptr<llvm::Module> emit_kernel(llvm::LLVMContext& context, const gradc::Function& kernel,
                                          const CodegenOptions& options) {
  auto code = empty_module(context, std::string(kKernelSymbol), options.target);
  define_kernel(*code, kernel, std::string(kKernelSymbol), options);
  finish(*code, options.target);
  return code;
}

}  // namespace gradc::codegen
