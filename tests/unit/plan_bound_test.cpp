#include <catch2/catch.hpp>

#include "../support/exact_plan.h"
#include "../support/random_problems.h"
#include "compiler/plan/core/bound.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/planner.h"

using namespace gradc;
using namespace gradc_test;

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
