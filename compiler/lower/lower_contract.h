#pragma once
// The lowerings of contract kernels, one per ContractMethod.
#include "compiler/lower/contraction.h"
#include "compiler/target.h"
#include "ir/loop.h"
#include "ir/module.h"

namespace gradc {

loop::Kernel lower_contract_tile(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_contract_pairs(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_contract_panels(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_contract_direct(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_contract_matrix(const Function& kernel, int threads);
loop::Kernel lower_contract_windows(const Function& kernel, int threads);
loop::Kernel lower_contract_pixels(const Function& kernel, int threads);
loop::Kernel lower_contract_lanes(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_contract_depthwise(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_contract_winograd(const Function& kernel, const Target& target, int threads);
loop::Kernel lower_winograd_weight_gradient(const Function& kernel, const Target& target,
                                            int threads);

inline constexpr int64_t kMostDepthwiseTaps = 128;  // each becomes code
// Whether method depthwise can do it: channels last, one output for each channel.
bool is_depthwise(const ContractionNest& nest);

}  // namespace gradc
