#include "compiler/plan/cost.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "compiler/kernel.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

// Measured with one thread: 95 % of the FMA peak for products, the bandwidth of main memory for
// what does little with each byte.
constexpr CostTable kAvx512 = {.contract_flops = 110, .other_flops = 12, .bytes = 25};
constexpr CostTable kAvx2 = {.contract_flops = 60, .other_flops = 8, .bytes = 20};
constexpr CostTable kSse = {.contract_flops = 15, .other_flops = 3, .bytes = 15};

constexpr std::array<std::string_view, 12> kAvx512Cpus = {
    "x86-64-v4",      "skylake-avx512", "cascadelake", "cooperlake",
    "icelake-client", "icelake-server", "rocketlake",  "sapphirerapids",
    "tigerlake",      "graniterapids",  "znver4",      "znver5"};
constexpr std::array<std::string_view, 5> kSseCpus = {"x86-64", "x86-64-v2", "nehalem", "westmere",
                                                      "generic"};

template <size_t N>
bool has(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

const CostTable& cost_table(std::string_view cpu) {
  cpu = cpu.substr(0, cpu.find(','));  // without changes of its features
  if (has(kAvx512Cpus, cpu))
    return kAvx512;
  return has(kSseCpus, cpu) ? kSse : kAvx2;
}

int64_t cost_of_call(const Module& module, const Function& entry, const Op& call,
                     const CostTable& table) {
  const Function& kernel = module.function(call.callee);
  double flop_time = 0, moved = 0;
  for (const Op& op : kernel.ops) {
    // Custom ops that have parts consist of products: attention.
    bool contracts = def(op).kernel == KernelClass::contract || def(op).expand;
    flop_time += static_cast<double>(flops_of(kernel, op)) /
                 (contracts ? table.contract_flops : table.other_flops);
  }
  for (const auto* values : {&call.operands, &call.results})
    for (ValueId id : *values)
      moved += static_cast<double>(entry.type(id).bytes());
  return std::llround(kCallNanoseconds + std::max(flop_time, moved / table.bytes));
}

}  // namespace gradc
