#pragma once
// How a pass writes a new function from an old one: old values map to new ones, ops are copied or
// replaced.
#include <string>
#include <vector>

#include "ir/builder.h"
#include "ir/module.h"

namespace gradc {

// Appends `op`, one of `from` or changed from it, to another function: its operands by `map`, which
// is indexed by old id and gets the copy's results.
void append_copy(Function& to, const Function& from, Op op, std::vector<ValueId>& map);

class Rewrite {
 public:
  // Starts with `from`'s kind, name, attributes and parameters, and no ops.
  explicit Rewrite(const Function& from);

  const Function& from() const { return from_; }
  Function& to() { return to_; }
  Builder& builder() { return builder_; }  // phase and loc are the caller's, or as `at` set them

  // Takes over the phase and place of `op` for what the builder appends next.
  Builder& at(const Op& op);
  bool mapped(ValueId old) const { return map_[old.index].valid(); }
  ValueId operator()(ValueId old) const;  // the new value for an old one
  std::vector<ValueId> operator()(const std::vector<ValueId>& old) const;
  void map(ValueId old, ValueId replacement) { map_[old.index] = replacement; }

  // Appends a copy of an op of `from` with mapped operands; its results are mapped to the copy's.
  void copy(const Op& op);
  // Copies the results of `from`, mapped, and hands over the new function.
  Function finish();

 private:
  const Function& from_;
  Function to_;
  Builder builder_;
  std::vector<ValueId> map_;  // indexed by old id
};

// The module with rewritten(entry) in the place of each entry.
template <typename F>
Module with_entries(Module module, F rewritten) {
  for (Function& function : module.functions)
    if (function.kind == FunctionKind::entry)
      function = rewritten(function);
  return module;
}

// Keeps only what the results need.
Function without_dead_ops(const Function& function);

// `name`, or name.1, name.2, ...: the first that no function of the module has.
std::string unused_function_name(const Module& module, const std::string& name);

}  // namespace gradc
