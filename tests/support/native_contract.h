#pragma once
// Contractions as machine code, with schedules other than the chosen one.
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/support/contract_cases.h"
#include "tests/support/native.h"

namespace gradc::test {

// contract_kernel as an entry.
Function contract_entry(const std::string& example, Fused fused);

// Runs `entry` with the schedule that `change` makes of the chosen one.
std::vector<double> run_with(const Function& entry, std::span<const Tensor> arguments, int threads,
                             const std::function<void(ContractSchedule&)>& change,
                             const ContractLimits& limits = {}, const std::string& cpu = "native");

}  // namespace gradc::test
