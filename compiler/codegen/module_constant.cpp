#include "compiler/codegen/module_constant.h"

#include <llvm/IR/IRBuilder.h>

#include "compiler/codegen/target.h"
#include "compiler/file_names.h"
#include "compiler/plan/storage.h"

namespace gradc::codegen {
namespace {

using llvm::Constant;

class ConstantEmitter {
 public:
  explicit ConstantEmitter(llvm::Module& code)
      : code_(code), pointer_(llvm::PointerType::getUnqual(code.getContext())) {}

  Constant* integer(unsigned bits, int64_t value) {
    return llvm::ConstantInt::get(llvm::IntegerType::get(code_.getContext(), bits),
                                  static_cast<uint64_t>(value));
  }

  Constant* string(const std::string& text) {
    return hidden(llvm::ConstantDataArray::getString(code_.getContext(), text));
  }

  // The members' types and order are those of the C struct, whose layout this gives.
  Constant* record(std::initializer_list<Constant*> members) {
    return llvm::ConstantStruct::getAnon(code_.getContext(), members);
  }

  // A pointer to the elements; null if there are none.
  Constant* array(const std::vector<Constant*>& elements) {
    if (elements.empty())
      return llvm::ConstantPointerNull::get(pointer_);
    return hidden(llvm::ConstantArray::get(
        llvm::ArrayType::get(elements[0]->getType(), elements.size()), elements));
  }

  // gradc_tensor
  Constant* tensor(const std::string& name, const gradc::Type& type, Role role, int64_t offset) {
    std::vector<Constant*> dims;
    for (int64_t dim : type.dims)
      dims.push_back(integer(64, dim));
    return record({string(name), array(dims), integer(32, type.rank()),
                   integer(8, static_cast<int64_t>(type.dtype)),
                   integer(8, static_cast<int64_t>(role)), integer(16, 0), integer(64, offset),
                   integer(64, type.bytes())});
  }

  // gradc_entry
  Constant* entry(const EntryCode& entry) {
    const gradc::Function& function = *entry.entry;
    std::vector<Constant*> inputs, outputs;
    for (const Parameter& parameter : function.parameters)
      if (parameter.state.empty())
        inputs.push_back(tensor(function[parameter.value].name, function.type(parameter.value),
                                Role::parameter, 0));
    for (const Result& result : function.results)
      if (result.state.empty())
        outputs.push_back(tensor(result.name.empty() ? function[result.value].name : result.name,
                                 function.type(result.value), Role::parameter, 0));
    auto count = [&](const std::vector<Constant*>& tensors) {
      return integer(32, static_cast<int64_t>(tensors.size()));
    };
    return record({string(function.name), entry.code, array(inputs), array(outputs), count(inputs),
                   count(outputs), integer(64, function.arena_bytes.value_or(0))});
  }

  void exported(const std::string& name, Constant* value) {
    new llvm::GlobalVariable(code_, value->getType(), true, llvm::GlobalValue::ExternalLinkage,
                             value, name);
  }

 private:
  Constant* hidden(Constant* value) {
    auto* global = new llvm::GlobalVariable(code_, value->getType(), true,
                                            llvm::GlobalValue::PrivateLinkage, value);
    global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    return global;
  }

  llvm::Module& code_;
  llvm::PointerType* pointer_;
};

}  // namespace

void emit_module_constant(llvm::Module& code, const gradc::Module& module,
                          const CodegenOptions& options, std::span<const EntryCode> entries) {
  ConstantEmitter c(code);
  std::vector<int64_t> offsets = state_offsets(module);
  std::vector<Constant*> states, entry_records;
  for (size_t i = 0; i < module.states.size(); ++i)
    states.push_back(c.tensor(file_name(module.states[i]), module.states[i].type,
                              module.states[i].role, offsets[i]));
  for (const EntryCode& entry : entries)
    entry_records.push_back(c.entry(entry));
  c.exported(options.prefix + "_module",
             c.record({c.integer(32, GRADC_ABI_VERSION), c.integer(32, options.threads),
                       c.string(module.name), c.string(options.hash), c.string(options.target.cpu),
                       c.string(required_features(options.target)), c.array(states),
                       c.array(entry_records), c.integer(32, static_cast<int64_t>(states.size())),
                       c.integer(32, static_cast<int64_t>(entry_records.size())),
                       c.integer(64, state_bytes(module))}));
}

}  // namespace gradc::codegen
