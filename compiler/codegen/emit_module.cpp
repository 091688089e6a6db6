#include "compiler/codegen/emit_module.h"

#include <llvm/IR/Verifier.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/Target/TargetMachine.h>

#include <cstddef>
#include <map>
#include <unordered_map>

#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/module_constant.h"
#include "compiler/codegen/target_machine.h"
#include "compiler/lower/lower.h"
#include "compiler/plan/storage.h"
#include "ir/diagnostic.h"
#include "ir/loop_text.h"
#include "ir/op_def.h"

namespace gradc::codegen {
namespace {

// What a kernel computes, whatever its values are called.
std::string text_without_names(loop::Kernel kernel) {
  kernel.name = "k";
  for (loop::Buffer& buffer : kernel.buffers)
    buffer.name = "b";
  for (std::string& hint : kernel.hints)
    hint = "v";
  return print(kernel);
}

class ModuleEmitter {
 public:
  ModuleEmitter(llvm::Module& code, const gradc::Module& module, const CodegenOptions& options)
      : code_(code), module_(module), options_(options), b_(code.getContext()) {}

  void run() {
    std::vector<EntryCode> entries;
    for (const gradc::Function& function : module_.functions)
      if (function.kind == FunctionKind::entry)
        entries.push_back({&function, entry(function)});
    emit_module_constant(code_, module_, options_, entries);
  }

 private:
  // What the plan has a place for must be what the loops use.
  void check_schedule(const gradc::Function& function, const loop::Kernel& loops) const {
    auto check = [&](std::string_view key, loop::Space space) {
      int64_t bytes = loop::space_bytes(loops, space);
      if (function.attrs.integer_or(key, -1) != bytes)
        fail("kernel @{} takes {} bytes of {}, which its attributes do not say; run `schedule`",
             function.name, bytes, key);
    };
    check("workspace", loop::Space::workspace);
    check("scratch", loop::Space::scratch);
  }

  // Kernels that lower to the same loops are one function.
  llvm::Function* kernel(const gradc::Function& function) {
    llvm::Function*& named = kernels_[function.name];
    if (named)
      return named;
    loop::Kernel loops = lower(function, options_.target, options_.threads);
    check_schedule(function, loops);
    llvm::Function*& same = by_text_[text_without_names(loops)];
    if (!same)
      same = KernelEmitter(code_, loops, options_.target)
                 .emit(fmt::format("{}.{}", options_.prefix, function.name));
    return named = same;
  }

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
      if (def(op).kernel == KernelClass::view)
        continue;
      emit_mark(code, calls++);
      std::vector<llvm::Value*> arguments = {code->getArg(0)};
      for (ValueId operand : op.operands)
        arguments.push_back(address(operand));
      for (ValueId result : op.results)
        arguments.push_back(address(result));
      arguments.push_back(offset(arena_, op.attrs.integer_or("scratch_at", 0)));
      b_.CreateCall(kernel_named(op.callee), arguments);
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

  llvm::Function* kernel_named(const std::string& name) { return kernel(module_.function(name)); }

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
  const CodegenOptions& options_;
  llvm::IRBuilder<> b_;
  llvm::Value* arena_ = nullptr;
  llvm::Value* state_ = nullptr;
  std::unordered_map<std::string, llvm::Function*> kernels_;  // by name
  std::unordered_map<std::string, llvm::Function*> by_text_;
};

}  // namespace

std::unique_ptr<llvm::Module> emit_module(llvm::LLVMContext& context, const gradc::Module& module,
                                          const CodegenOptions& options) {
  auto code = std::make_unique<llvm::Module>(options.prefix, context);
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(options.target);
  code->setTargetTriple(machine->getTargetTriple().str());
  code->setDataLayout(machine->createDataLayout());
  ModuleEmitter(*code, module, options).run();
  std::string errors;
  llvm::raw_string_ostream stream(errors);
  GRADC_CHECK(!llvm::verifyModule(*code, &stream), "{}", errors);
  return code;
}

}  // namespace gradc::codegen
