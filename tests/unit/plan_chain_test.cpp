#include <catch2/catch.hpp>
#include <optional>

#include "../support/random_problems.h"
#include "compiler/plan/core/chain.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/planner.h"

using namespace gradc;
using namespace gradc_test;

namespace {

constexpr int64_t kSumBytes = 30 * 64;

// Layers of equal bytes and cost; a backward kernel takes the bytes of the gradient that it reads.
// With sums, each gradient is also added to one that is larger, as that of a loop's weight is.
Problem chain_of(int layers, bool sums = false) {
  Problem problem;
  auto value = [&](int maker) {
    problem.values.push_back({64, {maker}});
    return problem.value_count() - 1;
  };
  std::vector<int> states;
  for (int k = 0; k < layers; ++k) {
    PlanKernel forward{.cost = 1000};
    if (k > 0) {
      forward.reads = {states.back()};
      forward.after = {k - 1};
    }
    states.push_back(value(k));
    forward.writes = {states.back()};
    if (k > 0)
      forward.inplace = {{states[static_cast<size_t>(k) - 1], states.back()}};
    problem.kernels.push_back(std::move(forward));
  }
  int gradient = states.back();  // the loss is in the last layer
  int sum = -1;
  for (int k = layers; k-- > 0;) {
    int number = problem.kernel_count();
    PlanKernel backward{.forward = false, .cost = 1000};
    backward.reads = {gradient};
    backward.after = {gradient == states.back() ? number - 1
                                                : problem.values[gradient].producers[0]};
    if (k > 0)
      backward.reads.push_back(states[static_cast<size_t>(k) - 1]);
    int next = value(number);
    backward.writes = {next};
    backward.inplace = {{gradient, next}};
    problem.kernels.push_back(std::move(backward));
    gradient = next;
    if (!sums)
      continue;
    PlanKernel add{.forward = false, .cost = 1000};
    add.reads = {gradient};
    add.after = {number};
    problem.values.push_back({kSumBytes, {problem.kernel_count()}});
    add.writes = {problem.value_count() - 1};
    if (sum >= 0) {
      add.reads.push_back(sum);
      add.after.push_back(problem.values[sum].producers[0]);
      add.inplace = {{sum, problem.value_count() - 1}};
    }
    sum = problem.value_count() - 1;
    problem.kernels.push_back(std::move(add));
  }
  return problem;
}

// Couplings y = x + g(f(z)) of two streams, each layer in turn; the stream before a coupling is
// also y - g(f(z)). The backward pass of a coupling reads z and f(z).
Problem couplings(int layers) {
  constexpr int64_t kProduct = 1000, kSum = 10;
  Problem problem;
  auto add = [&](PlanKernel kernel, bool inplace) {
    int number = problem.kernel_count(), made = problem.value_count();
    problem.values.push_back({64, {number}});
    for (int read : kernel.reads)
      kernel.after.push_back(problem.values[read].producers[0]);
    kernel.writes = {made};
    if (inplace)
      kernel.inplace = {{kernel.reads[0], made}};
    problem.kernels.push_back(std::move(kernel));
    return made;
  };
  std::vector<int> streams = {add({.cost = kProduct}, false), add({.cost = kProduct}, false)};
  std::vector<int> inner, outer;
  for (int k = 0; k < layers; ++k) {
    inner.push_back(add({.cost = kProduct, .reads = {streams.back()}}, false));
    outer.push_back(add({.cost = kProduct, .reads = {inner.back()}}, false));
    streams.push_back(add({.cost = kSum, .reads = {streams[k], outer.back()}}, true));
  }
  int gradient = add({.forward = false, .cost = kSum, .reads = {streams.back()}}, false);
  int other = add({.forward = false, .cost = kSum, .reads = {streams[layers]}}, false);
  for (int k = layers; k-- > 0;) {
    PlanKernel through{.forward = false, .cost = kProduct, .reads = {gradient, inner[k]}};
    int made = add(std::move(through), false);
    made = add({.forward = false, .cost = kProduct, .reads = {made, streams[k + 1]}}, true);
    int sum = add({.forward = false, .cost = kSum, .reads = {other, made}}, true);
    other = gradient;
    gradient = sum;
  }
  for (int k = 0; k < layers; ++k) {
    problem.values[streams[k]].producers.push_back(problem.kernel_count());
    problem.kernels.push_back({.forward = false,
                               .required = false,
                               .cost = kSum,
                               .reads = {streams[k + 2], outer[k]},
                               .writes = {streams[k]},
                               .inplace = {{streams[k + 2], streams[k]}},
                               .after = {},
                               .overwriters = {}});
  }
  return problem;
}

int64_t choose(int64_t n, int64_t k) {
  int64_t result = 1;
  for (int64_t i = 1; i <= k; ++i)
    result = result * (n - k + i) / i;
  return result;
}

// Griewank and Walther, "Revolve": steps forward that reversing `steps` takes with room for so many
// states, the first one included, besides the last.
int64_t revolve(int64_t steps, int64_t states) {
  int64_t repeats = 0;
  while (choose(states + repeats, states) < steps)
    ++repeats;
  return repeats * steps - (repeats > 0 ? choose(states + repeats, repeats - 1) : 0);
}

void check_possible(const Problem& problem, const Schedule& schedule) {
  std::vector<char> made(problem.values.size()), ran(problem.kernels.size());
  for (int k : schedule) {
    const PlanKernel& kernel = problem.kernels[static_cast<size_t>(k)];
    for (int value : kernel.reads)
      REQUIRE(made[static_cast<size_t>(value)]);
    for (int writer : kernel.overwriters)
      REQUIRE_FALSE(ran[static_cast<size_t>(writer)]);
    for (int value : kernel.writes)
      made[static_cast<size_t>(value)] = true;
    ran[static_cast<size_t>(k)] = true;
  }
  for (int k = 0; k < problem.kernel_count(); ++k)
    CHECK((ran[static_cast<size_t>(k)] || !problem.kernels[static_cast<size_t>(k)].required));
}

}  // namespace

TEST_CASE("Revolve's closed form", "[chain]") {
  CHECK(revolve(1, 1) == 0);
  CHECK(revolve(10, 1) == 45);
  CHECK(revolve(10, 3) == 15);
}

TEST_CASE("checkpoints of an even chain are as good as Revolve's", "[chain]") {
  for (int layers : {8, 20, 40})
    for (int states : {2, 3, 5}) {
      CAPTURE(layers, states);
      Problem problem = chain_of(layers);
      Schedule order = plain_order(problem);
      // The states, the first one outside of the arena, the last one, and a gradient.
      int64_t budget = 64 * (states + 1);
      PlanOutcome outcome = Planner(problem, order).plan(budget, {.steps = 1, .spent = {}});
      REQUIRE(outcome.schedule);
      CHECK(evaluate(problem, *outcome.schedule).peak <= budget);
      int64_t runs = static_cast<int64_t>(outcome.schedule->size()) - layers;
      CHECK(runs == revolve(layers, states) + 1);
    }
}

TEST_CASE("a loop over time with sums of gradients is nearly as good as Revolve's", "[chain]") {
  constexpr int kSteps = 384;
  Problem problem = chain_of(kSteps, true);
  for (int states : {20, 40}) {
    CAPTURE(states);
    int64_t budget = 64 * (states + 1) + kSumBytes;
    PlanOutcome outcome =
        Planner(problem, order_kernels(problem)).plan(budget, {.steps = 0.1, .spent = {}});
    REQUIRE(outcome.schedule);
    CHECK(evaluate(problem, *outcome.schedule).peak <= budget);
    int64_t runs = static_cast<int64_t>(outcome.schedule->size()) - 2 * kSteps;
    CHECK(runs <= revolve(kSteps, states) * 105 / 100);
  }
}

TEST_CASE("what inverses made of a coupling is there for its backward pass", "[chain]") {
  constexpr int kLayers = 24;
  Problem problem = couplings(kLayers);
  Schedule order = plain_order(problem);
  Chain chain(problem, order, kLayers, {});
  REQUIRE(chain.usable());
  std::optional<Schedule> schedule = chain.plan(12 * int64_t{64});
  REQUIRE(schedule);
  check_possible(problem, *schedule);
  // Both products of each coupling run twice at most, not the inner one three times.
  int64_t base = problem.base_cost();
  CHECK(evaluate(problem, *schedule).cost <= base + kLayers * int64_t{2010});
}

TEST_CASE("chains of any steps decode to what can run", "[chain]") {
  int made = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    Problem problem = random_step(seed, 4 + static_cast<int>(seed % 30));
    Schedule order = order_kernels(problem);
    int64_t peak = evaluate(problem, order).peak;
    for (int blocks : {2, 6, 14}) {
      Chain chain(problem, order, blocks, {});
      if (!chain.usable())
        continue;
      for (int percent : {40, 70, 100})
        if (auto schedule = chain.plan(peak * percent / 100)) {
          check_possible(problem, *schedule);
          ++made;
        }
    }
  }
  CHECK(made > 200);
}
