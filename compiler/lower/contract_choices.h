#pragma once
// Schedules of a contract kernel to choose from by measuring them, beside the one that is chosen
// without: tile shapes, passes, blocks, but always the same order of sums, and so the same bits.
#include <span>
#include <string>
#include <string_view>

#include "compiler/lower/contract_schedule.h"

namespace gradc {

struct ContractChoice {
  std::string_view name;
  ContractLimits limits;
};

std::span<const ContractChoice> contract_choices();
const ContractChoice* find_contract_choice(std::string_view name);

// Which kernels have a measured choice in common: a name for all that the kernel computes, and the
// number of threads.
std::string tuning_key(const Function& kernel, int threads);

}  // namespace gradc
