#include "bench/least_peak.h"

#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include "ir/diagnostic.h"

namespace gradc::bench {
namespace {

// A set of kernels that have run, and the best order of it that is known.
struct State {
  std::vector<bool> done;  // by kernel
  int64_t peak = 0, live = 0;
  int history = -1;
};

class OrderSearch {
 public:
  OrderSearch(const Problem& problem, size_t beam)
      : problem_(problem),
        beam_(beam),
        before_(problem.kernels.size()),
        readers_(problem.values.size()) {
    std::mt19937_64 random(1);
    for (int k = 0; k < problem.kernel_count(); ++k) {
      const PlanKernel& kernel = problem.kernels[k];
      names_.push_back({random(), random()});
      if (!kernel.required)
        continue;
      ++required_;
      for (int other : kernel.after)
        before_[k].push_back(other);
      for (int other : kernel.overwriters)
        before_[other].push_back(k);
      for (int value : kernel.reads)
        readers_[value].push_back(k);
    }
    for (int k = 0; k < problem.kernel_count(); ++k)
      waits_for_reader_.push_back(can_wait(k));
    floor_ = kernel_floor(problem).bytes;
  }

  LeastPeak run() {
    add({std::vector<bool>(problem_.kernels.size()), 0, 0, -1}, 0);
    while (!levels_.empty()) {
      auto [count, level] = std::move(*levels_.begin());
      levels_.erase(levels_.begin());
      std::vector<State> states = kept(std::move(level));
      result_.states += static_cast<int64_t>(states.size());
      if (count == required_) {
        result_.peak = states[0].peak;
        result_.order = order_of(states[0]);
        return std::move(result_);
      }
      for (const State& state : states)
        expand(state, count);
    }
    fail("no order of the kernels is possible");
  }

 private:
  using Name = std::pair<uint64_t, uint64_t>;  // of a set: no two in one search are alike
  using Level = std::map<Name, State>;

  struct Run {
    int before, kernel;
  };

  // Of no operands in the arena and one result: it runs just before the first reader, which has to
  // hold the result anyway.
  bool can_wait(int k) const {
    const PlanKernel& kernel = problem_.kernels[k];
    bool makes_one = kernel.writes.size() == 1 && !readers_[kernel.writes[0]].empty();
    return kernel.required && makes_one && kernel.reads.empty() && before_[k].empty() &&
           kernel.workspace == 0 && kernel.rerun_bytes == 0;
  }

  bool is_ready(const State& state, int k) const {
    return problem_.kernels[k].required && !state.done[k] && !waits_for_reader_[k] &&
           std::ranges::all_of(before_[k], [&](int other) {
             return state.done[other] || waits_for_reader_[other];
           });
  }

  // `k` and what waited for it.
  void run_with_operands(State& state, int k) {
    for (int other : before_[k])
      if (!state.done[other])
        run(state, other);
    run(state, k);
  }

  void run(State& state, int k) {
    const PlanKernel& kernel = problem_.kernels[k];
    auto dies = [&](int value) {
      return std::ranges::all_of(readers_[value],
                                 [&](int reader) { return reader == k || state.done[reader]; });
    };
    int64_t during = state.live + kernel.workspace;
    for (int value : kernel.writes) {
      during += problem_.values[value].bytes;
      if (!readers_[value].empty())
        state.live += problem_.values[value].bytes;
    }
    for_each_shared_pair(problem_, kernel, dies,
                         [&](int, int written) { during -= problem_.values[written].bytes; });
    for (int value : kernel.reads)
      if (dies(value))
        state.live -= problem_.values[value].bytes;
    state.peak = std::max(state.peak, during);
    state.done[k] = true;
    history_.push_back({state.history, k});
    state.history = static_cast<int>(history_.size()) - 1;
  }

  void expand(const State& state, size_t count) {
    for (int k = 0; k < problem_.kernel_count(); ++k) {
      if (!is_ready(state, k))
        continue;
      size_t known = history_.size();
      State next = state;
      run_with_operands(next, k);
      run_what_is_free(next);
      add(std::move(next), count + history_.size() - known);
    }
  }

  // What holds no more bytes behind it and raises no peak is run at once: no order loses by it.
  void run_what_is_free(State& state) {
    for (int k = 0; k < problem_.kernel_count(); ++k) {
      if (!is_ready(state, k))
        continue;
      size_t known = history_.size();
      State next = state;
      run_with_operands(next, k);
      if (next.live <= state.live && next.peak <= std::max(state.peak, floor_)) {
        state = std::move(next);
        k = -1;
      } else {
        history_.resize(known);
      }
    }
  }

  void add(State state, size_t count) {
    Name name{0, 0};
    for (size_t k = 0; k < state.done.size(); ++k)
      if (state.done[k]) {
        name.first ^= names_[k].first;
        name.second ^= names_[k].second;
      }
    auto [known, is_new] = levels_[count].try_emplace(name, state);
    if (!is_new && state.peak < known->second.peak)
      known->second = std::move(state);
  }

  std::vector<State> kept(Level level) {
    std::vector<State> states;
    for (auto& [unused, state] : level)
      states.push_back(std::move(state));
    auto better = [](const State& a, const State& b) {
      return std::pair(a.peak, a.live) < std::pair(b.peak, b.live);
    };
    if (states.size() > beam_) {
      std::ranges::nth_element(states, states.begin() + static_cast<std::ptrdiff_t>(beam_), better);
      states.resize(beam_);
      result_.exact = false;
    }
    return states;
  }

  Schedule order_of(const State& state) const {
    Schedule order;
    for (int run = state.history; run >= 0; run = history_[run].before)
      order.push_back(history_[run].kernel);
    std::ranges::reverse(order);
    return order;
  }

  const Problem& problem_;
  size_t beam_;
  std::vector<std::vector<int>> before_;  // by kernel: what must run before it
  std::vector<std::vector<int>> readers_;  // by value: required kernels
  std::vector<bool> waits_for_reader_;  // by kernel
  std::vector<Name> names_;  // by kernel
  size_t required_ = 0;
  int64_t floor_ = 0;
  std::vector<Run> history_;
  std::map<size_t, Level> levels_;  // by the number of kernels that have run
  LeastPeak result_;
};

}  // namespace

LeastPeak least_peak(const Problem& problem, size_t beam) {
  return OrderSearch(problem, beam).run();
}

}  // namespace gradc::bench
