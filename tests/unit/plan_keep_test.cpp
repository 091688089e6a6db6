// Values with several producers: the cheapest way to make one again, and what is kept for that.
#include <algorithm>
#include <catch2/catch.hpp>

#include "../support/random_problems.h"
#include "compiler/plan/core/cheapest_way.h"
#include "compiler/plan/core/keep_plan.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/planner.h"

using namespace gradc;
using namespace gradc_test;

namespace {

constexpr int64_t kBytes = 64;

class CouplingMaker {
 public:
  // Of two streams, y = x + f(z), where f is a cheap activation and a product by weights that are
  // updated as soon as their gradient is there. With inverses x = y - f(z).
  Problem run(int couplings, bool inverses) {
    std::vector<int> stream = {value(), value()};
    kernel({.cost = 1, .writes = stream});
    for (int i = 0; i < couplings; ++i) {
      int x = stream[i % 2], z = stream[(i + 1) % 2], f = value(), y = value();
      kernel({.cost = 1, .reads = {z}, .writes = {f}});
      int product = kernel({.cost = 10, .reads = {f, x}, .writes = {y}, .inplace = {{x, y}}});
      layers_.push_back({x, f, y, product});
      stream[i % 2] = y;
    }
    std::vector<int> gradients = {value(), value()};
    kernel({.cost = 1, .reads = stream, .writes = gradients});
    for (int i = couplings; i-- > 0;)
      backward(layers_[static_cast<size_t>(i)], gradients, i);
    for (Layer& layer : inverses ? layers_ : std::vector<Layer>{})
      invert(layer);
    return std::move(problem_);
  }

 private:
  struct Layer {
    int x = 0, f = 0, y = 0, product = 0, update = 0;
  };

  int value() {
    problem_.values.push_back({kBytes, {}});
    return problem_.value_count() - 1;
  }

  int kernel(PlanKernel kernel) {
    int number = problem_.kernel_count();
    for (int read : kernel.reads)
      kernel.after.push_back(problem_.values[static_cast<size_t>(read)].producers[0]);
    for (int written : kernel.writes)
      problem_.values[static_cast<size_t>(written)].producers.push_back(number);
    problem_.kernels.push_back(std::move(kernel));
    return number;
  }

  PlanKernel& at(int number) { return problem_.kernels[static_cast<size_t>(number)]; }

  void backward(Layer& layer, std::vector<int>& gradients, int i) {
    int dy = gradients[static_cast<size_t>(i) % 2], dz = gradients[static_cast<size_t>(i + 1) % 2];
    int dweights = value(), df = value(), sum = value();
    problem_.values[static_cast<size_t>(dweights)].bytes = 1;
    kernel({.forward = false, .cost = 10, .reads = {layer.f, dy}, .writes = {dweights}});
    int product = kernel({.forward = false, .cost = 10, .reads = {layer.f, dy}, .writes = {df}});
    layer.update = kernel({.forward = false, .once = true, .cost = 1, .reads = {dweights}});
    at(layer.update).after.push_back(product);
    at(layer.product).overwriters = at(product).overwriters = {layer.update};
    kernel(
        {.forward = false, .cost = 1, .reads = {df, dz}, .writes = {sum}, .inplace = {{df, sum}}});
    gradients[static_cast<size_t>(i + 1) % 2] = sum;
  }

  void invert(const Layer& layer) {
    int number = kernel({.forward = false,
                         .required = false,
                         .cost = 10,
                         .reads = {layer.f, layer.y},
                         .writes = {layer.x},
                         .inplace = {{layer.y, layer.x}}});
    at(number).overwriters = {layer.update};
  }

  Problem problem_;
  std::vector<Layer> layers_;
};

bool is_possible(const Problem& problem, const Schedule& schedule) {
  std::vector<char> made(problem.values.size()), ran(problem.kernels.size());
  for (int k : schedule) {
    const PlanKernel& kernel = problem.kernels[static_cast<size_t>(k)];
    for (int value : kernel.reads)
      if (!made[static_cast<size_t>(value)])
        return false;
    for (int writer : kernel.overwriters)
      if (ran[static_cast<size_t>(writer)])
        return false;
    for (int value : kernel.writes)
      made[static_cast<size_t>(value)] = true;
    ran[static_cast<size_t>(k)] = true;
  }
  return true;
}

// By value what making it costs, -1 where nothing makes it: prices fall until none does any more.
std::vector<int64_t> relaxed(const Problem& problem, const std::vector<char>& there) {
  std::vector<int64_t> cost(problem.values.size(), -1);
  for (size_t v = 0; v < cost.size(); ++v)
    cost[v] = there[v] ? 0 : -1;
  for (bool changed = true; changed;) {
    changed = false;
    for (const PlanKernel& kernel : problem.kernels) {
      int64_t sum = kernel.once ? -1 : kernel.cost;
      for (int read : kernel.reads)
        sum = sum < 0 || cost[static_cast<size_t>(read)] < 0
                  ? -1
                  : sum + cost[static_cast<size_t>(read)];
      for (int written : kernel.writes)
        if (int64_t& now = cost[static_cast<size_t>(written)]; sum >= 0 && (now < 0 || sum < now)) {
          now = sum;
          changed = true;
        }
    }
  }
  return cost;
}

int64_t cost_of_way(const Problem& problem, const CheapestWay& way, const std::vector<char>& there,
                    int value) {
  if (there[static_cast<size_t>(value)])
    return 0;
  const PlanKernel& producer = problem.kernels[static_cast<size_t>(way.producer(value))];
  int64_t cost = producer.cost;
  for (int read : producer.reads)
    cost += cost_of_way(problem, way, there, read);
  return cost;
}

}  // namespace

TEST_CASE("the cheapest way costs what falling prices end at", "[plan]") {
  int found = 0, impossible = 0;
  for (uint32_t seed = 0; seed < 90; ++seed) {
    Problem problem = random_step(seed, 30);
    CheapestWay way(problem);
    std::vector<char> there(problem.values.size());
    for (size_t v = 0; v < there.size(); ++v)
      there[v] = (v * 7 + seed) % 4 == 0;
    std::vector<int64_t> costs = relaxed(problem, there);
    for (int value = 0; value < problem.value_count(); ++value) {
      CAPTURE(seed, value);
      int64_t cost = costs[static_cast<size_t>(value)];
      if (cost == 0)
        continue;
      bool made = way.find(value, there,
                           [&](int k) { return !problem.kernels[static_cast<size_t>(k)].once; });
      REQUIRE(made == (cost > 0));
      if (made)
        CHECK(cost_of_way(problem, way, there, value) == cost);
      ++(made ? found : impossible);
    }
  }
  CHECK(found > 500);
}

TEST_CASE("a way through a hundred couplings is found", "[plan]") {
  Problem problem = CouplingMaker().run(100, true);
  std::vector<char> there(problem.values.size());
  for (int value : problem.kernels[200].writes)  // the last product
    there[static_cast<size_t>(value)] = true;
  for (int value : problem.kernels[198].writes)
    there[static_cast<size_t>(value)] = true;
  CheapestWay way(problem);
  int first = problem.kernels[0].writes[0];
  REQUIRE(way.find(first, there, [&](int k) { return k > 0; }));
  CHECK_FALSE(problem.kernels[static_cast<size_t>(way.producer(first))].required);
}

TEST_CASE("couplings are inverted before their weights are updated", "[plan]") {
  Problem problem = CouplingMaker().run(40, true);
  Schedule order = order_kernels(problem);
  Kept kept = kept_for_recipes(problem, order);
  CHECK(kept.values.size() == 4);  // both streams, the gradients; no activation
  std::optional<Schedule> schedule = keep_over(problem, order, kept.kernel, kept.values);
  REQUIRE(schedule);
  CHECK(is_possible(problem, *schedule));
  CHECK(evaluate(problem, *schedule).peak < 8 * kBytes);
}

TEST_CASE("memory of couplings does not grow with their number", "[plan]") {
  for (int couplings : {16, 96}) {
    CAPTURE(couplings);
    Problem problem = CouplingMaker().run(couplings, true);
    Schedule order = order_kernels(problem);
    int64_t budget = 7 * kBytes;
    PlanOutcome outcome = Planner(problem, order).plan(budget, {.steps = 0.4, .spent = {}});
    REQUIRE(outcome.schedule);
    CHECK(is_possible(problem, *outcome.schedule));
    Usage usage = evaluate(problem, *outcome.schedule);
    CHECK(usage.peak <= budget);
    // Each product once more, and each activation up to twice: 12 of 33.
    CHECK(static_cast<double>(usage.cost) < 1.37 * static_cast<double>(problem.base_cost()));
  }
  Problem exact = CouplingMaker().run(48, false);
  PlanOutcome outcome =
      Planner(exact, order_kernels(exact)).plan(7 * kBytes, {.steps = 0.4, .spent = {}});
  CHECK((!outcome.schedule || static_cast<double>(evaluate(exact, *outcome.schedule).cost) >
                                  1.5 * static_cast<double>(exact.base_cost())));
}
