#include "tests/support/native_contract.h"

#include "compiler/kernel.h"
#include "compiler/lower/lower.h"
#include "compiler/passes/fuse.h"
#include "compiler/plan/plan.h"

namespace gradc::test {

Function contract_entry(const std::string& example, Fused fused) {
  Function entry = contract_kernel(example, fused);
  entry.kind = FunctionKind::entry;
  entry.attrs = {};
  return entry;
}

std::vector<double> run_with(const Function& entry, std::span<const Tensor> arguments, int threads,
                             const std::function<void(ContractSchedule&)>& change,
                             const ContractLimits& limits, const std::string& cpu) {
  CodegenOptions codegen = codegen_options(cpu, threads);
  codegen.target.l3_line_cycles = Target{}.l3_line_cycles;  // the same methods on all machines
  Options options;
  options.threads = threads;
  options.target = codegen.target;
  Module module{.name = "m"};
  module.functions = {entry};
  module = fuse(module, options);
  for (Function& kernel : module.functions) {
    if (kernel.kind != FunctionKind::kernel)
      continue;
    if (kernel_class(kernel) == "contract") {
      ContractSchedule s = choose_contract_schedule(kernel, codegen.target, threads, limits);
      change(s);
      set_attributes(kernel, s);
    }
    loop::Kernel loops = lower(kernel, codegen.target, threads);
    kernel.attrs.set("workspace", loop::space_bytes(loops, loop::Space::workspace));
    kernel.attrs.set("scratch", loop::space_bytes(loops, loop::Space::scratch));
  }
  JitModule code(plan(module, options), codegen);
  return run_entry(*code.get(), arguments, threads).at(0).data;
}

}  // namespace gradc::test
