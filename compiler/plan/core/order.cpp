#include "compiler/plan/core/order.h"

#include <algorithm>
#include <optional>
#include <set>

#include "compiler/plan/core/forward_order.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

// When a ready kernel runs before its turn in the given order.
struct EagerRule {
  bool never = false;
  bool forward = false;  // forward kernels too, else only those of the other phases
  bool unless_forward = false;  // not while a forward kernel would free more
  bool always = false;  // the one that grows memory least, even if none frees what it takes
  bool look_ahead = false;  // a result whose only reader gets ready by it counts as freed at once
};

class ListScheduler {
 public:
  ListScheduler(const Problem& problem, EagerRule rule)
      : problem_(problem),
        rule_(rule),
        waits_for_(problem.kernels.size()),
        followers_(problem.kernels.size()),
        readers_(problem.values.size()) {
    for (int k = 0; k < problem.kernel_count(); ++k) {
      if (!problem.kernels[k].required)
        continue;
      ++required_;
      for (int before : problem.kernels[k].after)
        precede(before, k);
      for (int writer : problem.kernels[k].overwriters)
        precede(k, writer);
      for (int value : problem.kernels[k].reads)
        readers_[value].push_back(k);
    }
    for (const std::vector<int>& readers : readers_)
      unread_.push_back(static_cast<int>(readers.size()));
  }

  Schedule run() {
    Schedule order;
    std::set<int> ready;
    for (int k = 0; k < problem_.kernel_count(); ++k)
      if (waits_for_[k] == 0 && problem_.kernels[k].required)
        ready.insert(k);
    while (!ready.empty()) {
      int kernel = eager(ready).value_or(*ready.begin());
      ready.erase(kernel);
      order.push_back(kernel);
      for (int value : problem_.kernels[kernel].reads)
        --unread_[value];
      for (int follower : followers_[kernel])
        if (--waits_for_[follower] == 0)
          ready.insert(follower);
    }
    if (order.size() != required_)
      fail("kernels that overwrite state wait for one another; no order is possible");
    return order;
  }

 private:
  void precede(int before, int after) {
    followers_[before].push_back(after);
    ++waits_for_[after];
  }

  // The ready kernel that frees most, if one frees at least what it takes.
  std::optional<int> eager(const std::set<int>& ready) const {
    std::optional<int> best;
    if (rule_.never)
      return best;
    int64_t best_growth = 0;
    for (int k : ready) {
      bool forward = problem_.kernels[k].forward;
      if (forward && !rule_.forward && !rule_.unless_forward)
        continue;
      int64_t bytes = growth(k);
      if (best ? bytes < best_growth : bytes <= 0 || rule_.always) {
        best = k;
        best_growth = bytes;
      }
    }
    if (best && rule_.unless_forward && problem_.kernels[*best].forward)
      best.reset();
    return best;
  }

  // Bytes live after the kernel minus bytes live before.
  int64_t growth(int k) const {
    int64_t bytes = 0;
    for (int value : problem_.kernels[k].reads)
      if (unread_[value] == 1)
        bytes -= problem_.values[value].bytes;
    for (int value : problem_.kernels[k].writes)
      if (unread_[value] > 0 && !(rule_.look_ahead && consumed_next(value)))
        bytes += problem_.values[value].bytes;
    return bytes;
  }

  bool consumed_next(int value) const {
    const std::vector<int>& readers = readers_[value];
    return readers.size() == 1 && waits_for_[readers[0]] == 1 &&
           problem_.kernels[readers[0]].writes.empty();
  }

  const Problem& problem_;
  EagerRule rule_;
  std::vector<int> waits_for_;  // by kernel: how many others must still run before it
  std::vector<std::vector<int>> followers_;
  std::vector<std::vector<int>> readers_;  // by value: required kernels
  std::vector<int> unread_;  // by value: readers that have not run yet
  size_t required_ = 0;
};

}  // namespace

Schedule order_kernels(const Problem& problem) {
  Schedule best;
  int64_t best_peak = 0;
  for (EagerRule rule : {EagerRule{}, EagerRule{.look_ahead = true}, EagerRule{.forward = true},
                         EagerRule{.forward = true, .look_ahead = true},
                         EagerRule{.forward = true, .always = true}}) {
    Schedule order = ListScheduler(problem, rule).run();
    int64_t peak = evaluate(problem, order).peak;
    if (best.empty() || peak < best_peak) {
      best = std::move(order);
      best_peak = peak;
    }
  }
  bool only_forward = std::ranges::all_of(
      problem.kernels, [](const PlanKernel& kernel) { return kernel.forward || !kernel.required; });
  if (only_forward && best_peak > kernel_floor(problem).bytes)
    if (std::optional<Schedule> order = forward_order_below(problem, best_peak))
      return *order;
  return best;
}

Schedule plain_order(const Problem& problem) {
  return ListScheduler(problem, {.unless_forward = true}).run();
}

Schedule given_order(const Problem& problem) {
  return ListScheduler(problem, {.never = true}).run();
}

}  // namespace gradc
