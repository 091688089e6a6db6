#include "compiler/plan/emit.h"

#include "compiler/kernel.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

class Emitter {
 public:
  Emitter(const EntryProblem& problem, const Function& entry)
      : problem_(problem),
        entry_(entry),
        definitions_(defining_ops(entry)),
        views_(entry.values.size()),
        first_(entry.values.size()),
        rewrite_(entry) {
    for (const Op& op : entry.ops)
      if (def(op).kernel == KernelClass::view)
        views_[op.operand(0).index].push_back(op.result());
  }

  void run_kernel(int number, const Buffers::Step& step, const Offsets& offsets) {
    const Op& op = problem_.call(entry_, number);
    for (ValueId operand : op.operands)
      show_view(operand);
    rewrite_.copy(op);
    int64_t rerun_offset = step.rerun == Buffers::kNone ? 0 : offsets.at[step.rerun];
    size_t written = 0;
    for (ValueId old : op.results) {
      Value& made = rewrite_.to()[rewrite_(old)];
      bool rerun = first_[old.index].valid();
      if (rerun && !made.name.ends_with(".re"))
        made.name += problem_.inverts(number) ? ".inv" : ".re";
      if (problem_.value_of[old.index] >= 0) {
        made.offset = offsets.at[step.writes[written++]];
      } else if (rerun) {
        made.offset = rerun_offset;
        rerun_offset += aligned(made.type.bytes());
      }
      if (!rerun)
        first_[old.index] = rewrite_(old);
      else if (problem_.value_of[old.index] < 0)
        rewrite_.map(old, first_[old.index]);
      forget_views(old);
    }
    if (step.workspace != Buffers::kNone)
      rewrite_.to().ops.back().attrs.set("scratch_at", offsets.at[step.workspace]);
  }

  Function finish(const Offsets& offsets) {
    for (const Result& result : entry_.results)
      rewrite_.map(result.value, first_[result.value.index]);
    Function planned = rewrite_.finish();
    planned.arena_bytes = offsets.bytes;
    return planned;
  }

 private:
  // Views are written again for each instance of what they view, where the first kernel reads them.
  void show_view(ValueId value) {
    const std::optional<OpId>& definition = definitions_[value.index];
    if (rewrite_.mapped(value) || !definition)
      return;
    const Op& op = entry_.ops[definition->index];
    show_view(op.operand(0));
    rewrite_.copy(op);
  }

  void forget_views(ValueId value) {
    for (ValueId view : views_[value.index]) {
      rewrite_.map(view, ValueId{});
      forget_views(view);
    }
  }

  const EntryProblem& problem_;
  const Function& entry_;
  std::vector<std::optional<OpId>> definitions_;
  std::vector<std::vector<ValueId>> views_;  // by what they view
  std::vector<ValueId> first_;  // by old value: what its first run made
  Rewrite rewrite_;
};

}  // namespace

Function emit_plan(const EntryProblem& problem, const Function& entry, const Schedule& schedule,
                   const Buffers& buffers, const Offsets& offsets) {
  Emitter emitter(problem, entry);
  for (size_t step = 0; step < schedule.size(); ++step)
    emitter.run_kernel(schedule[step], buffers.steps[step], offsets);
  return emitter.finish(offsets);
}

}  // namespace gradc
