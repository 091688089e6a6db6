#pragma once
// Casts of weights that products make themselves, as they bring the weight into their order.
#include <cstdint>
#include <vector>

#include "compiler/target.h"
#include "ir/module.h"

namespace gradc {

// Ops that narrow a parameter for products alone, each of which visits every element of the weight
// once. A copy in memory would be written, and held from the forward to the backward pass, to be
// read as often as the parameter is without it.
std::vector<uint32_t> casts_of_products(const Function& function, const Target& target);

}  // namespace gradc
