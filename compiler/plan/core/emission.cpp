#include "compiler/plan/core/emission.h"

#include <algorithm>

namespace gradc {

bool Emission::can_run(int kernel) const {
  const PlanKernel& made = problem_.kernels[kernel];
  return !ran_[kernel] ||
         (!made.once && std::none_of(made.overwriters.begin(), made.overwriters.end(),
                                     [&](int writer) { return ran_[writer]; }));
}

void Emission::execute(int kernel) {
  schedule_.push_back(kernel);
  ran_[kernel] = true;
  for (int value : problem_.kernels[kernel].writes)
    available_[value] = true;
}

bool Emission::run(int kernel) {
  if (!can_run(kernel))
    return false;
  for (int value : problem_.kernels[kernel].reads)
    if (!make(value))
      return false;
  execute(kernel);
  return true;
}

bool Emission::make(int value) {
  if (available_[value])
    return true;
  const std::vector<int>& producers = problem_.values[value].producers;
  if (producers.empty() || busy_[value])
    return false;
  // The cheapest whose operands are all there, else the one that defines it.
  int best = producers[0];
  bool there = false;
  for (int producer : producers) {
    const PlanKernel& kernel = problem_.kernels[producer];
    bool ready = std::all_of(kernel.reads.begin(), kernel.reads.end(),
                             [&](int read) { return available_[read]; });
    if (ready && can_run(producer) && (!there || kernel.cost < problem_.kernels[best].cost)) {
      best = producer;
      there = true;
    }
  }
  busy_[value] = true;
  bool made = run(best);
  busy_[value] = false;
  return made;
}

bool Emission::make_by_inverse(int value, int depth) {
  constexpr int kDeepest = 40;
  if (available_[value])
    return true;
  if (busy_[value] || failed_in_[value] == attempt_ || depth > kDeepest)
    return false;
  busy_[value] = true;
  bool made = false;
  for (int producer : problem_.values[value].producers) {
    const PlanKernel& kernel = problem_.kernels[producer];
    if (made || (depth == 0 && kernel.required) || !can_run(producer))
      continue;
    made = std::all_of(kernel.reads.begin(), kernel.reads.end(),
                       [&](int read) { return make_by_inverse(read, depth + 1); });
    if (made)
      execute(producer);
  }
  busy_[value] = false;
  if (!made)
    failed_in_[value] = attempt_;
  return made;
}

}  // namespace gradc
