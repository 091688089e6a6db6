#include <algorithm>
#include <catch2/catch.hpp>

#include "../support/random_problems.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/random.h"
#include "compiler/plan/core/shift.h"
#include "compiler/plan/core/timeline.h"

using namespace gradc;
using namespace gradc_test;

namespace {

std::vector<int64_t> bytes_of(const Timeline& timeline) {
  std::vector<int64_t> bytes;
  for (int run = timeline.runs().front(); run != Timeline::kNone; run = timeline.runs().next(run))
    bytes.push_back(timeline.runs().bytes(run));
  return bytes;
}

void check_indices(const Timeline& timeline, int64_t limit);

void check_like(const Timeline& timeline, const Schedule& schedule) {
  REQUIRE(timeline.schedule() == schedule);
  Usage usage = evaluate(timeline.problem(), schedule);
  CHECK(bytes_of(timeline) == usage.bytes);
  CHECK(timeline.peak() == usage.peak);
  CHECK(timeline.cost() == usage.cost);
  CHECK(timeline.kernel_of(timeline.runs().peak()) == schedule[usage.peak_step]);
  check_indices(timeline, usage.peak - usage.peak / 8);
}

// What is kept beside the runs says the same as a look at all of them.
void check_indices(const Timeline& timeline, int64_t limit) {
  const RunList& runs = timeline.runs();
  std::vector<int> all, above, repeated, found;
  for (int run = runs.front(); run != Timeline::kNone; run = runs.next(run))
    all.push_back(run);
  RunList::Above over;
  over.find(runs, limit);
  for (int run : all) {
    CHECK(over.before(runs, run) == above.size());
    if (runs.bytes(run) > limit)
      above.push_back(run);
    CHECK(over.up_to(runs, run) == above.size());
    if (!timeline.kernel(run).required || timeline.count_of(timeline.kernel_of(run)) > 1)
      repeated.push_back(run);
  }
  CHECK(over.runs() == above);
  timeline.find_repeated(found);
  std::sort(found.begin(), found.end());
  std::sort(repeated.begin(), repeated.end());
  CHECK(found == repeated);
  CHECK(timeline.run_count() == all.size());
  int middle = all[all.size() / 2];
  std::vector<int> spanning;
  for (int value = 0; value < timeline.problem().value_count(); ++value) {
    const std::vector<Timeline::Access>& accesses = timeline.accesses(value);
    if (!accesses.empty() && accesses.front().label < runs.label(middle) &&
        runs.label(middle) < accesses.back().label)
      spanning.push_back(value);
  }
  timeline.find_spanning(middle, found);
  CHECK(found == spanning);
  int first = all.front(), last = all.back(), witness = runs.above_between(first, last, limit);
  auto within = [&](int run) { return run != first && run != last && runs.bytes(run) > limit; };
  CHECK((witness != RunList::kNone) == std::any_of(all.begin(), all.end(), within));
  CHECK((witness == RunList::kNone || within(witness)));
}

std::vector<int> runs_of(const Timeline& timeline) {
  std::vector<int> runs;
  for (int run = timeline.runs().front(); run != Timeline::kNone; run = timeline.runs().next(run))
    runs.push_back(run);
  return runs;
}

// A recomputation at a place where all that it reads has been made.
void insert_somewhere(Timeline& timeline, Random& random) {
  std::vector<int> runs = runs_of(timeline);
  int before = runs[random.below(runs.size())];
  auto kernel = static_cast<int>(random.below(timeline.problem().kernels.size()));
  const PlanKernel& made = timeline.problem().kernels[kernel];
  if (made.once)
    return;
  for (const auto* values : {&made.reads, &made.writes})
    for (int value : *values)
      if (timeline.around(value, before).before == Timeline::kNone)
        return;
  timeline.insert(kernel, before);
}

void remove_something(Timeline& timeline, Random& random) {
  std::vector<int> runs = runs_of(timeline);
  int run = runs[random.below(runs.size())];
  if (timeline.removable(run))
    timeline.remove(run);
}

bool move_something(Timeline& timeline, Shifter& shifter, Random& random) {
  std::vector<int> runs = runs_of(timeline);
  int run = runs[random.below(runs.size())];
  bool earlier = random.below(2) == 0;
  return shifter.shift(timeline, run, earlier, 1 + static_cast<int>(random.below(20)));
}

// What is read has been made, and state is not overwritten before its readers have run.
void check_possible(const Problem& problem, const Schedule& schedule) {
  std::vector<char> made(problem.values.size()), ran(problem.kernels.size());
  for (int k : schedule) {
    const PlanKernel& kernel = problem.kernels[k];
    for (int value : kernel.reads)
      REQUIRE(made[value]);
    for (int writer : kernel.overwriters)
      REQUIRE_FALSE(ran[writer]);
    for (int before : kernel.after)
      if (problem.kernels[before].writes.empty())
        REQUIRE(ran[before]);
    for (int value : kernel.writes)
      made[value] = true;
    ran[k] = true;
  }
}

}  // namespace

TEST_CASE("a timeline counts what the evaluator counts", "[timeline]") {
  int64_t inserted = 0, moved = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    CAPTURE(seed);
    Problem problem = seed % 2 == 0 ? random_step(seed, 2 + static_cast<int>(seed % 30))
                                    : random_graph(seed, 4 + static_cast<int>(seed % 40));
    Schedule order = given_order(problem);
    Timeline timeline(problem, order);
    check_like(timeline, order);
    Random random(seed + 1);
    Shifter shifter(problem);
    Schedule before = order;
    for (int round = 0; round < 30; ++round) {
      size_t mark = timeline.mark();
      for (size_t changes = 1 + random.below(12); changes > 0; --changes) {
        size_t kind = random.below(4);
        if (kind < 2)
          insert_somewhere(timeline, random);
        else if (kind == 2)
          remove_something(timeline, random);
        else
          moved += move_something(timeline, shifter, random);
      }
      Schedule changed = timeline.schedule();
      check_like(timeline, changed);
      if (random.below(2) == 0) {
        timeline.undo_to(mark);
        check_like(timeline, before);
      } else {
        timeline.forget_history();
        before = std::move(changed);
      }
    }
    inserted += static_cast<int64_t>(before.size()) - static_cast<int64_t>(order.size());
  }
  CHECK(inserted > 800);
  CHECK(moved > 1000);
}

TEST_CASE("runs move where nothing forbids it, and back", "[timeline]") {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    CAPTURE(seed);
    Problem problem = seed % 2 == 0 ? random_step(seed, 2 + static_cast<int>(seed % 20))
                                    : random_graph(seed, 4 + static_cast<int>(seed % 40));
    Timeline timeline(problem, given_order(problem));
    Shifter shifter(problem);
    Random random(seed + 1);
    for (int round = 0; round < 100; ++round)
      move_something(timeline, shifter, random);
    check_possible(problem, timeline.schedule());
    CHECK(timeline.cost() == problem.base_cost());
    timeline.undo_to(0);
    check_like(timeline, given_order(problem));
  }
}

TEST_CASE("insertions at one place do not run out of room", "[timeline]") {
  Problem problem;
  problem.values = {{100, {0}}};
  problem.kernels.resize(2);
  problem.kernels[0].writes = {0};
  problem.kernels[1].reads = {0};
  Timeline timeline(problem, {0, 1});
  int last = timeline.runs().next(timeline.runs().front());
  for (int i = 0; i < 500; ++i)
    timeline.insert(0, last);
  CHECK(timeline.runs().renumberings() > 0);
  check_like(timeline, timeline.schedule());
  CHECK(timeline.count_of(0) == 501);
}

TEST_CASE("what nobody reads any more goes with what read it", "[timeline]") {
  // 0 -> 1 -> 2, and both again for 3.
  Problem problem;
  problem.values = {{100, {0}}, {100, {1}}};
  problem.kernels.resize(4);
  problem.kernels[0].writes = {0};
  problem.kernels[1].reads = {0};
  problem.kernels[1].writes = {1};
  problem.kernels[2].reads = {1};
  problem.kernels[3].reads = {1};
  Timeline timeline(problem, {0, 1, 2, 0, 1, 3});
  std::vector<int> runs = runs_of(timeline);
  CHECK_FALSE(timeline.removable(runs[0]));  // read before it is made again
  CHECK_FALSE(timeline.removable(runs[5]));
  REQUIRE(timeline.removable(runs[4]));
  timeline.remove(runs[4]);
  CHECK(timeline.schedule() == Schedule{0, 1, 2, 3});
  CHECK(timeline.kernel_of(runs[3]) == Timeline::kNone);
  timeline.undo_to(0);
  check_like(timeline, {0, 1, 2, 0, 1, 3});
}
