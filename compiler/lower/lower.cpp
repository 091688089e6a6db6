#include "compiler/lower/lower.h"

#include <algorithm>
#include <string_view>

#include "compiler/kernel.h"
#include "compiler/lower/kernel_values.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

struct Lowering {
  std::string_view kernel_class;
  loop::Kernel (*lower)(const Function& kernel, const Target& target, int threads);
};

constexpr Lowering kLowerings[] = {
    {"map", lower_map},
    {"reduce", lower_reduce},
    {"contract", lower_contract},
    {"custom", lower_custom},
};

// A constant without elements that is a result all the same.
bool makes_nothing(const Function& kernel) {
  return std::all_of(kernel.results.begin(), kernel.results.end(), [&](const Result& result) {
    return kernel.type(result.value).elements() == 0;
  });
}

loop::Kernel nothing(const Function& kernel) {
  loop::Kernel loops{.name = kernel.name};
  loop::Builder builder(loops);
  KernelValues values(kernel, builder);
  return loops;
}

}  // namespace

loop::Kernel lower(const Function& kernel, const Target& target, int threads) {
  if (kernel_class(kernel) == "contract" && !kernel.attrs.has("method"))
    fail("kernel @{} has no schedule; run `schedule`", kernel.name);
  if (makes_nothing(kernel))
    return nothing(kernel);
  for (const Lowering& lowering : kLowerings) {
    if (lowering.kernel_class != kernel_class(kernel))
      continue;
    loop::Kernel loops = lowering.lower(kernel, target, threads);
    loop::remove_unused(loops);
    return loops;
  }
  internal_error(__FILE__, __LINE__, "a class with a lowering",
                 fmt::format("@{} is of class {}", kernel.name, kernel_class(kernel)));
}

}  // namespace gradc
