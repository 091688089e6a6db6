#include "compiler/plan/improve.h"

#include <algorithm>
#include <cstdlib>

#include "compiler/plan/core/random.h"
#include "compiler/plan/peak_cutter.h"

namespace gradc {
namespace {

// Which of the steps that recompute are taken out together.
enum class Neighbourhood { anywhere, consecutive, related };

class Improver {
 public:
  Improver(const Problem& problem, Schedule schedule, int64_t budget)
      : problem_(problem), budget_(budget), best_(std::move(schedule)) {
    best_cost_ = evaluate(problem, best_).cost;
    for (const PlanKernel& kernel : problem.kernels)
      least_cost_ += kernel.cost;
  }

  Schedule run() {
    // About half a second in all.
    auto tries = static_cast<int64_t>(2'000'000 / (problem_.kernels.size() + 1));
    for (int64_t failed = 0; tries > 0 && failed < kPatience; --tries) {
      if (best_cost_ == least_cost_)
        break;
      failed = try_once() ? 0 : failed + 1;
    }
    return std::move(best_);
  }

 private:
  static constexpr int64_t kPatience = 400;

  // Whether a cheaper schedule was found.
  bool try_once() {
    CutOptions options{.budget = budget_, .random = &random_};
    // What undo_needless may take off again.
    options.cost_limit = best_cost_ + (best_cost_ - least_cost_) / 20;
    options.noise = random_.between(0.1, 1.5);
    std::optional<Schedule> cut = cut_peaks(problem_, with_some_taken_out(), options);
    if (!cut)
      return false;
    Schedule schedule = undo_needless(problem_, std::move(*cut), budget_);
    int64_t cost = evaluate(problem_, schedule).cost;
    bool cheaper = cost < best_cost_;
    if (cost <= best_cost_) {
      best_ = std::move(schedule);
      best_cost_ = cost;
    }
    return cheaper;
  }

  Schedule with_some_taken_out() {
    std::vector<int> steps = recomputing_steps(problem_, best_);
    std::vector<char> out(best_.size());
    size_t count = 1 + random_.below(std::min<size_t>(steps.size(), 16));
    size_t start = random_.below(steps.size());
    auto how = static_cast<Neighbourhood>(random_.below(3));
    int width = 1 + static_cast<int>(random_.below(6));
    for (size_t i = 0; i < steps.size(); ++i) {
      bool chosen = false;
      if (how == Neighbourhood::anywhere)
        chosen = random_.below(steps.size()) < count;
      else if (how == Neighbourhood::consecutive)
        chosen = i >= start && i < start + count;
      else
        chosen = std::abs(best_[steps[i]] - best_[steps[start]]) <= width;
      out[steps[i]] = chosen;
    }
    out[steps[start]] = true;
    Schedule rest;
    for (size_t step = 0; step < best_.size(); ++step)
      if (!out[step])
        rest.push_back(best_[step]);
    return without_dead_runs(problem_, rest);
  }

  const Problem& problem_;
  int64_t budget_;
  Schedule best_;
  int64_t best_cost_ = 0;
  int64_t least_cost_ = 0;  // of running every kernel once
  Random random_;
};

}  // namespace

Schedule improve(const Problem& problem, Schedule schedule, int64_t budget) {
  return Improver(problem, std::move(schedule), budget).run();
}

}  // namespace gradc
