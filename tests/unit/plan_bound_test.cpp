#include <catch2/catch.hpp>

#include "../support/exact_plan.h"
#include "../support/random_problems.h"
#include "compiler/plan/core/bound.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/planner.h"

using namespace gradc;
using namespace gradc_test;

namespace {

// A kernel that makes one value.
int add(Problem& problem, bool forward, std::vector<int> reads, int64_t bytes) {
  int number = problem.kernel_count();
  problem.kernels.push_back({.forward = forward, .cost = 10, .reads = reads, .after = reads});
  problem.kernels.back().writes = {number};
  problem.values.push_back({bytes, {number}});
  return number;
}

}  // namespace

TEST_CASE("the bound is never above the optimum, and plans are near it", "[bound]") {
  int64_t looked = 0, possible = 0, found = 0, bounded = 0, sharper = 0;
  double optimal = 0, ours = 0;
  for (uint32_t seed = 0; seed < 2000; ++seed) {
    int kernels = seed % 50 == 0 ? 9 : 4 + static_cast<int>(seed % 5);
    Problem problem = seed % 2 == 0 ? random_problem(seed, kernels) : random_graph(seed, kernels);
    Schedule order = plain_order(problem);
    Usage usage = evaluate(problem, order);
    int64_t floor = kernel_floor(problem).bytes;
    Planner planner(problem, order);
    int64_t proved = planner.floor().bytes;
    CHECK(proved <= usage.peak);
    for (int percent : {static_cast<int>(seed % 3) * 30}) {
      int64_t budget = floor + (usage.peak - floor) * percent / 100;
      CAPTURE(seed, budget);
      std::optional<int64_t> least = exact_cost(problem, budget);
      PlanOutcome outcome = planner.plan(budget, {.steps = 0.02, .spent = {}});
      ++looked;
      possible += least.has_value();
      if (least) {
        CHECK_FALSE(outcome.bound.impossible);
        CHECK(proved <= budget);
        CHECK(problem.base_cost() + outcome.bound.overhead <= *least);
        bounded += outcome.bound.overhead > 0;
        sharper += outcome.bound.overhead > outcome.bound.alone;
      }
      if (!outcome.schedule)
        continue;
      Usage planned = evaluate(problem, *outcome.schedule);
      ++found;
      REQUIRE(least.has_value());
      CHECK(planned.peak <= budget);
      CHECK(planned.cost >= *least);
      optimal += static_cast<double>(*least) / static_cast<double>(usage.cost) - 1;
      ours += static_cast<double>(planned.cost) / static_cast<double>(usage.cost) - 1;
    }
  }
  CAPTURE(looked, possible, found, bounded, sharper, ours / static_cast<double>(found),
          optimal / static_cast<double>(found));
  CHECK(looked == 2000);
  CHECK(bounded > 200);
  CHECK(sharper > 20);
  CHECK(static_cast<double>(found) >= 0.95 * static_cast<double>(possible));
  CHECK(ours <= 1.12 * optimal + 0.001 * static_cast<double>(found));
}

TEST_CASE("no plan is below the floor", "[bound]") {
  int raised = 0;
  for (uint32_t seed = 0; seed < 8000; ++seed) {
    CAPTURE(seed);
    int kernels = 5 + static_cast<int>(seed % 4);
    Problem problem = seed % 2 == 0 ? random_problem(seed, kernels) : random_graph(seed, kernels);
    Planner planner(problem, plain_order(problem));
    int64_t proved = planner.floor().bytes;
    if (proved == kernel_floor(problem).bytes)
      continue;
    ++raised;
    CHECK_FALSE(exact_cost(problem, proved - 1));
  }
  CHECK(raised > 100);
}

TEST_CASE("what an optional kernel makes again need not be kept", "[bound]") {
  // `a` and `b` are made once; `a` is read in the end, and is made of `b` by an optional kernel.
  Problem problem;
  problem.values = {{300, {0, 4}}, {100, {0}}, {300, {1}}, {10, {2}}, {10, {3}}};
  problem.kernels = {
      {.once = true, .cost = 10, .writes = {0, 1}},
      {.cost = 10, .writes = {2}},
      {.cost = 10, .reads = {1, 2}, .writes = {3}, .after = {0, 1}},
      {.forward = false, .cost = 10, .reads = {0, 3}, .writes = {4}, .after = {0, 2}},
      {.forward = false, .required = false, .cost = 10, .reads = {1}, .writes = {0}, .after = {0}}};
  Planner planner(problem, plain_order(problem));
  CHECK(planner.floor().bytes == 410);
  CHECK(exact_cost(problem, 410) == 50);
  PlanOutcome outcome = planner.plan(410, {.steps = 1, .spent = {}});
  CHECK_FALSE(outcome.bound.impossible);
  REQUIRE(outcome.schedule);
  CHECK(evaluate(problem, *outcome.schedule).cost == 50);
}

TEST_CASE("the floor of a residual net is what its smallest plan needs", "[bound]") {
  // y = x + g(f(x)), twice; the gradient of each reads f(x), and is added to that of y.
  Problem problem;
  auto add = [&](std::vector<int> reads, bool forward) {
    return ::add(problem, forward, std::move(reads), 100);
  };
  std::vector<int> streams = {add({}, true)}, inner;
  for (int block = 0; block < 4; ++block) {
    inner.push_back(add({streams.back()}, true));
    int outer = add({inner.back()}, true);
    streams.push_back(add({streams.back(), outer}, true));
  }
  int gradient = add({streams.back()}, false);
  for (int block = 4; block-- > 0;) {
    int through = add({gradient, inner[block]}, false);
    int before = add({through, streams[block]}, false);
    gradient = add({gradient, before}, false);
  }
  Planner planner(problem, plain_order(problem));
  int64_t proved = planner.floor().bytes;
  CHECK(kernel_floor(problem).bytes == 300);
  CHECK(proved == 400);
  CHECK(evaluate(problem, planner.smallest({.steps = 1, .spent = {}})).peak == proved);
}

TEST_CASE("an update waits where what reads the old weight is to be made again", "[bound]") {
  // d = w s, of which the step has to be rid while `large` runs; the update of w reads a gradient.
  Problem problem;
  auto add = [&](bool forward, std::vector<int> reads, int64_t bytes) {
    return ::add(problem, forward, std::move(reads), bytes);
  };
  int s = add(true, {}, 100), d = add(true, {s}, 400);
  int dw = add(false, {d}, 20);
  int update = add(false, {dw}, 0);
  problem.kernels[update].once = true;
  problem.kernels[d].overwriters = {update};
  int first = add(false, {dw}, 400), large = add(false, {first}, 400),
      last = add(false, {large}, 10);
  add(false, {last, d}, 10);
  Planner planner(problem, plain_order(problem));
  Schedule smallest = planner.smallest({.steps = 1, .spent = {}});
  CHECK(evaluate(problem, smallest).peak == 800);  // 1200 with the update in its place
  CHECK(planner.plan(1000, {.steps = 1, .spent = {}}).schedule);
}

TEST_CASE("updates wait for all that is made again on the way to a value", "[bound]") {
  // e = v w s; neither w s nor e is there while `large` runs, and both updates run before.
  Problem problem;
  auto add = [&](bool forward, std::vector<int> reads, int64_t bytes) {
    return ::add(problem, forward, std::move(reads), bytes);
  };
  int s = add(true, {}, 100), d = add(true, {s}, 400), e = add(true, {d}, 400);
  for (int layer : {d, e}) {
    int update = add(false, {add(false, {layer}, 20)}, 0);
    problem.kernels[update].once = true;
    problem.kernels[layer].overwriters = {update};
  }
  int first = add(false, {e + 1, e + 3}, 400), large = add(false, {first}, 400);
  add(false, {add(false, {large}, 10), e}, 10);
  Planner planner(problem, plain_order(problem));
  Schedule smallest = planner.smallest({.steps = 1, .spent = {}});
  CHECK(evaluate(problem, smallest).peak == 810);  // 1200 with one of them in its place
  CHECK(planner.floor().bytes == 810);
}

TEST_CASE("the same problem and effort give the same plan", "[bound]") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    Problem problem = random_step(seed, 12);
    Schedule order = plain_order(problem);
    int64_t budget = evaluate(problem, order).peak * 6 / 10;
    auto plan = [&] { return Planner(problem, order).plan(budget, {.steps = 0.05, .spent = {}}); };
    PlanOutcome first = plan(), second = plan();
    CHECK(first.schedule == second.schedule);
    CHECK(first.bound.overhead == second.bound.overhead);
  }
}
