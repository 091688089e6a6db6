#include "compiler/plan/core/forward_order.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "compiler/plan/core/random.h"

namespace gradc {
namespace {

constexpr size_t kStates = 20'000, kMostOfASize = 500;  // some tenths of a second

class ForwardSearch {
 public:
  ForwardSearch(const Problem& problem, int64_t peak)
      : problem_(problem),
        peak_(peak),
        floor_(kernel_floor(problem).bytes),
        before_(problem.kernels.size()),
        behind_(problem.kernels.size()),
        readers_(problem.values.size()) {
    Random random;
    for (int k = 0; k < problem.kernel_count(); ++k) {
      constexpr size_t kHalf = size_t{1} << 31;
      names_.push_back(uint64_t{random.below(kHalf)} << 32 | random.below(kHalf));
      const PlanKernel& kernel = problem.kernels[k];
      if (!kernel.required)
        continue;
      ++required_;
      for (int other : kernel.after)
        precede(other, k);
      for (int other : kernel.overwriters)
        precede(k, other);
      for (int value : kernel.reads)
        readers_[value].push_back(k);
    }
    for (int k = 0; k < problem.kernel_count(); ++k)
      waits_.push_back(waits_for_reader(k));
    most_of_a_size_ = std::clamp<size_t>(kStates / std::max<size_t>(1, required_), 4, kMostOfASize);
  }

  std::optional<Schedule> run() {
    State start{.done = std::vector<bool>(problem_.kernels.size())};
    for (int k = 0; k < problem_.kernel_count(); ++k)
      if (can_run(start, k))
        start.ready.push_back(k);
    add(std::move(start));
    while (!levels_.empty()) {
      auto [count, level] = std::move(*levels_.begin());
      levels_.erase(levels_.begin());
      if (count == required_)
        return order_of(level.begin()->second);
      for (const Step& next : steps_from(level)) {
        State state = *next.from;
        run(state, next);
        run_what_costs_nothing(state);
        add(std::move(state));
      }
    }
    return std::nullopt;
  }

 private:
  // Kernels that have run, in the best order known.
  struct State {
    std::vector<bool> done;  // by kernel
    std::vector<int> ready;  // in the given order
    size_t count = 0;
    uint64_t name = 0;  // of the set
    int64_t peak = 0, live = 0;
    int last = -1;  // in runs_
  };
  using Level = std::map<uint64_t, State>;

  // What running a kernel does to a state.
  struct Step {
    const State* from;
    int kernel;
    int64_t peak, live;
  };

  struct Run {
    int before, kernel;
  };

  void precede(int before, int after) {
    before_[after].push_back(before);
    behind_[before].push_back(after);
  }

  // What reads nothing and makes one value, such as a batch norm's factor made of parameters, runs
  // right before the first reader, which has to hold the value anyway.
  bool waits_for_reader(int k) const {
    const PlanKernel& kernel = problem_.kernels[k];
    return kernel.required && kernel.reads.empty() && before_[k].empty() &&
           kernel.workspace + kernel.rerun_bytes == 0 && kernel.writes.size() == 1 &&
           !readers_[kernel.writes[0]].empty();
  }

  bool can_run(const State& state, int k) const {
    return problem_.kernels[k].required && !state.done[k] && !waits_[k] &&
           std::ranges::all_of(before_[k],
                               [&](int other) { return state.done[other] || waits_[other]; });
  }

  Step step_of(const State& state, int k) const {
    Step step{&state, k, state.peak, state.live};
    for (int other : before_[k])
      if (!state.done[other])
        account(step, other);
    account(step, k);
    return step;
  }

  void account(Step& step, int k) const {
    const PlanKernel& kernel = problem_.kernels[k];
    auto dies = [&](int value) {
      return std::ranges::all_of(readers_[value], [&](int reader) {
        return reader == step.kernel || step.from->done[reader];
      });
    };
    int64_t freed = 0, made = 0, beside = kernel.workspace;
    for (int value : kernel.reads)
      freed += dies(value) ? problem_.values[value].bytes : 0;
    for (int value : kernel.writes)
      (readers_[value].empty() ? beside : made) += problem_.values[value].bytes;
    for_each_shared_pair(problem_, kernel, dies,
                         [&](int, int written) { beside -= problem_.values[written].bytes; });
    step.peak = std::max(step.peak, step.live + made + beside);
    step.live += made - freed;
  }

  // A ready kernel, and before it what has waited for it.
  void run(State& state, const Step& step) {
    int64_t peak = step.peak, live = step.live;
    for (int other : before_[step.kernel])
      if (!state.done[other])
        set_done(state, other);
    set_done(state, step.kernel);
    state.peak = peak;
    state.live = live;
    std::erase(state.ready, step.kernel);
    for (int other : behind_[step.kernel])
      if (can_run(state, other))
        state.ready.insert(std::ranges::lower_bound(state.ready, other), other);
  }

  void set_done(State& state, int k) {
    state.done[k] = true;
    state.name ^= names_[k];
    ++state.count;
    runs_.push_back({state.last, k});
    state.last = static_cast<int>(runs_.size()) - 1;
  }

  // Behind what leaves no more bytes live and raises no peak, every order has as low a peak.
  void run_what_costs_nothing(State& state) {
    for (size_t i = 0; i < state.ready.size();) {
      Step step = step_of(state, state.ready[i]);
      if (step.live <= state.live && step.peak <= std::max(state.peak, floor_)) {
        run(state, step);
        i = 0;
      } else {
        ++i;
      }
    }
  }

  void add(State state) {
    if (state.peak >= peak_)
      return;
    auto [known, is_new] = levels_[state.count].try_emplace(state.name, state);
    if (!is_new && state.peak < known->second.peak)
      known->second = std::move(state);
  }

  // The best from all states of a level, one to each set.
  std::vector<Step> steps_from(const Level& level) const {
    std::map<uint64_t, Step> best;
    for (const auto& [name, state] : level)
      for (int k : state.ready) {
        Step step = step_of(state, k);
        auto [known, is_new] = best.try_emplace(name ^ names_[k], step);
        if (!is_new && step.peak < known->second.peak)
          known->second = step;
      }
    std::vector<std::pair<uint64_t, Step>> steps(best.begin(), best.end());
    if (steps.size() > most_of_a_size_) {
      std::ranges::nth_element(steps, steps.begin() + static_cast<std::ptrdiff_t>(most_of_a_size_),
                               std::ranges::less{}, [](const auto& step) {
                                 return std::tuple(step.second.peak, step.second.live, step.first);
                               });
      steps.resize(most_of_a_size_);
    }
    std::vector<Step> kept;
    for (const auto& [unused, step] : steps)
      kept.push_back(step);
    return kept;
  }

  Schedule order_of(const State& state) const {
    Schedule order;
    for (int run = state.last; run >= 0; run = runs_[run].before)
      order.push_back(runs_[run].kernel);
    std::ranges::reverse(order);
    return order;
  }

  const Problem& problem_;
  int64_t peak_;  // to stay below
  int64_t floor_;
  std::vector<std::vector<int>> before_, behind_;  // by kernel: what runs before and after it
  std::vector<std::vector<int>> readers_;  // by value: required kernels
  std::vector<bool> waits_;  // by kernel: until a reader runs
  std::vector<uint64_t> names_;  // by kernel
  size_t required_ = 0, most_of_a_size_ = 0;
  std::vector<Run> runs_;
  std::map<size_t, Level> levels_;  // by the number of kernels that have run
};

}  // namespace

std::optional<Schedule> forward_order_below(const Problem& problem, int64_t peak) {
  return ForwardSearch(problem, peak).run();
}

}  // namespace gradc
