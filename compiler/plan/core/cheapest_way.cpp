#include "compiler/plan/core/cheapest_way.h"

#include <algorithm>

namespace gradc {
namespace {

constexpr size_t kMostNear = 4000;  // values
// What two values both lack counts twice, so that costs grow like Fibonacci's numbers.
constexpr int64_t kMostCost = INT64_MAX / 4;

template <typename Entry>
void push(std::vector<Entry>& heap, Entry entry) {
  heap.push_back(entry);
  std::push_heap(heap.begin(), heap.end(), std::greater<>());
}

template <typename Entry>
Entry pop(std::vector<Entry>& heap) {
  std::pop_heap(heap.begin(), heap.end(), std::greater<>());
  Entry entry = heap.back();
  heap.pop_back();
  return entry;
}

}  // namespace

CheapestWay::CheapestWay(const Problem& problem)
    : problem_(problem),
      stamp_of_(problem.values.size()),
      rank_(problem.values.size()),
      kernel_stamp_(problem.kernels.size()) {}

void CheapestWay::add_near(int value, int64_t distance) {
  if (!is_near(value)) {
    stamp_of_[value] = stamp_;
    rank_[value] = static_cast<int>(near_.size());
    near_.push_back({.value = value, .distance = distance});
    if (readers_.size() < near_.size())
      readers_.emplace_back();
    readers_[near_.size() - 1].clear();
  } else if (Near& near = near_[rank_[value]]; distance < near.distance) {
    near.distance = distance;
  } else {
    return;
  }
  push(open_, Entry{distance, rank_[value]});
}

// Looks at the producers of the nearest value.
void CheapestWay::extend(const std::vector<char>& there, const std::function<bool(int)>& may_run) {
  auto [distance, rank] = pop(open_);
  if (near_[rank].distance != distance)
    return;
  for (int producer : problem_.values[near_[rank].value].producers) {
    if (kernel_stamp_[producer] == stamp_ || !may_run(producer))
      continue;
    kernel_stamp_[producer] = stamp_;
    const PlanKernel& kernel = problem_.kernels[producer];
    auto maker = static_cast<int>(makers_.size());
    makers_.push_back({.kernel = producer});
    for (int read : kernel.reads) {
      if (there[read])
        continue;
      add_near(read, distance + kernel.cost);
      readers_[rank_[read]].push_back(maker);
    }
  }
}

void CheapestWay::solve(const std::vector<char>& there) {
  for (Near& near : near_)
    near.cost = near.producer = -1;
  ready_.clear();
  for (size_t m = 0; m < makers_.size(); ++m) {
    const PlanKernel& kernel = problem_.kernels[makers_[m].kernel];
    makers_[m].cost = kernel.cost;
    makers_[m].lacks = static_cast<int>(
        std::count_if(kernel.reads.begin(), kernel.reads.end(), [&](int v) { return !there[v]; }));
    if (makers_[m].lacks == 0)
      push(ready_, Entry{kernel.cost, static_cast<int>(m)});
  }
  while (!ready_.empty() && near_[0].cost < 0) {
    auto [cost, number] = pop(ready_);
    for (int value : problem_.kernels[makers_[number].kernel].writes) {
      if (there[value] || !is_near(value) || near_[rank_[value]].cost >= 0)
        continue;
      near_[rank_[value]].cost = cost;
      near_[rank_[value]].producer = makers_[number].kernel;
      for (int reader : readers_[rank_[value]]) {
        makers_[reader].cost = std::min(kMostCost, makers_[reader].cost + cost);
        if (--makers_[reader].lacks == 0)
          push(ready_, Entry{makers_[reader].cost, reader});
      }
    }
  }
}

bool CheapestWay::find(int value, const std::vector<char>& there,
                       const std::function<bool(int)>& may_run) {
  ++stamp_;
  near_.clear();
  makers_.clear();
  open_.clear();
  add_near(value, 0);
  for (size_t look = 16;; look *= 4) {
    while (!open_.empty() && near_.size() < look)
      extend(there, may_run);
    solve(there);
    bool all = open_.empty() || near_.size() >= kMostNear;
    // No way by what is further away can be cheaper.
    if (all || (near_[0].cost >= 0 && near_[0].cost <= open_.front().first))
      return near_[0].cost >= 0;
  }
}

}  // namespace gradc
