#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/kernel.h"
#include "compiler/plan/core/ease.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/placement.h"
#include "compiler/plan/core/planner.h"
#include "compiler/plan/core/random.h"

using namespace gradc;

namespace {

// Kernels that read results of some of the last ones and, now and then, of one long before.
Problem layered(int kernels, uint64_t seed) {
  Random random(seed);
  Problem problem;
  for (int k = 0; k < kernels; ++k) {
    PlanKernel kernel;
    kernel.cost = 100 + static_cast<int64_t>(random.below(400));
    std::vector<int> reads;
    for (size_t count = 1 + random.below(3); k > 0 && count > 0; --count) {
      size_t back = random.below(8) == 0 ? random.below(k) : random.below(std::min(k, 12));
      reads.push_back(k - 1 - static_cast<int>(back));
    }
    std::sort(reads.begin(), reads.end());
    reads.erase(std::unique(reads.begin(), reads.end()), reads.end());
    kernel.reads = reads;
    kernel.after = reads;
    kernel.writes = {k};
    problem.kernels.push_back(kernel);
    problem.values.push_back({kAlignment * static_cast<int64_t>(1 + random.below(60)), {k}});
  }
  return problem;
}

void check_schedule(const Problem& problem, const Schedule& schedule) {
  std::vector<char> made(problem.values.size()), ran(problem.kernels.size());
  for (int kernel : schedule) {
    for (int value : problem.kernels[kernel].reads)
      CHECK(made[value]);
    for (int value : problem.kernels[kernel].writes)
      made[value] = true;
    ran[kernel] = true;
  }
  CHECK(std::ranges::all_of(ran, [](char r) { return r != 0; }));
}

void check_offsets(const Placement& placed) {
  const std::vector<Buffer>& buffers = placed.buffers.buffers;
  const std::vector<int64_t>& at = placed.offsets.at;
  for (size_t i = 0; i < buffers.size(); ++i) {
    CHECK(at[i] % kAlignment == 0);
    CHECK(at[i] + buffers[i].bytes <= placed.offsets.bytes);
    for (size_t j = 0; j < i; ++j) {
      bool together = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      bool overlap = at[i] < at[j] + buffers[j].bytes && at[j] < at[i] + buffers[i].bytes;
      CHECK_FALSE((together && overlap));
    }
  }
}

double fullness(const Usage& usage, int64_t limit) {
  double sum = 0;
  for (int64_t bytes : usage.bytes)
    if (bytes > limit)
      sum += static_cast<double>(bytes - limit) * static_cast<double>(bytes - limit);
  return sum;
}

}  // namespace

TEST_CASE("an eased schedule has the same runs and is nearly full less often", "[placement]") {
  int better = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    Problem problem = layered(80, seed);
    Schedule schedule = given_order(problem);
    Usage before = evaluate(problem, schedule);
    Schedule eased = ease(problem, schedule, {.share = 0.8, .work = 5'000'000});
    check_schedule(problem, eased);
    Usage after = evaluate(problem, eased);
    CHECK(after.peak <= before.peak);
    CHECK(after.cost == before.cost);
    int64_t limit = before.peak / 5 * 4;
    CHECK(fullness(after, limit) <= fullness(before, limit) * (1 + 1e-9));
    better += fullness(after, limit) < fullness(before, limit) / 2;
    std::sort(eased.begin(), eased.end());
    std::sort(schedule.begin(), schedule.end());
    CHECK(eased == schedule);
  }
  CHECK(better >= 15);
  Problem none;
  CHECK(ease(none, {}, {}).empty());
}

TEST_CASE("a schedule whose offsets leave holes is changed until they fit", "[placement]") {
  int exact = 0, greedily = 0;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    CAPTURE(seed);
    Problem problem = layered(150, seed);
    Schedule order = given_order(problem);
    int64_t budget = evaluate(problem, order).peak / 10 * 9;
    Planner planner(problem, order);
    std::optional<Schedule> schedule = planner.plan(budget, {.steps = 0.1, .spent = {}}).schedule;
    REQUIRE(schedule);
    Usage usage = evaluate(problem, *schedule);
    greedily +=
        place_within(buffers_of(problem, *schedule).buffers, INT64_MAX, 0).bytes == usage.peak;
    Placement placed = place_schedule(problem, *schedule, budget, 10'000'000);
    check_schedule(problem, placed.schedule);
    check_offsets(placed);
    Usage after = evaluate(problem, placed.schedule);
    CHECK(after.peak == placed.peak);
    CHECK(after.cost == placed.cost);
    CHECK(placed.offsets.bytes <= budget);
    exact += placed.offsets.bytes == placed.peak;
  }
  CHECK(exact > greedily);
}

TEST_CASE("a budget that the peak just fits is met, if need be by recomputation", "[placement]") {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    CAPTURE(seed);
    Problem problem = layered(150, 100 + seed);
    Schedule order = given_order(problem);
    int64_t peak = evaluate(problem, order).peak;
    Placement placed = place_schedule(problem, order, peak, 3'000'000);
    check_schedule(problem, placed.schedule);
    check_offsets(placed);
    CHECK(placed.offsets.bytes <= peak);
    CHECK(placed.cost >= problem.base_cost());
    // No budget: no run is added.
    Placement free = place_schedule(problem, order, INT64_MAX, 3'000'000);
    CHECK(free.cost == problem.base_cost());
    CHECK(free.peak <= peak);
    check_offsets(free);
  }
}
