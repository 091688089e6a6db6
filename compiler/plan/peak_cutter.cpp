#include "compiler/plan/peak_cutter.h"

#include <algorithm>
#include <cmath>

#include "compiler/plan/accesses.h"

namespace gradc {
namespace {

// One look at a schedule that is over the budget.
class Cut {
 public:
  struct Rebuild {
    std::vector<int> kernels;
    int64_t cost = 0;
  };
  struct Choice {
    Rebuild rebuild;
    int before = -1;  // step
  };

  Cut(const Problem& problem, const Schedule& schedule, const Usage& usage,
      const CutOptions& options)
      : problem_(problem),
        schedule_(schedule),
        usage_(usage),
        options_(options),
        accesses_(problem, schedule),
        overwritten_at_(problem.kernels.size(), static_cast<int>(schedule.size())),
        rebuilt_(problem.values.size()) {
    find_overwrites();
    over_.push_back(0);
    for (int64_t bytes : usage.bytes)
      over_.push_back(over_.back() + std::max<int64_t>(0, bytes - options.budget));
  }

  std::optional<Choice> best() {
    auto peak = static_cast<int>(usage_.peak_step);
    const PlanKernel& at_peak = problem_.kernels[schedule_[peak]];
    std::vector<char> used(problem_.values.size());
    for (const auto* values : {&at_peak.reads, &at_peak.writes})
      for (int value : *values)
        used[value] = true;
    std::optional<Choice> best;
    double best_score = 0;
    for (int value = 0; value < static_cast<int>(problem_.values.size()); ++value) {
      if (used[value] || problem_.values[value].bytes == 0)
        continue;
      Accesses::Neighbours gap = accesses_.around(value, peak);
      if (!gap.live)
        continue;
      double benefit = bytes_taken_off(value, gap);
      if (options_.random)
        benefit *= random_factor();
      std::optional<Rebuild> made = rebuild(value, gap.after, best ? benefit / best_score : 1e300);
      if (!made)
        continue;
      double score = benefit / weighed(made->cost);
      if (score > best_score) {
        best_score = score;
        best = Choice{std::move(*made), gap.after};
      }
    }
    return best;
  }

 private:
  // A kernel cannot run again once state that it reads is overwritten.
  void find_overwrites() {
    std::vector<int> first_run(problem_.kernels.size(), static_cast<int>(schedule_.size()));
    for (int step = static_cast<int>(schedule_.size()); step-- > 0;)
      first_run[schedule_[step]] = step;
    for (size_t k = 0; k < problem_.kernels.size(); ++k)
      for (int writer : problem_.kernels[k].overwriters)
        overwritten_at_[k] = std::min(overwritten_at_[k], first_run[writer]);
  }

  // Dropping `value` for the gap takes its bytes off, at each step what is over the budget at most.
  double bytes_taken_off(int value, const Accesses::Neighbours& gap) const {
    constexpr int kExactSteps = 256;
    int64_t bytes = problem_.values[value].bytes, all = over_[gap.after] - over_[gap.before + 1];
    if (gap.after - gap.before > kExactSteps)
      return static_cast<double>(std::min(all, bytes * (gap.after - gap.before - 1)));
    int64_t sum = 0;
    for (int step = gap.before + 1; step < gap.after; ++step)
      sum += std::clamp<int64_t>(usage_.bytes[step] - options_.budget, 0, bytes);
    return static_cast<double>(sum);
  }

  double random_factor() const {
    double factor = options_.random->between(1, 1 + options_.noise);
    return options_.random->below(2) == 0 ? factor : 1 / factor;
  }

  double weighed(int64_t cost) const {
    double linear = static_cast<double>(cost) + 1, root = std::sqrt(linear);
    if (options_.cost_weight == CostWeight::linear)
      return linear;
    return options_.cost_weight == CostWeight::root ? root : linear * root;
  }

  // nullopt when it cannot be, or weighs more than `most`.
  std::optional<Rebuild> rebuild(int value, int before, double most) {
    ++stamp_;
    Rebuild result;
    if (!add(value, before, most, result))
      return std::nullopt;
    return result;
  }

  // Appends what makes `value` again in front of step `before`.
  bool add(int value, int before, double most, Rebuild& result) {
    int number = problem_.values[value].producers[0];
    const PlanKernel& kernel = problem_.kernels[number];
    result.cost += kernel.cost;
    if (kernel.once || overwritten_at_[number] < before || weighed(result.cost) > most)
      return false;
    for (int written : kernel.writes)
      rebuilt_[written] = stamp_;
    for (int read : kernel.reads) {
      if (rebuilt_[read] == stamp_)
        continue;
      Accesses::Neighbours gap = accesses_.around(read, before);
      bool there = gap.live || can_be_kept(read, gap.before, before);
      if (!there && !add(read, before, most, result))
        return false;
    }
    result.kernels.push_back(number);
    return true;
  }

  // Whether the value, last used at step `from`, fits the budget until step `to`.
  bool can_be_kept(int value, int from, int to) const {
    if (from < static_cast<int>(usage_.peak_step) && static_cast<int>(usage_.peak_step) < to)
      return false;
    for (int step = from + 1; step < to; ++step)
      if (usage_.bytes[step] + problem_.values[value].bytes > options_.budget)
        return false;
    return true;
  }

  const Problem& problem_;
  const Schedule& schedule_;
  const Usage& usage_;
  const CutOptions& options_;
  Accesses accesses_;
  std::vector<int> overwritten_at_;  // by kernel: the step of the first write of state it reads
  std::vector<int64_t> over_;  // bytes over the budget, summed over the steps before
  std::vector<int> rebuilt_;  // by value: the stamp of the rebuild that makes it
  int stamp_ = 0;
};

}  // namespace

std::optional<Schedule> cut_peaks(const Problem& problem, Schedule schedule,
                                  const CutOptions& options) {
  int64_t lowest_peak = INT64_MAX;
  size_t stalled = 0, most_stalled = 60 + problem.kernels.size() / 4;
  for (size_t cuts = 0; cuts < 6 * problem.kernels.size(); ++cuts) {
    Usage usage = evaluate(problem, schedule);
    if (usage.peak <= options.budget)
      return without_dead_runs(problem, schedule);
    if (usage.cost > options.cost_limit)
      return std::nullopt;
    stalled = usage.peak < lowest_peak ? 0 : stalled + 1;
    lowest_peak = std::min(lowest_peak, usage.peak);
    if (stalled > most_stalled)
      return std::nullopt;
    std::optional<Cut::Choice> choice = Cut(problem, schedule, usage, options).best();
    if (!choice)
      return std::nullopt;
    schedule.insert(schedule.begin() + choice->before, choice->rebuild.kernels.begin(),
                    choice->rebuild.kernels.end());
  }
  return std::nullopt;
}

namespace {

std::vector<int> dearest_first(const Problem& problem, const Schedule& schedule) {
  std::vector<int> steps = recomputing_steps(problem, schedule);
  std::stable_sort(steps.begin(), steps.end(), [&](int a, int b) {
    return problem.kernels[schedule[a]].cost > problem.kernels[schedule[b]].cost;
  });
  return steps;
}

// A quick look: whether what the run makes fits from its last use before until the run.
bool may_be_kept(const Problem& problem, const Accesses& accesses, const Usage& usage, int kernel,
                 int step, int64_t budget) {
  for (int value : problem.kernels[kernel].writes) {
    if (!accesses.around(value, step + 1).live)
      continue;
    int from = accesses.around(value, step).before;
    for (int between = from + 1; between < step; ++between)
      if (usage.bytes[between] + problem.values[value].bytes > budget)
        return false;
  }
  return true;
}

}  // namespace

Schedule undo_needless(const Problem& problem, Schedule schedule, int64_t budget) {
  schedule = without_dead_runs(problem, schedule);
  for (bool undone = true; undone;) {
    undone = false;
    Usage usage = evaluate(problem, schedule);
    Accesses accesses(problem, schedule);
    for (int step : dearest_first(problem, schedule)) {
      if (!may_be_kept(problem, accesses, usage, schedule[step], step, budget))
        continue;
      Schedule shorter = schedule;
      shorter.erase(shorter.begin() + step);
      shorter = without_dead_runs(problem, shorter);
      if (evaluate(problem, shorter).peak > budget)
        continue;
      schedule = std::move(shorter);
      undone = true;
      break;
    }
  }
  return schedule;
}

}  // namespace gradc
