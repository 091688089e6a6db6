#include "compiler/plan/prices.h"

#include <algorithm>
#include <numeric>

#include "compiler/plan/core/cutter.h"
#include "compiler/plan/entry_problem.h"

namespace gradc {

double HeldValue::price_per_byte() const {
  return price ? static_cast<double>(*price) / static_cast<double>(std::max<int64_t>(bytes, 1))
               : 1e300;
}

std::vector<HeldValue> held_over_peak(const Module& module, const Function& planned,
                                      const Options& options) {
  EntryProblem problem = make_problem(module, planned, options);
  std::vector<HeldValue> held;
  if (problem.op_of.empty())
    return held;
  Schedule order(problem.op_of.size());  // as it runs, recomputations are kernels of their own
  std::iota(order.begin(), order.end(), 0);
  Timeline timeline(problem, order);
  Random random;
  Cutter cutter(timeline, 0, random);
  std::vector<ValueId> ids(problem.values.size());
  for (uint32_t i = static_cast<uint32_t>(problem.value_of.size()); i-- > 0;)
    if (problem.value_of[i] >= 0)
      ids[static_cast<size_t>(problem.value_of[i])] = {i};
  int peak = timeline.runs().peak();
  for (int value = 0; value < problem.value_count(); ++value) {
    Timeline::Gap gap = timeline.around(value, peak);
    if (!gap.held || gap.after == peak || gap.before == Timeline::kNone)
      continue;
    auto op_of = [&](int kernel) { return static_cast<int>(problem.op_of[kernel].index); };
    held.push_back({ids[value], problem.values[value].bytes,
                    op_of(problem.values[value].producers[0]), op_of(timeline.kernel_of(gap.after)),
                    cutter.price(value, gap.after)});
  }
  std::stable_sort(held.begin(), held.end(), [](const HeldValue& a, const HeldValue& b) {
    return a.price_per_byte() > b.price_per_byte();
  });
  return held;
}

}  // namespace gradc
