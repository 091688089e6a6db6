#include "compiler/plan/core/bound.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "compiler/plan/core/last_runs.h"

namespace gradc {

BoundSearch::BoundSearch(const Problem& problem, const Schedule& order)
    : problem_(problem), order_(order), usage_(evaluate(problem, order)) {
  find_leading();
  waits_for_.resize(problem.kernels.size());
  bool any_optional = std::any_of(problem.kernels.begin(), problem.kernels.end(),
                                  [](const PlanKernel& kernel) { return !kernel.required; });
  for (int k : order) {
    std::set<int> others;
    if (!any_optional)
      others.insert(problem.kernels[k].after.begin(), problem.kernels[k].after.end());
    for (int value : problem.kernels[k].reads)
      if (leading_[value] >= 0)
        others.insert(leading_[value]);
    waits_for_[k].insert(waits_for_[k].end(), others.begin(), others.end());
    for (int writer : problem.kernels[k].overwriters)
      waits_for_[writer].push_back(k);
  }
}

// Whether `kernel` must have run before any optional producer of `value` can run. Of all ways to
// answer that agree with themselves the one with most yes: by induction over a schedule, what has
// to run before a value is first made is common to all of its producers.
bool BoundSearch::must_have_run(int kernel, int value) const {
  const std::vector<int>& producers = problem_.values[value].producers;
  auto reads_of_it = [&](int producer) {
    const std::vector<int>& reads = problem_.kernels[producer].reads;
    return std::any_of(reads.begin(), reads.end(), [&](int read) {
      const std::vector<int>& makers = problem_.values[read].producers;
      return makers.size() == 1 && makers[0] == kernel;
    });
  };
  if (std::all_of(producers.begin(), producers.end(),
                  [&](int producer) { return producer == kernel || reads_of_it(producer); }))
    return true;
  std::vector<char> behind(problem_.kernels.size(), true);
  auto holds = [&](int k) {
    for (int read : problem_.kernels[k].reads) {
      const std::vector<int>& makers = problem_.values[read].producers;
      if (!makers.empty() && std::all_of(makers.begin(), makers.end(), [&](int producer) {
            return producer == kernel || behind[producer];
          }))
        return true;
    }
    return false;
  };
  for (bool changed = true; changed;) {
    changed = false;
    for (int k = 0; k < problem_.kernel_count(); ++k)
      if (behind[k] && !holds(k)) {
        behind[k] = false;
        changed = true;
      }
  }
  return std::all_of(producers.begin(), producers.end(),
                     [&](int producer) { return producer == kernel || behind[producer]; });
}

void BoundSearch::find_leading() {
  for (int value = 0; value < problem_.value_count(); ++value) {
    const std::vector<int>& producers = problem_.values[value].producers;
    leading_.push_back(producers.empty() ? -1 : producers[0]);
    if (producers.size() > 1 && !must_have_run(producers[0], value))
      leading_.back() = -1;
  }
}

std::vector<char> BoundSearch::before(int kernel) const {
  std::vector<char> found(problem_.kernels.size());
  std::vector<int> open = {kernel};
  while (!open.empty()) {
    int next = open.back();
    open.pop_back();
    for (int earlier : waits_for_[next])
      if (!found[earlier]) {
        found[earlier] = true;
        open.push_back(earlier);
      }
  }
  return found;
}

std::vector<char> BoundSearch::behind(int kernel) const {
  std::vector<char> found(problem_.kernels.size());
  for (int k : order_)
    found[k] = std::any_of(waits_for_[k].begin(), waits_for_[k].end(),
                           [&](int earlier) { return earlier == kernel || found[earlier]; });
  return found;
}

KeepCut BoundSearch::make_cut(int kernel) const {
  const PlanKernel& made = problem_.kernels[kernel];
  Moment moment{before(kernel), behind(kernel), made.reads, own_bytes(problem_, made)};
  moment.ran[kernel] = true;
  moment.held.insert(moment.held.end(), made.writes.begin(), made.writes.end());
  return KeepCut(problem_, moment, leading_);
}

Bound BoundSearch::bound_at(int step, int64_t budget, const Bound& best) const {
  Bound bound{.kernel = order_[step], .price = best.price};
  KeepCut cut = make_cut(order_[step]);
  int64_t room = budget - cut.own();
  bound.impossible = room < 0 || cut.least_bytes() > room;
  if (bound.impossible)
    return bound;
  KeepCut::Least least = cut.least_cost(room, best.overhead, best.price);
  bound.overhead = least.cost;
  bound.price = least.price;
  return bound;
}

Bound BoundSearch::bound(int64_t budget) {
  constexpr int kFirst = 200;
  Bound best;
  KernelFloor alone = kernel_floor(problem_);
  if (alone.bytes > budget)
    return {.impossible = true, .kernel = alone.kernel};
  std::vector<int> steps;  // that cannot do without dropping something, as the order has it
  for (int step = 0; step < static_cast<int>(order_.size()); ++step)
    if (usage_.bytes[step] > budget)
      steps.push_back(step);
  auto count = static_cast<int>(steps.size());
  if (count == 0)
    return best;
  std::vector<char> seen(steps.size());
  std::vector<Bound> bounds;
  int best_at = 0;
  auto look = [&](int at) {
    if (at < 0 || at >= count || seen[at] || best.impossible)
      return;
    seen[at] = true;
    Bound bound = bound_at(steps[at], budget, best);
    bounds.push_back(bound);
    if (bound.impossible || bound.overhead > best.overhead) {
      best = bound;
      best_at = at;
    }
  };
  auto peak = std::lower_bound(steps.begin(), steps.end(), static_cast<int>(usage_.peak_step));
  best_at = static_cast<int>(peak - steps.begin());
  look(best_at);
  int stride = std::max(1, count / kFirst);
  for (int at = stride / 2; at < count; at += stride)
    look(at);
  for (stride = (stride + 1) / 2;; stride = (stride + 1) / 2) {
    int center = best_at;
    look(center - stride);
    look(center + stride);
    if (stride == 1 && center == best_at)
      break;
  }
  return best.impossible ? best : sharpened(best, bounds, budget);
}

// By what must come before the kernels with the best bounds: a few looks for many of them, more for
// the best of these. The kernel whose cuts give starts stays the one that is best alone.
Bound BoundSearch::sharpened(const Bound& best, const std::vector<Bound>& alone,
                             int64_t budget) const {
  constexpr size_t kMany = 24, kFew = 3;  // kernels
  // A look costs more than the kernels are many.
  int looks = std::clamp(100'000 / problem_.kernel_count(), 24, 400);
  Bound result = best;
  result.alone = best.overhead;
  LastRuns last_runs(problem_, leading_, waits_for_);
  std::vector<std::pair<int64_t, size_t>> ranked;  // the largest bounds first
  for (size_t i = 0; i < alone.size(); ++i)
    ranked.emplace_back(-alone[i].overhead, i);
  auto sharpen = [&](size_t most, int share) {
    std::sort(ranked.begin(), ranked.end());
    ranked.resize(std::min(ranked.size(), most));
    for (auto& [overhead, i] : ranked) {
      LastRuns::Result found = last_runs.bound(alone[i].kernel, behind(alone[i].kernel), budget,
                                               {alone[i].overhead, best.price}, std::max(1, share));
      overhead = std::min(overhead, -found.cost);
      result.overhead = std::max(result.overhead, found.cost);
      result.impossible |= found.impossible;
    }
  };
  sharpen(kMany, looks / 2 / static_cast<int>(kMany));
  sharpen(kFew, looks / 2 / static_cast<int>(kFew));
  return result;
}

BoundSearch::Floor BoundSearch::floor(bool thorough) {
  constexpr int kLooks = 64;
  KernelFloor alone = kernel_floor(problem_);
  Floor floor{alone.bytes, alone.kernel};
  int stride = std::max<int>(1, static_cast<int>(order_.size()) / kLooks);
  for (size_t step = 0; step < order_.size(); step += static_cast<size_t>(stride)) {
    KeepCut cut = make_cut(order_[step]);
    int64_t bytes = cut.own() + cut.least_bytes();
    if (bytes > floor.bytes)
      floor = {bytes, order_[step], false};
  }
  return raised(floor, thorough);
}

// By what must come before kernels: a few looks for many of them, more for the best of these, and
// of equal ones for those that hold most themselves.
BoundSearch::Floor BoundSearch::raised(Floor floor, bool thorough) const {
  constexpr int kFewLooks = 50;
  constexpr int64_t kWork = 100'000'000;  // kernels are looked at, all looks together
  struct Rank {
    int64_t bytes = 0, own = 0;
    int kernel = -1;
    bool operator<(const Rank& other) const {
      return std::tie(other.bytes, other.own, kernel) < std::tie(bytes, own, other.kernel);
    }
  };
  LastRuns last_runs(problem_, leading_, waits_for_);
  std::vector<Rank> ranked;
  int64_t count = problem_.kernel_count();
  auto stride = static_cast<size_t>(1 + count * count * kFewLooks / kWork);
  for (size_t step = 0; step < order_.size(); step += stride)
    ranked.push_back({0, own_bytes(problem_, problem_.kernels[order_[step]]), order_[step]});
  auto raise = [&](size_t most, int64_t looks) {
    std::sort(ranked.begin(), ranked.end());
    ranked.resize(std::min(ranked.size(), most));
    std::erase_if(ranked, [&](Rank& rank) {
      LastRuns::Result least = last_runs.least_bytes(rank.kernel, behind(rank.kernel), floor.bytes,
                                                     static_cast<int>(looks));
      rank.bytes = least.cost;
      if (least.cost > floor.bytes)
        floor = {least.cost, rank.kernel, false};
      return !least.cut_short;
    });
  };
  raise(ranked.size(), kFewLooks);
  if (!thorough)
    return floor;
  raise(20, std::min<int64_t>(1'000, kWork / 20 / count));
  raise(4, std::min<int64_t>(10'000, kWork / 20 / count));
  return floor;
}

std::vector<std::vector<int>> BoundSearch::keep_sets(int kernel, double price) {
  std::vector<std::vector<int>> sets;
  KeepCut cut = make_cut(kernel);
  if (cut.empty() || price <= 0)
    return sets;
  for (double factor : {0.1, 0.3, 0.6, 0.8, 0.95, 1.0, 1.05, 1.2, 1.5, 2.0, 3.0, 6.0, 20.0}) {
    std::vector<int> kept = cut.solve(price * factor).kept;
    if (sets.empty() || sets.back() != kept)
      sets.push_back(std::move(kept));
  }
  return sets;
}

}  // namespace gradc
