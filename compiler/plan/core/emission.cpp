#include "compiler/plan/core/emission.h"

#include <algorithm>

namespace gradc {

Emission::Emission(const Problem& problem)
    : problem_(problem),
      available_(problem.values.size()),
      busy_(problem.values.size()),
      seen_in_(problem.values.size()),
      ran_(problem.kernels.size()) {
  if (std::any_of(problem.values.begin(), problem.values.end(),
                  [](const PlanValue& value) { return value.producers.size() > 1; }))
    way_.emplace(problem);
}

// A required kernel's first run comes when the order has it.
bool Emission::can_run(int kernel) const {
  const PlanKernel& made = problem_.kernels[kernel];
  if (made.required && !ran_[kernel])
    return true;
  return !made.once && std::none_of(made.overwriters.begin(), made.overwriters.end(),
                                    [&](int writer) { return ran_[writer]; });
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

bool Emission::find_way(int value) {
  return way_->find(value, available_, [&](int kernel) { return can_run(kernel); });
}

bool Emission::make(int value) {
  if (available_[value])
    return true;
  if (way_)
    return find_way(value) && make_on_way(value);
  const std::vector<int>& producers = problem_.values[value].producers;
  if (producers.empty() || busy_[value])
    return false;
  busy_[value] = true;
  bool made = run(producers[0]);
  busy_[value] = false;
  return made;
}

bool Emission::make_on_way(int value) {
  if (available_[value])
    return true;
  int producer = way_->producer(value);
  for (int read : problem_.kernels[producer].reads)
    if (!make_on_way(read))
      return false;
  execute(producer);
  return true;
}

void Emission::make_before(int writer, int value) {
  ++attempt_;
  if (way_ && !available_[value] && was_made(value) && find_way(value))
    make_on_way_before(writer, value);
}

void Emission::make_on_way_before(int writer, int value) {
  if (available_[value] || seen_in_[value] == attempt_)
    return;
  seen_in_[value] = attempt_;
  const PlanKernel& producer = problem_.kernels[way_->producer(value)];
  for (int read : producer.reads)
    make_on_way_before(writer, read);
  if (std::find(producer.overwriters.begin(), producer.overwriters.end(), writer) !=
      producer.overwriters.end())
    make_on_way(value);
}

bool Emission::make_by_inverse(int value, int depth) {
  constexpr int kDeepest = 40;
  if (available_[value])
    return true;
  if (busy_[value] || seen_in_[value] == attempt_ || depth > kDeepest)
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
    seen_in_[value] = attempt_;
  return made;
}

}  // namespace gradc
