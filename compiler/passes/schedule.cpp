#include "compiler/passes/schedule.h"

#include "compiler/kernel.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/lower.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

// What the schedule is for; kept in Module::attrs.
Attrs machine(const Options& options) {
  return {{"cpu", options.target.cpu},
          {"threads", int64_t{options.threads}},
          {"vector_bytes", int64_t{options.target.vector_bytes}}};
}

}  // namespace

Module schedule(const Module& module, const Options& options) {
  Module scheduled = module;
  for (Function& function : scheduled.functions) {
    if (function.kind != FunctionKind::kernel)
      continue;
    if (kernel_class(function) == "contract")
      set_attributes(function, choose_contract_schedule(function, options.target, options.threads));
    loop::Kernel loops = lower(function, options.target, options.threads);
    function.attrs.set("workspace", loop::space_bytes(loops, loop::Space::workspace));
    function.attrs.set("scratch", loop::space_bytes(loops, loop::Space::scratch));
  }
  for (const auto& [key, value] : machine(options))
    scheduled.attrs.set(key, value);
  return scheduled;
}

void check_schedule(const Module& module, const Options& options) {
  Attrs given, wanted = machine(options);
  for (const auto& [key, value] : wanted)
    if (const Attr* attr = module.attrs.find(key))
      given.set(key, *attr);
  if (!given.empty() && given != wanted)
    throw UserError("",
                    fmt::format("module @{} is scheduled for {}, not for {}", module.name,
                                to_string(given), to_string(wanted)),
                    Fault::command_line)
        .with_help("pass the same --cpu and --threads, or begin with a stage before `schedule`");
}

void check_scheduled_kernels(const Module& module, const Options& options) {
  Module anew = schedule(module, options);
  for (const Function& kernel : module.functions)
    if (const Attrs& wanted = anew.function(kernel.name).attrs; kernel.attrs != wanted)
      throw UserError("", fmt::format("kernel @{} is scheduled as {}, not as {}", kernel.name,
                                      to_string(kernel.attrs), to_string(wanted)))
          .with_help("begin with a stage before `schedule`");
}

}  // namespace gradc
