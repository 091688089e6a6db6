#include "compiler/plan/core/planner.h"

#include <algorithm>
#include <chrono>

#include "compiler/plan/core/chain.h"
#include "compiler/plan/core/cutter.h"
#include "compiler/plan/core/keep_plan.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/search.h"

namespace gradc {

namespace {

constexpr size_t kVeryFew = 200, kRatherFew = 300, kFew = 600, kMany = 6000;  // kernels

struct Candidate {
  Schedule schedule;
  int64_t cost = 0, peak = 0;
};

// Steps of the search at effort 1, about nanoseconds.
int64_t search_work(const Problem& problem, const PlanEffort& effort) {
  double work = 2.6e8 + 6.5e5 * static_cast<double>(problem.kernels.size());
  return static_cast<int64_t>(std::min(1e18, work * effort.steps));
}

}  // namespace

PlanEffort plan_effort(double steps, const std::optional<double>& seconds) {
  PlanEffort effort{.steps = steps, .spent = {}};
  if (seconds)
    effort.spent = [start = std::chrono::steady_clock::now(), all = *seconds] {
      std::chrono::duration<double> gone = std::chrono::steady_clock::now() - start;
      return all > 0 ? gone.count() / all : 1;
    };
  return effort;
}

// Schedules within a budget, or as near to it as was found.
class Planner::Pool {
 public:
  // Where nothing fits, starts that are far above the budget are cut until `work` is done.
  Pool(const Problem& problem, int64_t budget, PlanEffort effort, int64_t work)
      : problem_(problem), budget_(budget), effort_(std::move(effort)), work_left_(work) {}

  // Cuts the schedule to the budget and keeps what comes out.
  void add(const Schedule& start, CostWeight weight = CostWeight::linear) {
    if (best() ? effort_.spent && effort_.spent() > 0.3 : work_left_ <= 0 && is_far(start))
      return;
    Timeline timeline(problem_, start);
    Random random;
    Cutter cutter(timeline, budget_, random);
    CutSettings settings{.cost_weight = weight};
    settings.foresees = problem_.kernels.size() > kMany;
    if (best())
      settings.cost_limit = best()->cost + (best()->cost - problem_.base_cost()) / 2;
    if (cutter.cut(settings))
      cutter.undo_needless();
    work_left_ -= cutter.work();
    keep(timeline);
  }

  const Candidate* best() const {
    return candidates_.empty() || candidates_[0].peak > budget_ ? nullptr : &candidates_[0];
  }
  std::vector<Candidate>& candidates() { return candidates_; }

 private:
  static constexpr size_t kMost = 6;

  bool is_far(const Schedule& start) const {
    return evaluate(problem_, start).peak > budget_ + budget_ / 4;
  }

  void keep(const Timeline& timeline) {
    Candidate candidate{timeline.schedule(), timeline.cost(), timeline.peak()};
    auto rank = [&](const Candidate& c) { return std::pair(std::max(c.peak, budget_), c.cost); };
    auto at =
        std::lower_bound(candidates_.begin(), candidates_.end(), candidate,
                         [&](const Candidate& a, const Candidate& b) { return rank(a) < rank(b); });
    if (at != candidates_.end() && rank(*at) == rank(candidate))
      return;
    candidates_.insert(at, std::move(candidate));
    if (candidates_.size() > kMost)
      candidates_.pop_back();
  }

  const Problem& problem_;
  int64_t budget_;
  PlanEffort effort_;
  int64_t work_left_;
  std::vector<Candidate> candidates_;  // the best first
};

Planner::Planner(const Problem& problem, Schedule order)
    : problem_(problem), order_(std::move(order)), bounds_(problem, order_) {
  orders_ = {order_};
  for (Schedule other : {order_kernels(problem_), given_order(problem_)})
    if (std::find(orders_.begin(), orders_.end(), other) == orders_.end())
      orders_.push_back(std::move(other));
}

void Planner::fill(Pool& pool, const Bound& bound, size_t first) {
  auto keep_for_recipes = [&] {
    for (const Schedule& order : orders_)
      if (Kept kept = kept_for_recipes(problem_, order); !kept.values.empty())
        if (auto schedule = keep_over(problem_, order, kept.kernel, kept.values))
          pool.add(*schedule);
  };
  auto cut_orders = [&] {
    for (size_t i = 0; i < orders_.size(); ++i) {
      const Schedule& order = orders_[(first + i) % orders_.size()];
      pool.add(order, CostWeight::linear);
      if (problem_.kernels.size() > kMany)  // a cut of so many takes a second
        continue;
      pool.add(order, CostWeight::root);
      pool.add(order, CostWeight::steep);
    }
  };
  bool chains_fit = pool.best();  // then a cut is the likelier to be cheap
  if (!chains_fit)
    keep_for_recipes();
  cut_orders();
  if (chains_fit)
    keep_for_recipes();
  if (bound.kernel >= 0)
    for (const std::vector<int>& kept : bounds_.keep_sets(bound.kernel, bound.price))
      for (const Schedule& order : orders_)
        if (auto schedule = keep_over(problem_, order, bound.kernel, kept))
          pool.add(*schedule);
}

// What chains give is repaired if it is over the budget, and may be cheaper for it.
size_t Planner::try_chains(Pool& pool, const Bound& bound, int64_t budget,
                           const PlanEffort& effort) {
  constexpr int kLeast = 6;  // kernels of a block, so that there is something to choose
  std::vector<std::vector<int>> keep_sets;
  if (bound.kernel >= 0)
    keep_sets = bounds_.keep_sets(bound.kernel, bound.price);
  std::vector<double> shares = {1.0};
  if (effort.steps >= 1)
    shares.insert(shares.end(), {0.9, 1.15});
  // Where an order leaves terms of a sum for the end, as one that is eager to free may in a loop
  // over time, all blocks' gradients wait for it, and blocks do not fit; then another order's may.
  for (size_t i = 0; i < orders_.size(); ++i) {
    const Schedule& order = orders_[i];
    bool any = false;
    for (int blocks : {12, 25, 50, 100, 128}) {
      if (blocks * kLeast > problem_.kernel_count())
        break;
      Chain chain(problem_, order, blocks, keep_sets);
      if (!chain.usable())
        break;
      for (double share : shares)
        if (auto schedule = chain.plan(static_cast<int64_t>(static_cast<double>(budget) * share))) {
          pool.add(*schedule);
          any = true;
        }
    }
    if (any)
      return i;
  }
  return 0;
}

// More bytes must not cost time: plans of smaller budgets are tried as well, and often the better
// start. In a large problem they would take too long, and chance matters less.
void Planner::try_smaller(Pool& pool, const Bound& bound, SearchSettings settings, int64_t work) {
  constexpr size_t kMost = 1000;  // kernels
  if (problem_.kernels.size() > kMost || (!pool.best() && problem_.kernels.size() > kVeryFew))
    return;
  int64_t budget = settings.budget;
  settings.work = work / 20;
  for (double share : {0.95, 0.9, 0.8, 0.7, 0.6, 0.5}) {
    settings.budget = static_cast<int64_t>(static_cast<double>(budget) * share);
    Pool tight(problem_, settings.budget, {.steps = 1, .spent = settings.spent}, work / 4);
    fill(tight, bound);
    for (const Candidate& candidate : tight.candidates())
      if (candidate.peak <= budget)
        pool.add(candidate.schedule);
    if (!tight.best() && problem_.kernels.size() > kVeryFew)
      break;
    if (tight.best() && problem_.kernels.size() <= kVeryFew)
      pool.add(improve(problem_, tight.best()->schedule, settings));
  }
}

BoundSearch::Floor Planner::floor() {
  if (!floor_)
    floor_ = bounds_.floor();
  return *floor_;
}

// The floor is looked for only where it may be above, and not for long.
bool Planner::is_below_floor(int64_t budget) {
  if (budget >= 2 * kernel_floor(problem_).bytes)
    return false;
  if (!quick_floor_)
    quick_floor_ = bounds_.floor(false).bytes;
  return budget < (floor_ ? floor_->bytes : *quick_floor_);
}

PlanOutcome Planner::plan(int64_t budget, const PlanEffort& effort) {
  PlanOutcome outcome;
  for (const Schedule& order : orders_)
    if (evaluate(problem_, order).peak <= budget) {
      outcome.schedule = order;
      return outcome;
    }
  outcome.bound = bounds_.bound(budget);
  outcome.bound.impossible |= is_below_floor(budget);
  if (outcome.bound.impossible)
    return outcome;
  int64_t work = search_work(problem_, effort);
  Pool pool(problem_, budget, effort, std::max(work, search_work(problem_, {})));
  if (problem_.kernels.size() > kMany) {
    // What chains cost ends dearer cuts early. Where no chain fits, cuts from the orders take ten
    // seconds and lead nowhere, or to what costs more than the way back from the smallest.
    size_t first = try_chains(pool, outcome.bound, budget, effort);
    if (!pool.best() && evaluate(problem_, smallest(effort)).peak > budget)
      return outcome;
    if (pool.best())
      fill(pool, outcome.bound, first);
    else
      pool.add(smallest(effort));
  } else {
    fill(pool, outcome.bound);
    try_chains(pool, outcome.bound, budget, effort);
  }
  SearchSettings settings;
  settings.budget = budget;
  // How much the search tolerates is a share of this gap; a sharper bound left it less, and plans
  // of densenet121, resnet50 and revnet64 dearer.
  settings.good_enough = problem_.base_cost() + outcome.bound.alone;
  settings.spent = effort.spent;
  settings.patience = static_cast<int64_t>(std::clamp(effort.steps, 1.0, 1e6));
  try_smaller(pool, outcome.bound, settings, work);
  if (!pool.best()) {
    settings.work = work / 2;
    Schedule lower = squeeze(problem_, pool.candidates()[0].schedule, settings);
    if (evaluate(problem_, lower).peak > budget)
      lower = smallest(effort);
    if (evaluate(problem_, lower).peak > budget)
      return outcome;
    pool.add(lower);
  }
  // A look at each start, the rest of the time for the best; in small problems for others as well,
  // which chance may have led elsewhere.
  Candidate best = *pool.best();
  auto improved = [&](const Schedule& start) {
    Schedule schedule = improve(problem_, start, settings);
    Usage usage = evaluate(problem_, schedule);
    Candidate candidate{std::move(schedule), usage.cost, usage.peak};
    if (candidate.cost < best.cost)
      best = candidate;
    return candidate;
  };
  std::vector<Candidate> starts;
  settings.work = work / 10;
  auto worth_a_look = [&](const Candidate& candidate) {
    int64_t least = problem_.base_cost();
    return candidate.peak <= budget &&
           (problem_.kernels.size() <= kMany ||
            candidate.cost - least <= (pool.best()->cost - least) * 3 / 2);
  };
  for (const Candidate& candidate : pool.candidates())
    if (worth_a_look(candidate) && starts.size() < 3)
      starts.push_back(improved(candidate.schedule));
  settings.work = work - work / 10 * static_cast<int64_t>(starts.size());
  if (effort.spent)
    settings.work = INT64_MAX;
  std::sort(starts.begin(), starts.end(),
            [](const Candidate& a, const Candidate& b) { return a.cost < b.cost; });
  size_t count = problem_.kernels.size(), rounds = 1, kicks = 0;
  if (effort.steps >= 1 && count <= kFew)
    rounds = count <= kVeryFew ? 4 : 2;
  if (effort.steps >= 1 && count <= kRatherFew)
    kicks = 2;
  constexpr size_t kKickSeeds = 50;  // other chances than the plain rounds have
  for (size_t round = 0; round < rounds + kicks; ++round) {
    settings.kicks = round >= rounds || (effort.spent && kicks > 0);
    settings.seed = 2 + round + (round >= rounds ? kKickSeeds : 0);
    bool from_best = round == 0 || settings.kicks;
    improved(from_best ? best.schedule : starts[round % starts.size()].schedule);
  }
  outcome.schedule = std::move(best.schedule);
  return outcome;
}

const Schedule& Planner::smallest(const PlanEffort& effort) {
  if (!smallest_)
    smallest_ = find_smallest(effort);
  return *smallest_;
}

// Where a search ends depends on the budgets that it passes by chance, so there are two.
Schedule Planner::find_smallest(const PlanEffort& effort) {
  int64_t proved = floor().bytes, alone = kernel_floor(problem_).bytes;
  Schedule smallest = squeezed_towards(proved, effort);
  int64_t peak = evaluate(problem_, smallest).peak;
  if (problem_.kernels.size() > kMany)
    return smallest;
  if (peak > proved && proved > alone)
    if (Schedule other = squeezed_towards(alone, effort); evaluate(problem_, other).peak < peak)
      smallest = std::move(other);
  smallest = delayed(smallest, effort);
  SearchSettings settings;
  settings.budget = evaluate(problem_, smallest).peak;
  settings.work = search_work(problem_, effort) / 2;
  settings.spent = effort.spent;
  return improve(problem_, smallest, settings);
}

// Rounds in which updates wait, each from where the one before ended; from the start once more,
// with other chances, where that takes no time and the first rounds rarely find the least.
Schedule Planner::delayed(const Schedule& start, const PlanEffort& effort) {
  constexpr uint64_t kRounds = 14;
  constexpr size_t kTiny = 50;  // kernels
  size_t count = problem_.kernels.size();
  uint64_t chains = count > kTiny && count <= kRatherFew ? 2 : 1;
  SearchSettings settings;
  settings.budget = floor().bytes;
  settings.work = search_work(problem_, effort) / 8;
  settings.delays = true;
  Schedule smallest = start, last = start;
  int64_t peak = evaluate(problem_, smallest).peak;
  for (; settings.seed <= chains * kRounds && peak > settings.budget; ++settings.seed) {
    last = squeeze(problem_, settings.seed % kRounds == 1 ? start : last, settings);
    if (int64_t lower = evaluate(problem_, last).peak; lower < peak) {
      smallest = last;
      peak = lower;
    }
  }
  return smallest;
}

// Ever smaller budgets, between the last that was met and the last that was not; then step by
// step.
Schedule Planner::squeezed_towards(int64_t least, const PlanEffort& effort) {
  constexpr int kMostTries = 8, kTriesOfMany = 4;
  Schedule smallest = order_;
  int64_t peak = evaluate(problem_, smallest).peak, missed = least;
  bool many = problem_.kernels.size() > kMany, chains_fit = false;
  int tries = many ? kTriesOfMany : kMostTries;
  for (; tries > 0 && peak > missed + missed / 100; --tries) {
    int64_t budget = missed + (peak - missed) / 3;
    Pool pool(problem_, budget, effort, search_work(problem_, {}) / 2);
    Bound bound = bounds_.bound(budget);
    if (many)
      try_chains(pool, bound, budget, effort);
    chains_fit |= many && pool.best();
    if (!pool.best() && !chains_fit)
      fill(pool, bound);
    if (!pool.candidates().empty() && pool.candidates()[0].peak < peak) {
      peak = pool.candidates()[0].peak;
      smallest = pool.candidates()[0].schedule;
    }
    if (!pool.best())
      missed = budget;
  }
  SearchSettings settings;
  settings.budget = least;
  settings.work = search_work(problem_, effort) / 2;
  settings.spent = effort.spent;
  return squeeze(problem_, smallest, settings);
}

}  // namespace gradc
