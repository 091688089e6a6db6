#pragma once
// Views in an entry that is written anew with more calls than it had: a view has no bytes of its
// own, so each instance of a value needs its views again, where the first call reads them.
#include <optional>
#include <vector>

#include "compiler/kernel.h"
#include "ir/module.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {

class Views {
 public:
  // `rewrite` writes `entry` anew.
  Views(const Function& entry, Rewrite& rewrite)
      : entry_(entry),
        rewrite_(rewrite),
        definitions_(defining_ops(entry)),
        views_(entry.values.size()) {
    for (const Op& op : entry.ops)
      if (def(op).kernel == KernelClass::view)
        views_[op.operand(0).index].push_back(op.result());
  }

  // Before a call that reads `value`.
  void show(ValueId value) {
    const std::optional<OpId>& definition = definitions_[value.index];
    if (rewrite_.mapped(value) || !definition)
      return;
    const Op& op = entry_.ops[definition->index];
    show(op.operand(0));
    rewrite_.copy(op);
  }

  // After a call that made another instance of `value`.
  void forget(ValueId value) {
    for (ValueId view : views_[value.index]) {
      rewrite_.map(view, ValueId{});
      forget(view);
    }
  }

 private:
  const Function& entry_;
  Rewrite& rewrite_;
  std::vector<std::optional<OpId>> definitions_;
  std::vector<std::vector<ValueId>> views_;  // by what they view
};

}  // namespace gradc
