#include "compiler/codegen/kernel_units.h"

#include "compiler/kernel.h"
#include "compiler/plan/views.h"
#include "ir/print.h"

namespace gradc::codegen {

std::string structure_of(const Function& kernel) {
  Function bare = without_names(kernel);
  for (Op& op : bare.ops)
    op.phase = Phase::forward;
  for (Result& result : bare.results)
    result.name.clear();
  return print(bare);
}

KernelUnits kernel_units(const Module& module) {
  KernelUnits units;
  std::unordered_map<std::string, size_t> by_structure;
  for (const Function& entry : module.functions) {
    if (entry.kind != FunctionKind::entry)
      continue;
    for (const Op& op : entry.ops) {
      if (is_view(op) || units.by_name.contains(op.callee))
        continue;
      const Function& kernel = module.function(op.callee);
      std::string structure = structure_of(kernel);
      auto [known, is_new] = by_structure.try_emplace(structure, units.kernels.size());
      if (is_new) {
        units.kernels.push_back(&kernel);
        units.structures.push_back(std::move(structure));
      }
      units.by_name.emplace(op.callee, known->second);
    }
  }
  return units;
}

}  // namespace gradc::codegen
