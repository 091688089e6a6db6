#include "compiler/plan/plan.h"

#include "compiler/plan/checker.h"
#include "compiler/plan/emit.h"
#include "compiler/plan/order.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

Function plan_entry(const Module& module, const Function& entry, const Options& options) {
  Problem problem = make_problem(module, entry, options);
  Schedule schedule = order_kernels(problem);
  Buffers buffers = buffers_of(problem, schedule);
  Offsets offsets = place_buffers(buffers.buffers);
  return emit_plan(problem, entry, schedule, buffers, offsets);
}

void check(const Module& module, const Function& original, const Function& planned,
           const Options& options) {
  try {
    check_memory(module, planned, options.threads, options.memory);
    check_computation(original, planned);
  } catch (const UserError& error) {
    GRADC_CHECK(false, "the plan is wrong: {}", error.message());
  }
}

}  // namespace

Module plan(const Module& module, const Options& options) {
  Module planned = module;
  for (size_t i = 0; i < module.functions.size(); ++i) {
    if (module.functions[i].kind != FunctionKind::entry)
      continue;
    planned.functions[i] = plan_entry(module, module.functions[i], options);
    check(module, module.functions[i], planned.functions[i], options);
  }
  return planned;
}

}  // namespace gradc
