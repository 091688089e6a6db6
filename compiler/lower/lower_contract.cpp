#include "compiler/lower/lower_contract.h"

#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/lower.h"
#include "ir/diagnostic.h"

namespace gradc {

loop::Kernel lower_contract(const Function& kernel, const Target& target, int threads) {
  switch (contract_schedule_of(kernel).method) {
    case ContractMethod::tile:
      return lower_contract_tile(kernel, target, threads);
    case ContractMethod::pairs:
      return lower_contract_pairs(kernel, target, threads);
    case ContractMethod::panels:
      return lower_contract_panels(kernel, target, threads);
    case ContractMethod::matrix:
      return lower_contract_matrix(kernel, threads);
    case ContractMethod::windows:
      return lower_contract_windows(kernel, threads);
    case ContractMethod::pixels:
      return lower_contract_pixels(kernel, threads);
    case ContractMethod::direct:
      return lower_contract_direct(kernel, target, threads);
    case ContractMethod::lanes:
      return lower_contract_lanes(kernel, target, threads);
    case ContractMethod::depthwise:
      return lower_contract_depthwise(kernel, target, threads);
    case ContractMethod::winograd:
      return lower_contract_winograd(kernel, target, threads);
  }
  internal_error(__FILE__, __LINE__, "a method with a lowering", kernel.name);
}

}  // namespace gradc
