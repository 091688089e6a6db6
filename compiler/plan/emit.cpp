#include "compiler/plan/emit.h"

#include "compiler/kernel.h"
#include "compiler/plan/views.h"

namespace gradc {
namespace {

class Emitter {
 public:
  Emitter(const EntryProblem& problem, const Function& entry)
      : problem_(problem),
        entry_(entry),
        first_(entry.values.size()),
        rewrite_(entry),
        views_(entry, rewrite_) {}

  void run_kernel(int number, const Buffers::Step& step, const Offsets& offsets) {
    const Op& op = problem_.call(entry_, number);
    for (ValueId operand : op.operands)
      views_.show(operand);
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
      views_.forget(old);
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
  const EntryProblem& problem_;
  const Function& entry_;
  std::vector<ValueId> first_;  // by old value: what its first run made
  Rewrite rewrite_;
  Views views_;
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
