#include "compiler/plan/entry_problem.h"

#include <algorithm>

#include "compiler/kernel.h"
#include "compiler/plan/cost.h"
#include "compiler/plan/storage.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

void add_once(std::vector<int>& list, int item) {
  if (std::find(list.begin(), list.end(), item) == list.end())
    list.push_back(item);
}

class ProblemMaker {
 public:
  ProblemMaker(const Module& module, const Function& entry, const Options& options)
      : module_(module),
        entry_(entry),
        threads_(options.threads),
        costs_(cost_table(options.cpu)),
        storage_(storage_of(module, entry)),
        maker_(entry.values.size(), -1),
        state_writer_(module.states.size(), -1) {
    problem_.value_of.assign(entry.values.size(), -1);
  }

  EntryProblem run() {
    find_values();
    for (int k = 0; k < problem_.kernel_count(); ++k)
      find_uses(k);
    return std::move(problem_);
  }

 private:
  const Storage& storage(ValueId id) const { return storage_[id.index]; }
  int& value_of(ValueId id) { return problem_.value_of[id.index]; }

  void find_values() {
    for (uint32_t i = 0; i < entry_.ops.size(); ++i) {
      const Op& op = entry_.ops[i];
      if (def(op).kernel == KernelClass::view) {
        maker_[op.result().index] = maker_[op.operand(0).index];
        value_of(op.result()) = value_of(op.operand(0));
        continue;
      }
      PlanKernel kernel;
      kernel.forward = op.phase == Phase::forward;
      kernel.cost = cost_of_call(module_, entry_, op, costs_);
      kernel.workspace = scratch_bytes(module_.function(op.callee), threads_);
      int number = problem_.kernel_count();
      for (ValueId result : op.results)
        define(result, number, kernel);
      problem_.kernels.push_back(std::move(kernel));
      problem_.op_of.push_back({i});
    }
  }

  void define(ValueId result, int number, PlanKernel& kernel) {
    maker_[result.index] = number;
    int64_t bytes = aligned(entry_.type(result).bytes());
    if (storage(result).region == Region::arena) {
      value_of(result) = problem_.value_count();
      kernel.writes.push_back(value_of(result));
      problem_.values.push_back({bytes, {number}});
      return;
    }
    kernel.rerun_bytes += bytes;
    if (storage(result).region == Region::state)
      state_writer_[storage(result).index] = number;
  }

  void find_uses(int number) {
    PlanKernel& kernel = problem_.kernels[number];
    const Op& op = entry_.ops[problem_.op_of[number].index];
    for (ValueId operand : op.operands) {
      if (int value = value_of(operand); value >= 0)
        add_once(kernel.reads, value);
      if (int maker = maker_[operand.index]; maker >= 0)
        add_once(kernel.after, maker);
      else if (storage(operand).region == Region::state)
        read_old_state(number, op, storage(operand));
    }
    for (ValueId result : op.results)
      if (storage(result).region == Region::arena)
        for (ValueId operand : op.operands)
          add_inplace(kernel, op, operand, result);
  }

  void add_inplace(PlanKernel& kernel, const Op& op, ValueId operand, ValueId result) {
    std::pair<int, int> pair{value_of(operand), value_of(result)};
    bool known =
        std::find(kernel.inplace.begin(), kernel.inplace.end(), pair) != kernel.inplace.end();
    if (pair.first >= 0 && !known && entry_.type(operand).bytes() == entry_.type(result).bytes() &&
        may_share(op, operand, result))
      kernel.inplace.push_back(pair);
  }

  void read_old_state(int number, const Op& op, const Storage& state) {
    PlanKernel& kernel = problem_.kernels[number];
    int writer = state_writer_[state.index];
    if (writer < 0)
      return;
    if (writer != number) {
      add_once(kernel.overwriters, writer);
      return;
    }
    kernel.once = true;
    for (ValueId result : op.results)
      for (ValueId operand : op.operands)
        if (storage(result) == state && storage(operand) == state &&
            !may_share(op, operand, result))
          fail("@{}: @{} overwrites @{} in place, but its attribute `inplace` does not allow that",
               entry_.name, op.callee, module_.states[state.index].name);
  }

  // Whether `result` may have the bytes of `operand`: every operand that has these bytes must be
  // listed as a pair with the result.
  bool may_share(const Op& op, ValueId operand, ValueId result) const {
    const Function& kernel = module_.function(op.callee);
    const Attr* attr = kernel.attrs.find("inplace");
    if (!attr)
      return false;
    const auto& pairs = std::get<std::vector<int64_t>>(*attr);
    auto same_bytes = [&](ValueId other) {
      return problem_.value_of[operand.index] >= 0
                 ? problem_.value_of[other.index] == problem_.value_of[operand.index]
                 : storage(other) == storage(operand);
    };
    for (size_t i = 0; i < op.operands.size(); ++i) {
      bool listed = false;
      for (size_t j = 0; j + 1 < pairs.size(); j += 2)
        listed |= pairs[j] == static_cast<int64_t>(i) && op.results[pairs[j + 1]] == result;
      if (same_bytes(op.operands[i]) && !listed)
        return false;
    }
    return true;
  }

  const Module& module_;
  const Function& entry_;
  int threads_;
  const CostTable& costs_;
  std::vector<Storage> storage_;
  std::vector<int> maker_;  // by ValueId: the kernel that made it or what it views, or -1
  std::vector<int> state_writer_;  // by state tensor: the kernel that overwrites it, or -1
  EntryProblem problem_;
};

}  // namespace

EntryProblem make_problem(const Module& module, const Function& entry, const Options& options) {
  return ProblemMaker(module, entry, options).run();
}

}  // namespace gradc
