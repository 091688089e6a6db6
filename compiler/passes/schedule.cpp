#include "compiler/passes/schedule.h"

#include "compiler/kernel.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/lower.h"

namespace gradc {

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
  return scheduled;
}

}  // namespace gradc
