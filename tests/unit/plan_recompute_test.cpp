#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <ctime>

#include "../support/exact_plan.h"
#include "../support/planning_entries.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/planner.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/report.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/verify.h"

using namespace gradc;
using namespace gradc_test;

namespace {

#ifdef NDEBUG
constexpr bool kOptimised = true;
#else
constexpr bool kOptimised = false;  // and maybe sanitized: too slow for limits in seconds
#endif

// Processor time, which other programs do not add to.
double seconds_since(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

}  // namespace

TEST_CASE("under a budget the same is computed, within it, and more bytes never cost time",
          "[recompute]") {
  int planned = 0, refused = 0, recomputing = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Module module = random_entry(seed);
    Outcome expected = run_entry(module);
    int64_t free = *entry_of(plan(module, {})).arena_bytes;
    double last_overhead = 1e9;
    int64_t floor = kernel_floor(make_problem(module, entry_of(module), {})).bytes;
    for (int percent : {0, 10, 20, 30, 40, 50, 60, 70, 85, 100}) {
      CAPTURE(seed, percent);
      Options options{.memory = floor + (free - floor) * percent / 100};
      try {
        Module fitted = plan(module, options);
        verify(fitted);
        CHECK(*entry_of(fitted).arena_bytes <= *options.memory);
        Outcome outcome = run_entry(fitted);
        for (size_t i = 0; i < expected.results.size(); ++i)
          CHECK(outcome.results[i].data == expected.results[i].data);
        MemoryReport report = memory_report(fitted, entry_of(fitted), options);
        CHECK(report.peak_bytes <= report.arena_bytes);
        CHECK(report.floor_bytes <= report.peak_bytes);
        CHECK(report.overhead() <= last_overhead);
        last_overhead = report.overhead();
        ++planned;
        recomputing += report.recomputed.nanoseconds > 0;
      } catch (const UserError& error) {
        CHECK(error.fault() == Fault::impossible_budget);
        CHECK(last_overhead == 1e9);
        ++refused;
      }
    }
  }
  CAPTURE(planned, recomputing, refused);
  CHECK(planned > 700);
  CHECK(recomputing > 350);
  CHECK(refused > 0);
}

TEST_CASE("deep chains are planned in no time", "[recompute]") {
  constexpr int64_t kElements = 1024, kBytes = 4 * kElements;
  // Kernels: one forward, two backward and one update a layer, and the loss.
  struct Chain {
    int layers;
    int64_t kept;  // of the layers' activations the budget has room for
    double overhead, seconds;
  };
  for (auto [layers, kept, overhead, seconds] :
       {Chain{64, 20, 0.18, 1}, Chain{64, 7, 0.76, 1}, Chain{1250, 400, 0.17, 10}}) {
    if (layers > 100 && !kOptimised)
      continue;
    CAPTURE(layers, kept);
    Module module = chain_entry(layers, kElements, true);
    Options options{.memory = kept * kBytes};
    std::clock_t start = std::clock();
    Module planned = plan(module, options);
    double elapsed = seconds_since(start);
    CHECK((elapsed < seconds || !kOptimised));
    CHECK(*entry_of(planned).arena_bytes <= *options.memory);
    CHECK(memory_report(planned, entry_of(planned), options).overhead() < overhead);
  }
}

TEST_CASE("an impossible budget is refused with what would do", "[recompute]") {
  Module module = chain_entry(16, 1024, true);
  auto error_of = [&](const Options& options) {
    try {
      plan(module, options);
    } catch (const UserError& error) {
      CHECK(error.fault() == Fault::impossible_budget);
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string least = "16384";
  CHECK(error_of({.memory = std::stoll(least)}) == "");
  std::string text = error_of({.memory = 8192});
  INFO(text);
  CHECK(text.starts_with("error: @train_step needs an arena of " + least +
                         " bytes, but 8192 are allowed\n"));
  CHECK(text.find("note: no plan can do with less than 12288 bytes, which @k0 giving %d.w16 needs") !=
        std::string::npos);
  CHECK(text.find("at the peak of that plan: %") != std::string::npos);
  CHECK(text.ends_with("help: allow --memory " + least));
  // With the state, the input and the loss.
  int64_t others = 16 * 4096 + 4096 + 64;
  CHECK(error_of({.memory_total = others + std::stoll(least)}) == "");
  text = error_of({.memory_total = others + 8192});
  INFO(text);
  CHECK(text.find("8192 are allowed\nnote: of --memory-total, state, inputs and outputs take " +
                  std::to_string(others)) != std::string::npos);
  CHECK(text.ends_with("help: allow --memory-total " + std::to_string(others + 16384)));
  CHECK(error_of({.memory_total = 100}).find("but 0 are allowed") != std::string::npos);
}

TEST_CASE("a rerun leaves results and state alone", "[recompute]") {
  // %y is an output, %mean a running statistic: the rerun for %h writes neither.
  Module module = parse_module(R"(module @m
buffer @mean: f32[16]
kernel @split(%x: f32[256]) with {class="map"} {
  %h: f32[256] = tanh(%x)
  %y: f32[256] = neg(%x)
  %rows: f32[16,16] = reshape(%x) {shape=[16,16]}
  %mean: f32[16] = reduce_sum(%rows) {axes=[1]}
  return %h, %y, %mean
}
kernel @big(%x: f32[256]) with {class="custom", workspace=3072} {
  %y: f32[256] = tanh(%x)
  return %y
}
kernel @add(%a: f32[256], %b: f32[256]) with {class="map"} {
  %y: f32[256] = add(%a, %b)
  return %y
}
entry @f(%x: f32[256]) {
forward:
  %h: f32[256], %y: f32[256], %mean: f32[16] = call @split(%x)
  %a: f32[256] = call @big(%x)
  %b: f32[256] = call @add(%a, %h)
backward:
  %c: f32[256] = call @big(%b)
  %z: f32[256] = call @add(%c, %h)
  return %y, %mean -> @mean, %z
}
)",
                               "t.ir");
  verify(module);
  Options options{.memory = 5 * 1024};
  Module planned = plan(module, options);
  const Function& entry = entry_of(planned);
  std::vector<bool> recomputed = recomputed_ops(module, entry);
  CHECK(std::count(recomputed.begin(), recomputed.end(), true) == 1);
  Outcome expected = run_entry(module), outcome = run_entry(planned);
  CHECK(outcome.results[2].data == expected.results[2].data);
  CHECK(outcome.state.at("mean").data == expected.state.at("mean").data);
}

TEST_CASE("inverses follow one another until they may have lost a thousandth", "[recompute]") {
  // y(i + 1) = leaky(y(i)), each of which the backward pass reads again.
  auto inverses = [](double growth) {
    constexpr int kLayers = 6;
    std::string text = R"(module @m
kernel @leaky(%x: f32[4096]) with {class="map"} {
forward:
  %y: f32[4096] = leaky_relu(%x) {slope=0.5}
  return %y
}
kernel @leaky_inverse(%y: f32[4096]) with {class="map", gives=0, growth=)" +
                       to_string(Attr(growth)) +
                       R"(, recipe_of="leaky", rounds=true, takes=[1]} {
forward:
  %x: f32[4096] = leaky_relu(%y) {slope=2.0}
  return %x
}
kernel @sum(%a: f32[4096], %b: f32[4096]) with {class="map"} {
backward:
  %c: f32[4096] = add(%a, %b)
  return %c
}
entry @train_step(%x: f32[4096]) {
forward:
  %y0: f32[4096] = call @leaky(%x)
)";
    for (int i = 0; i < kLayers; ++i)
      text += fmt::format("  %y{}: f32[4096] = call @leaky(%y{})\n", i + 1, i);
    text += "backward:\n  %d0: f32[4096] = call @sum(%y6, %y5)\n";
    for (int i = 0; i < 5; ++i)
      text += fmt::format("  %d{}: f32[4096] = call @sum(%d{}, %y{})\n", i + 1, i, 4 - i);
    text += "  return %d5\n}\n";
    Module module = parse_module(text, "t.ir");
    verify(module);
    return make_problem(module, module.function("train_step"), {}).recipes.size();
  };
  CHECK(inverses(1) == 6);
  // 64 (1 + 4 + 16 + 64) roundings of 16777: then a value of its own kernel, and on.
  CHECK(inverses(4) == 5);
  CHECK(inverses(1000) == 3);
}
