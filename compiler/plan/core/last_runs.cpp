#include "compiler/plan/core/last_runs.h"

#include <algorithm>
#include <set>

namespace gradc {
namespace {

// Of values so small only a few are gained, but ways multiply.
constexpr int64_t kSmallShare = 500;

}  // namespace

// What was in memory before `last` ran.
std::vector<int> LastRuns::before(const Way& way) const {
  const PlanKernel& last = problem_.kernels[way.last];
  std::vector<int> values = last.reads;
  for (int value : way.values)
    if (!contains(last.writes, value))
      values.push_back(value);
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

// `values` were in memory before way.last ran.
Moment LastRuns::moment_of(const Way& way, const std::vector<int>& values) const {
  const PlanKernel& last = problem_.kernels[way.last];
  Moment moment{std::vector<char>(problem_.kernels.size()), {}, values, 0};
  std::vector<int> open;
  auto add = [&](int kernel) {
    if (moment.ran[kernel])
      return;
    moment.ran[kernel] = true;
    open.push_back(kernel);
  };
  for (int value : values)
    if (leading_[value] >= 0)
      add(leading_[value]);
  for (int kernel : waits_for_[way.last])
    add(kernel);
  while (!open.empty()) {
    int kernel = open.back();
    open.pop_back();
    for (int earlier : waits_for_[kernel])
      add(earlier);
  }
  moment.held.insert(moment.held.end(), last.writes.begin(), last.writes.end());
  moment.own = bytes_beside(problem_, last, way.values);
  return moment;
}

// Counts the moment at which way.last runs; false if it cannot be.
bool LastRuns::look(Way& way, const std::vector<char>& to_come, int64_t budget) const {
  const PlanKernel& last = problem_.kernels[way.last];
  Moment moment = moment_of(way, before(way));
  bool again = moment.ran[way.last];
  moment.ran[way.last] = true;
  for (int k = 0; k < problem_.kernel_count(); ++k)
    if (moment.ran[k] && to_come[k])
      return false;
  if ((again && last.once) || moment.own > budget ||
      std::any_of(last.overwriters.begin(), last.overwriters.end(),
                  [&](int writer) { return moment.ran[writer]; }))
    return false;
  moment.to_come = to_come;
  KeepCut cut(problem_, moment, leading_);
  int64_t room = budget - moment.own;
  if (cut.least_bytes() > room)
    return false;
  KeepCut::Least least = cut.least_cost(room, way.cost, way.price);
  if (least.cost > way.cost) {
    way.cost = least.cost;
    way.price = least.price;
  }
  if (again || !last.required)
    way.cost += last.cost;
  way.seen = true;
  return true;
}

LastRuns::Result LastRuns::bound(int c, std::vector<char> to_come, int64_t budget,
                                 KeepCut::Least known, int looks) {
  std::vector<Way> open;
  std::set<std::vector<int>> expanded;
  auto add = [&](Way way) {
    open.push_back(std::move(way));
    std::push_heap(open.begin(), open.end(), Later());
  };
  auto expand = [&](std::vector<int> values, int64_t cost, double price) {
    std::erase_if(values, [&](int value) {
      return problem_.values[value].bytes < budget / kSmallShare ||
             problem_.values[value].producers.empty();
    });
    if (!expanded.insert(values).second)
      return true;
    std::set<int> producers;
    for (int value : values)
      producers.insert(problem_.values[value].producers.begin(),
                       problem_.values[value].producers.end());
    for (int producer : producers)
      add({cost, price, false, producer, values});
    return !producers.empty();
  };
  to_come[c] = true;
  std::vector<int> values = problem_.kernels[c].reads;
  std::sort(values.begin(), values.end());
  if (!expand(values, known.cost, known.price))
    return {known.cost};
  while (!open.empty()) {
    std::pop_heap(open.begin(), open.end(), Later());
    Way way = std::move(open.back());
    open.pop_back();
    if (way.seen) {
      if (!expand(before(way), way.cost, way.price))
        return {way.cost};
      continue;
    }
    if (looks-- <= 0)
      return {way.cost};
    if (look(way, to_come, budget))
      add(std::move(way));
  }
  return {known.cost, true};
}

}  // namespace gradc
