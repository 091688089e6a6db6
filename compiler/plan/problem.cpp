#include "compiler/plan/problem.h"

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

  Problem run() {
    find_values();
    for (PlanKernel& kernel : problem_.kernels)
      find_uses(kernel);
    return std::move(problem_);
  }

 private:
  const Storage& storage(ValueId id) const { return storage_[id.index]; }
  int& value_of(ValueId id) { return problem_.value_of[id.index]; }
  int number_of(const PlanKernel& kernel) const {
    return static_cast<int>(&kernel - problem_.kernels.data());
  }

  void find_values() {
    for (uint32_t i = 0; i < entry_.ops.size(); ++i) {
      const Op& op = entry_.ops[i];
      if (def(op).kernel == KernelClass::view) {
        maker_[op.result().index] = maker_[op.operand(0).index];
        value_of(op.result()) = value_of(op.operand(0));
        continue;
      }
      PlanKernel kernel;
      kernel.op = {i};
      kernel.phase = op.phase;
      kernel.cost = cost_of_call(module_, entry_, op, costs_);
      kernel.workspace = scratch_bytes(module_.function(op.callee), threads_);
      auto number = static_cast<int>(problem_.kernels.size());
      for (ValueId result : op.results)
        define(result, number, kernel);
      problem_.kernels.push_back(std::move(kernel));
    }
  }

  void define(ValueId result, int number, PlanKernel& kernel) {
    maker_[result.index] = number;
    int64_t bytes = aligned(entry_.type(result).bytes());
    if (storage(result).region == Region::arena) {
      value_of(result) = static_cast<int>(problem_.values.size());
      kernel.writes.push_back(value_of(result));
      problem_.values.push_back({result, bytes, number, {}});
      return;
    }
    kernel.rerun_bytes += bytes;
    if (storage(result).region == Region::state)
      state_writer_[storage(result).index] = number;
  }

  void find_uses(PlanKernel& kernel) {
    const Op& op = entry_.ops[kernel.op.index];
    int number = number_of(kernel);
    for (ValueId operand : op.operands) {
      if (int value = value_of(operand); value >= 0) {
        add_once(kernel.reads, value);
        add_once(problem_.values[value].readers, number);
      }
      if (int maker = maker_[operand.index]; maker >= 0)
        add_once(kernel.after, maker);
      else if (storage(operand).region == Region::state)
        read_old_state(kernel, op, storage(operand));
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

  void read_old_state(PlanKernel& kernel, const Op& op, const Storage& state) {
    int writer = state_writer_[state.index];
    if (writer < 0)
      return;
    if (writer != number_of(kernel)) {
      add_once(kernel.overwriters, writer);
      return;
    }
    kernel.overwrites_own_state = true;
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
  Problem problem_;
};

}  // namespace

Problem make_problem(const Module& module, const Function& entry, const Options& options) {
  return ProblemMaker(module, entry, options).run();
}

KernelFloor kernel_floor(const Problem& problem) {
  KernelFloor floor;
  for (size_t k = 0; k < problem.kernels.size(); ++k) {
    const PlanKernel& kernel = problem.kernels[k];
    int64_t bytes = kernel.workspace;
    for (int value : kernel.reads)
      bytes += problem.values[value].bytes;
    for (int value : kernel.writes) {
      auto shares = [&](const std::pair<int, int>& pair) { return pair.second == value; };
      if (std::none_of(kernel.inplace.begin(), kernel.inplace.end(), shares))
        bytes += problem.values[value].bytes;
    }
    if (bytes > floor.bytes || floor.kernel < 0)
      floor = {bytes, static_cast<int>(k)};
  }
  return floor;
}

}  // namespace gradc
