#pragma once
// What running a kernel costs, in nanoseconds of one thread: what the planner weighs bytes against.
#include <cstdint>
#include <string_view>

#include "ir/module.h"

namespace gradc {

// Rates from a table shipped per processor family and never measured where the compiler runs, so
// that one `--cpu` gives one plan on every machine.
struct CostTable {
  double contract_flops = 0;  // per nanosecond, of products and convolutions
  double other_flops = 0;
  double bytes = 0;  // per nanosecond, operands read and results written
};
const CostTable& cost_table(std::string_view cpu);

// Forking, joining and the first cache misses of a kernel, which small kernels consist of.
inline constexpr double kCallNanoseconds = 200;

int64_t cost_of_call(const Module& module, const Function& entry, const Op& call,
                     const CostTable& table);

}  // namespace gradc
