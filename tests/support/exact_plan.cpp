#include "exact_plan.h"

#include <algorithm>
#include <map>
#include <queue>
#include <random>

namespace gradc_test {

using namespace gradc;

namespace {

// Bit i of `memory`: value i is there; of `ran`: kernel i has run.
struct State {
  uint32_t memory = 0, ran = 0;
  auto operator<=>(const State&) const = default;
};

class ExactSearch {
 public:
  ExactSearch(const Problem& problem, int64_t budget) : problem_(problem), budget_(budget) {}

  std::optional<int64_t> run() {
    relax({}, 0);
    uint32_t required = 0;
    for (size_t k = 0; k < problem_.kernels.size(); ++k)
      required |= problem_.kernels[k].required ? 1u << k : 0;
    while (!queue_.empty()) {
      auto [cost, state] = queue_.top();
      queue_.pop();
      if (cost > cost_[state])
        continue;
      if ((state.ran & required) == required)
        return cost;
      for (size_t k = 0; k < problem_.kernels.size(); ++k)
        run_kernel(static_cast<int>(k), state, cost);
      for (size_t v = 0; v < problem_.values.size(); ++v)
        if (state.memory >> v & 1)
          relax({state.memory & ~(1u << v), state.ran}, cost);
    }
    return std::nullopt;
  }

 private:
  void relax(State state, int64_t cost) {
    auto [known, fresh] = cost_.try_emplace(state, cost);
    if (!fresh && known->second <= cost)
      return;
    known->second = cost;
    queue_.push({cost, state});
  }

  // With every choice of operands that die at this step.
  void run_kernel(int k, State state, int64_t cost) {
    const PlanKernel& kernel = problem_.kernels[k];
    for (int value : kernel.reads)
      if (!(state.memory >> value & 1))
        return;
    for (int value : kernel.writes)
      if (state.memory >> value & 1)
        return;
    for (int writer : kernel.overwriters)
      if (state.ran >> writer & 1)
        return;
    bool rerun = state.ran >> k & 1;
    if (rerun && kernel.once)
      return;
    int64_t bytes = kernel.workspace + (rerun ? kernel.rerun_bytes : 0);
    for (size_t v = 0; v < problem_.values.size(); ++v)
      if (state.memory >> v & 1)
        bytes += problem_.values[v].bytes;
    for (int value : kernel.writes)
      bytes += problem_.values[value].bytes;
    for (uint32_t dying = 0; dying < 1u << kernel.reads.size(); ++dying) {
      State next{state.memory, state.ran | 1u << k};
      for (size_t i = 0; i < kernel.reads.size(); ++i)
        if (dying >> i & 1)
          next.memory &= ~(1u << kernel.reads[i]);
      int64_t shared = 0;  // at most one pair a kernel
      for (auto [read, written] : kernel.inplace)
        if (!(next.memory >> read & 1) &&
            problem_.values[written].bytes <= problem_.values[read].bytes)
          shared = problem_.values[written].bytes;
      for (int value : kernel.writes)
        next.memory |= 1u << value;
      if (bytes - shared <= budget_)
        relax(next, cost + kernel.cost);
    }
  }

  const Problem& problem_;
  int64_t budget_;
  std::map<State, int64_t> cost_;
  using Item = std::pair<int64_t, State>;
  std::priority_queue<Item, std::vector<Item>, std::greater<>> queue_;
};

}  // namespace

std::optional<int64_t> exact_cost(const Problem& problem, int64_t budget) {
  return ExactSearch(problem, budget).run();
}

Problem random_problem(uint32_t seed, int kernels) {
  std::mt19937 random(seed);
  auto below = [&](int bound) { return static_cast<int>(random() % static_cast<uint32_t>(bound)); };
  Problem problem;
  int forward = kernels / 2;
  for (int k = 0; k < kernels; ++k) {
    PlanKernel kernel;
    kernel.forward = k < forward;
    kernel.cost = 10 + below(90);
    kernel.workspace = below(4) == 0 ? 64 * (1 + below(4)) : 0;
    if (k > 0)
      kernel.reads.push_back(k - 1);
    // A backward kernel reads what its mirror image reads or makes.
    int mirror = kernels - 1 - k;
    int other = k < forward ? below(k + 1) - 1 : mirror - below(2);
    if (other >= 0 && other < k - 1)
      kernel.reads.push_back(other);
    kernel.after = kernel.reads;
    kernel.writes = {k};
    problem.values.push_back({64 * (1 + below(5)), {k}});
    if (k > 0 && below(2) == 0) {
      problem.values[k].bytes = problem.values[k - 1].bytes;
      kernel.inplace.emplace_back(k - 1, k);
    }
    problem.kernels.push_back(std::move(kernel));
  }
  return problem;
}

}  // namespace gradc_test
