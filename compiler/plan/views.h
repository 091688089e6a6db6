#pragma once
// Views of a planned entry: a value that is its operand's bytes under another shape, or a part of
// them. A view is no call; code, checker and reports find it where its operand is (storage.h).
#include <optional>
#include <vector>

#include "compiler/options.h"
#include "ir/module.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {

// Of an op of an entry behind `fuse`. The elements of a `slice` outside of a kernel lie side by
// side in its operand.
inline bool is_view(const Op& op) {
  return def(op).kernel == KernelClass::view || op.code == Opcode::slice;
}

// How many bytes into its operand a view begins; fails where a slice takes elements that do not lie
// side by side, or that do not begin at a multiple of kAlignment.
int64_t view_begin(const Function& entry, const Op& view);

// The entry with views in the place of calls that only copy such slices out of values of the arena.
// A view keeps all of its operand, so the slices of one value have to cover at least half of it;
// and where more is live with all views than with none, the entry is as it was.
Function with_views(const Module& module, const Function& entry, const Options& options);

// The slice that is all that a kernel does to its only operand; nullptr if there is no such.
const Op* only_slice(const Function& kernel);

// Views in an entry that is written anew with more calls than it had: each instance of a value
// needs its views again, where the first call reads them.
class Views {
 public:
  // `rewrite` writes `entry` anew.
  Views(const Function& entry, Rewrite& rewrite)
      : entry_(entry),
        rewrite_(rewrite),
        definitions_(defining_ops(entry)),
        views_(entry.values.size()) {
    for (const Op& op : entry.ops)
      if (is_view(op))
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
