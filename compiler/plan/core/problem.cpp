#include "compiler/plan/core/problem.h"

#include <algorithm>

namespace gradc {

int64_t Problem::base_cost() const {
  int64_t cost = 0;
  for (const PlanKernel& kernel : kernels)
    cost += kernel.required ? kernel.cost : 0;
  return cost;
}

namespace {

// Of operands that are not held any longer.
int64_t most_shared(const Problem& problem, const PlanKernel& kernel,
                    const std::vector<int>& held) {
  int64_t bytes = 0;
  auto dies = [&](int read) { return !contains(held, read); };
  if (problem.sharing == Problem::Sharing::largest) {
    for_each_shared_pair(problem, kernel, dies,
                         [&](int, int written) { bytes = problem.values[written].bytes; });
    return bytes;
  }
  for (int value : kernel.writes) {
    auto shares = [&](const std::pair<int, int>& pair) {
      return pair.second == value && dies(pair.first);
    };
    if (std::any_of(kernel.inplace.begin(), kernel.inplace.end(), shares))
      bytes += problem.values[value].bytes;
  }
  return bytes;
}

}  // namespace

int64_t bytes_beside(const Problem& problem, const PlanKernel& kernel,
                     const std::vector<int>& held) {
  int64_t bytes = kernel.workspace;
  for (const auto* values : {&kernel.reads, &kernel.writes})
    for (int value : *values)
      bytes += problem.values[value].bytes;
  for (int value : held)
    if (!contains(kernel.reads, value) && !contains(kernel.writes, value))
      bytes += problem.values[value].bytes;
  return bytes - most_shared(problem, kernel, held);
}

int64_t own_bytes(const Problem& problem, const PlanKernel& kernel) {
  return bytes_beside(problem, kernel, {});
}

KernelFloor kernel_floor(const Problem& problem) {
  KernelFloor floor;
  for (int k = 0; k < problem.kernel_count(); ++k) {
    if (!problem.kernels[k].required)
      continue;
    int64_t bytes = own_bytes(problem, problem.kernels[k]);
    if (bytes > floor.bytes || floor.kernel < 0)
      floor = {bytes, k};
  }
  return floor;
}

}  // namespace gradc
