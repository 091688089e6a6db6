#include "compiler/plan/plan.h"

#include <catch2/catch.hpp>

#include "../support/planning_entries.h"
#include "compiler/plan/checker.h"
#include "compiler/plan/core/offsets.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/entry_problem.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

using namespace gradc;
using namespace gradc_test;

namespace {

constexpr uint32_t kRandomEntries = 200;

void check_equal(const Outcome& a, const Outcome& b) {
  REQUIRE(a.results.size() == b.results.size());
  for (size_t i = 0; i < a.results.size(); ++i)
    CHECK(a.results[i].data == b.results[i].data);
  REQUIRE(a.state.size() == b.state.size());
  for (const auto& [name, tensor] : a.state)
    CHECK(tensor.data == b.state.at(name).data);
}

}  // namespace

TEST_CASE("planned entries compute what they did", "[plan]") {
  int above_peak = 0;
  for (uint32_t seed = 0; seed < kRandomEntries; ++seed) {
    CAPTURE(seed);
    Module module = random_entry(seed);
    verify(module);
    Module planned = plan(module, {});
    verify(planned);
    check_equal(run_entry(module), run_entry(planned));
    std::string text = print(planned);
    CHECK(print(parse_module(text, "planned.ir")) == text);
    Problem problem = make_problem(module, entry_of(module), {});
    int64_t peak = evaluate(problem, order_kernels(problem)).peak;
    CHECK(*entry_of(planned).arena_bytes >= peak);
    above_peak += *entry_of(planned).arena_bytes > peak;
  }
  CHECK(above_peak == 0);
}

TEST_CASE("buffers hold at each step what the evaluator counts", "[schedule]") {
  for (uint32_t seed = 0; seed < kRandomEntries; ++seed) {
    CAPTURE(seed);
    Module module = random_entry(seed);
    Problem problem = make_problem(module, entry_of(module), {.threads = 3});
    Schedule schedule = order_kernels(problem);
    Usage usage = evaluate(problem, schedule);
    std::vector<int64_t> bytes(schedule.size());
    for (const Buffer& buffer : buffers_of(problem, schedule).buffers)
      for (int step = buffer.first; step <= buffer.last; ++step)
        bytes[step] += buffer.bytes;
    CHECK(bytes == usage.bytes);
    CHECK(usage.peak >= kernel_floor(problem).bytes);
  }
}

TEST_CASE("inference needs what its most demanding layer needs, at any depth", "[plan]") {
  for (int layers : {16, 64, 256}) {
    Module planned = plan(chain_entry(layers, 1024, false), {});
    CHECK(entry_of(planned).arena_bytes == 2 * 1024 * 4);
  }
}

TEST_CASE("an update runs as soon as nobody reads the old parameter", "[order]") {
  Module module = chain_entry(8, 1024, true);
  Module planned = plan(module, {});
  const Function& entry = entry_of(planned);
  // All activations, at the turn, and what one backward kernel adds to them.
  CHECK(entry.arena_bytes <= (8 + 2) * 4096);
  int gradients_alive = 0, most = 0;
  for (const Op& op : entry.ops) {
    gradients_alive += entry[op.result()].name.starts_with("d.w");
    gradients_alive -= op.phase == Phase::update;
    most = std::max(most, gradients_alive);
  }
  CHECK(most == 1);
}

TEST_CASE("a plan that is loaded is held to the checker and to the budget", "[plan]") {
  Module planned = plan(chain_entry(4, 64, true), {});
  check_planned(planned, {});
  int64_t arena = *entry_of(planned).arena_bytes;
  check_planned(planned, {.memory = arena});
  try {
    check_planned(planned, {.memory = arena - 1});
    FAIL("the budget is smaller than the arena");
  } catch (const UserError& error) {
    CHECK(error.fault() == Fault::impossible_budget);
  }
  for (Function& function : planned.functions)
    for (Value& value : function.values)
      if (value.offset)
        value.offset = 0;
  CHECK_THROWS_AS(check_planned(planned, {}), UserError);
}
