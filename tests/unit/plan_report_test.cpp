#include <catch2/catch.hpp>

#include "../support/planning_entries.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/report.h"
#include "ir/parse.h"
#include "ir/print.h"

using namespace gradc;
using namespace gradc_test;

namespace {

// Three vectors of 64 bytes; %b is made in the place of %a.
const std::string kPlanned = R"(module @m
buffer @s: f32[3]
kernel @tanh(%x: f32[16]) with {class="map", inplace=[0,0]} {
  %y: f32[16] = tanh(%x)
  return %y
}
kernel @add(%a: f32[16], %b: f32[16]) with {class="map", scratch=64, workspace=128} {
  %y: f32[16] = add(%a, %b)
  return %y
}
entry @f(%x: f32[16]) arena 320 {
forward:
  %a: f32[16] @0 = call @tanh(%x)
  %b: f32[16] @0 = call @tanh(%a)
backward:
  %a.re: f32[16] @64 = call @tanh(%x)
  %v: f32[4,4] = reshape(%a.re) {shape=[4,4]}
  %flat: f32[16] = reshape(%v) {shape=[16]}
  %y: f32[16] = call @add(%b, %flat) {scratch_at=128}
  return %y
}
)";

}  // namespace

TEST_CASE("the report is read off the planned entry", "[report]") {
  Module module = parse_module(kPlanned, "t.ir");
  MemoryReport report = memory_report(module, module.function("f"), {.cpu = "znver4"});
  CHECK(report.arena_bytes == 320);
  CHECK(report.live_bytes == std::vector<int64_t>{64, 64, 128, 128, 128, 320});
  CHECK(report.peak_bytes == 320);
  CHECK(report.peak_op == 5);
  CHECK(report.floor_bytes == 320);
  CHECK(report.others.state == 64);
  CHECK(report.others.inputs == 64);
  CHECK(report.others.outputs == 64);
  CHECK(report.forward.flops == 32);
  CHECK(report.recomputed.flops == 16);
  CHECK(report.backward.flops == 16);
  CHECK(report.overhead() == Approx(1.0 / 3).epsilon(0.05));
  std::vector<Lifetime> holders = holders_at(report, 5);
  REQUIRE(holders.size() == 3);
  CHECK(holders[0].name == "scratch of @add");
  CHECK(holders[0].bytes == 192);
  CHECK(holders[1].name == "%b");
  CHECK(holders[1].first == 1);
  CHECK(holders[1].last == 5);
  CHECK(holders[2].name == "%a.re");
  CHECK(holders[2].offset == 64);
  std::vector<Lifetime> in_place = holders_at(report, 1);
  REQUIRE(in_place.size() == 1);
  CHECK(in_place[0].name == "%b");
  CHECK(report.work[2].flops == 16);
  CHECK(report.recomputed_ops == std::vector<bool>{false, false, true, false, false, false});
}

// @both gives %y and %s; @part gives %y alone, and runs before it: %z and what follows are made
// again.
TEST_CASE("what a recipe made before its kernel ran is known", "[report]") {
  Module module = parse_module(R"(module @m
kernel @both(%x: f32[16]) with {class="map"} {
  %y: f32[16] = tanh(%x)
  %s: f32[16] = exp(%x)
  return %y, %s
}
kernel @part(%x: f32[16]) with {class="map", gives=1, recipe_of="both", takes=[0]} {
  %y: f32[16] = tanh(%x)
  return %y
}
kernel @abs(%x: f32[16]) with {class="map"} {
  %y: f32[16] = abs(%x)
  return %y
}
kernel @mul(%a: f32[16], %b: f32[16]) with {class="map"} {
  %y: f32[16] = mul(%a, %b)
  return %y
}
entry @f(%x: f32[16]) arena 320 {
forward:
  %y: f32[16] @0 = call @part(%x)
  %z: f32[16] @64 = call @abs(%y)
  %z2: f32[16] @128 = call @abs(%z)
backward:
  %y.re: f32[16] @0 = call @part(%x)
  %z.re: f32[16] @64 = call @abs(%y.re)
  %y.re.1: f32[16] @0, %s: f32[16] @192 = call @both(%x)
  %z.re.1: f32[16] @64 = call @abs(%y.re.1)
  %y.re.2: f32[16] @0, %s.re: f32[16] @192 = call @both(%x)
  %z.re.2: f32[16] @64 = call @abs(%y.re.2)
  %p: f32[16] @256 = call @mul(%z.re.2, %s.re)
  %r: f32[16] @192 = call @mul(%p, %z2)
  return %r
}
)",
                               "t.ir");
  MemoryReport report = memory_report(module, module.function("f"), {.cpu = "znver4"});
  CHECK(report.recomputed_ops ==
        std::vector<bool>{true, false, false, true, true, false, true, true, true, false, false});
}

TEST_CASE("the report counts what the planner counted, after a round trip", "[report]") {
  for (uint32_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    Module module = random_entry(seed);
    Options options{.threads = 2};
    Problem problem = make_problem(module, entry_of(module), options);
    Usage usage = evaluate(problem, order_kernels(problem));
    Module planned = parse_module(print(plan(module, options)), "t.ir");
    MemoryReport report = memory_report(planned, entry_of(planned), options);
    CHECK(report.peak_bytes == usage.peak);
    // An entry that has a call twice counts as recomputing it.
    CHECK(report.forward.nanoseconds + report.backward.nanoseconds + report.update.nanoseconds +
              report.recomputed.nanoseconds ==
          usage.cost);
    CHECK(report.floor_bytes == kernel_floor(problem).bytes);
    for (size_t op = 0; op < report.live_bytes.size(); ++op) {
      int64_t held = 0;
      for (const Lifetime& holder : holders_at(report, static_cast<int>(op)))
        held += holder.bytes;
      CHECK(held == report.live_bytes[op]);
    }
  }
}
