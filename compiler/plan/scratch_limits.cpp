#include "compiler/plan/scratch_limits.h"

#include <algorithm>
#include <set>

#include "compiler/plan/core/order.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/storage.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

int64_t with_a_sixteenth(int64_t bytes) {
  return bytes + bytes / 16;
}

// The most that one call reads and writes outside of the state, each value once.
int64_t most_demanding_call(const Module& module, const Function& entry) {
  std::vector<Storage> storages = storage_of(module, entry);
  std::vector<ValueId> shown;  // by value: whose bytes it is
  for (uint32_t i = 0; i < entry.values.size(); ++i)
    shown.push_back(ValueId{i});
  int64_t most = 0;
  for (const Op& op : entry.ops) {
    if (def(op).kernel == KernelClass::view) {
      shown[op.result().index] = shown[op.operand(0).index];
      continue;
    }
    std::set<ValueId> values(op.results.begin(), op.results.end());
    for (ValueId operand : op.operands)
      values.insert(shown[operand.index]);
    int64_t bytes = 0;
    for (ValueId value : values)
      if (storages[value.index].region != Region::state)
        bytes += entry.type(value).bytes();
    most = std::max(most, bytes);
  }
  return most;
}

// Of what it reads and writes in the arena, each value once.
int64_t own_values(const Problem& problem, const PlanKernel& kernel) {
  std::set<int> values(kernel.reads.begin(), kernel.reads.end());
  values.insert(kernel.writes.begin(), kernel.writes.end());
  int64_t bytes = 0;
  for (int value : values)
    bytes += problem.values[static_cast<size_t>(value)].bytes;
  return bytes;
}

}  // namespace

std::unordered_map<std::string, int64_t> scratch_limits(const Module& module,
                                                        const Options& options) {
  std::unordered_map<std::string, int64_t> limits;
  for (const Function& entry : module.functions) {
    if (entry.kind != FunctionKind::entry)
      continue;
    EntryProblem problem = make_problem(module, entry, options);
    for (PlanKernel& kernel : problem.kernels)
      kernel.workspace = 0;
    Schedule order = order_kernels(problem);
    Usage usage = evaluate(problem, order);
    int64_t call = with_a_sixteenth(most_demanding_call(module, entry));
    int64_t free = std::max(with_a_sixteenth(usage.peak), call);
    bool fits = free <= budget_of(module, entry, options);
    for (size_t step = 0; step < order.size(); ++step) {
      auto number = static_cast<size_t>(order[step]);
      const PlanKernel& kernel = problem.kernels[number];
      int64_t limit = free - usage.bytes[step];
      if (!fits)
        limit = std::min(limit, call - own_values(problem, kernel));
      auto [known, is_new] = limits.emplace(entry.ops[problem.op_of[number].index].callee, limit);
      known->second = std::min(known->second, limit);
    }
  }
  return limits;
}

}  // namespace gradc
