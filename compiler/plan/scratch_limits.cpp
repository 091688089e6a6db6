#include "compiler/plan/scratch_limits.h"

#include <algorithm>
#include <set>

#include "compiler/plan/core/order.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/storage.h"
#include "compiler/plan/views.h"

namespace gradc {
namespace {

int64_t with_a_sixteenth(int64_t bytes) {
  return bytes + bytes / 16;
}

// What a call reads and writes of the caller's buffers, each value once.
int64_t callers_bytes(const Function& entry, const Op& call, const std::vector<Storage>& storages) {
  std::set<std::pair<Region, int64_t>> seen;
  int64_t bytes = 0;
  for (const auto* values : {&call.operands, &call.results})
    for (ValueId value : *values) {
      const Storage& storage = storages[value.index];
      bool is_callers = storage.region == Region::input || storage.region == Region::output;
      if (is_callers && seen.insert({storage.region, storage.index}).second)
        bytes += entry.type(value).bytes();
    }
  return bytes;
}

void lower_to(ScratchLimits& limits, const std::string& kernel, int64_t limit) {
  auto [known, is_new] = limits.emplace(kernel, limit);
  known->second = std::min(known->second, limit);
}

}  // namespace

ScratchRoom scratch_room(const Module& module, const Options& options) {
  ScratchRoom room;
  for (const Function& function : module.functions) {
    if (function.kind != FunctionKind::entry)
      continue;
    Function entry = with_views(module, function, options);
    EntryProblem problem = make_problem(module, entry, options);
    for (PlanKernel& kernel : problem.kernels)
      kernel.workspace = 0;
    std::vector<Storage> storages = storage_of(module, entry);
    int64_t most_demanding = 0;
    for (size_t k = 0; k < problem.op_of.size(); ++k)
      most_demanding = std::max(
          most_demanding, own_bytes(problem, problem.kernels[k]) +
                              callers_bytes(entry, entry.ops[problem.op_of[k].index], storages));
    Schedule order = order_kernels(problem);
    Usage usage = evaluate(problem, order);
    int64_t call = with_a_sixteenth(most_demanding);
    int64_t live = std::max(with_a_sixteenth(usage.peak), call);
    room.fits &= live <= budget_of(module, entry, options);
    for (size_t step = 0; step < order.size(); ++step) {
      auto number = static_cast<size_t>(order[step]);
      const std::string& kernel = entry.ops[problem.op_of[number].index].callee;
      int64_t beside_live = live - usage.bytes[step];
      lower_to(room.beside_live, kernel, beside_live);
      lower_to(room.beside_own, kernel,
               std::min(beside_live, call - own_bytes(problem, problem.kernels[number])));
    }
  }
  return room;
}

bool fits_as_it_is(const Module& scheduled, const Options& options) {
  return std::ranges::all_of(scheduled.functions, [&](const Function& function) {
    if (function.kind != FunctionKind::entry)
      return true;
    Function entry = with_views(scheduled, function, options);
    EntryProblem problem = make_problem(scheduled, entry, options);
    return evaluate(problem, order_kernels(problem)).peak <= budget_of(scheduled, entry, options);
  });
}

}  // namespace gradc
