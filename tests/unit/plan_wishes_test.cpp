#include <catch2/catch.hpp>
#include <set>

#include "../support/planning_entries.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/report.h"
#include "compiler/plan/wishes.h"
#include "ir/diagnostic.h"

using namespace gradc;
using namespace gradc_test;
using Catch::Contains;

namespace {

std::string first_name(std::string name) {
  return name.substr(0, name.find(".re"));
}

// Names of what a planned module makes again.
std::set<std::string> made_again(const Module& module) {
  const Function& entry = entry_of(module);
  std::vector<bool> again = recomputed_ops(module, entry);
  std::set<std::string> names;
  for (size_t i = 0; i < entry.ops.size(); ++i)
    if (again[i])
      names.insert(first_name(entry[entry.ops[i].result()].name));
  return names;
}

// Names of what a step holds of the forward pass when its last kernel has run.
std::set<std::string> held_over_turn(const Module& module, const Options& options) {
  const Function& entry = entry_of(module);
  int last = 0;
  for (size_t i = 0; i < entry.ops.size(); ++i)
    if (entry.ops[i].phase == Phase::forward)
      last = static_cast<int>(i);
  std::set<std::string> names;
  for (const Lifetime& lifetime : memory_report(module, entry, options).lifetimes)
    if (lifetime.first <= last && lifetime.last > last && lifetime.value.valid())
      names.insert(entry[lifetime.value].name);
  return names;
}

std::string error_of(const Module& module, const Options& options, Fault fault) {
  try {
    plan(module, options);
  } catch (const UserError& error) {
    CHECK(error.fault() == fault);
    return error.what();
  }
  return "no error";
}

bool same_outcome(const Module& a, const Module& b) {
  Outcome first = run_entry(a), second = run_entry(b);
  for (size_t i = 0; i < first.results.size(); ++i)
    if (first.results[i].data != second.results[i].data)
      return false;
  for (const auto& [name, tensor] : first.state)
    if (tensor.data != second.state.at(name).data)
      return false;
  return true;
}

}  // namespace

TEST_CASE("what is to be kept is not made again, at a price", "[wishes]") {
  Module module = chain_entry(8, 1024, true);
  int64_t free = *entry_of(plan(module, {})).arena_bytes;
  Options options{.memory = free * 7 / 10};
  Module without = plan(module, options);
  for (const std::string& name : made_again(without)) {
    options.keep = {name};
    Module kept = plan(module, options);
    CHECK(made_again(kept).count(name) == 0);
    CHECK(*entry_of(kept).arena_bytes <= *options.memory);
    CHECK(memory_report(kept, entry_of(kept), options).overhead() >=
          memory_report(without, entry_of(without), options).overhead());
  }
  CHECK(made_again(without).size() > 1);
}

TEST_CASE("what is to be made again is not held from forward to backward", "[wishes]") {
  Module module = chain_entry(8, 1024, true);
  Module plain = plan(module, {});
  Options options{.recompute = {"h3", "%h[56]"}};
  Module again = plan(module, options);
  CHECK(made_again(again) == std::set<std::string>{"h3", "h5", "h6"});
  std::set<std::string> held = held_over_turn(again, options);
  CHECK(held == std::set<std::string>{"h1", "h2", "h4", "h7", "h8"});
  CHECK(*entry_of(again).arena_bytes < *entry_of(plain).arena_bytes);
  CHECK(same_outcome(plain, again));
  // The bound counts what is wished as well.
  double overhead = memory_report(again, entry_of(again), options).overhead();
  CHECK(overhead > 0);
  CHECK(least_overhead(module, entry_of(module), options, INT64_MAX) == Approx(overhead));
}

TEST_CASE("wishes and a budget hold together, to the same bits", "[wishes]") {
  int wished = 0;
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    Module module = random_entry(seed);
    Module plain = plan(module, {});
    Options options{.recompute = {"h[135]"}};
    try {
      check_wishes(module, options);
    } catch (const UserError&) {
      continue;  // nothing of that name is read in the backward pass
    }
    ++wished;
    Module again = plan(module, options);
    CHECK(same_outcome(plain, again));
    for (const std::string& name : held_over_turn(again, options)) {
      INFO("seed " << seed);
      CHECK_FALSE((name == "h1" || name == "h3" || name == "h5"));
    }
    options.keep = {"h2", "statistics*"};
    options.memory = *entry_of(again).arena_bytes * 9 / 10;
    try {
      Module within = plan(module, options);
      CHECK(*entry_of(within).arena_bytes <= *options.memory);
      CHECK(same_outcome(plain, within));
      CHECK(made_again(within).count("h2") == 0);
    } catch (const UserError& error) {
      CHECK((error.fault() == Fault::impossible_budget || error.fault() == Fault::command_line));
    }
  }
  CHECK(wished > 20);
}

TEST_CASE("patterns that cannot be granted are errors", "[wishes]") {
  Module module = chain_entry(4, 1024, true);
  CHECK_THAT(
      error_of(module, {.keep = {"hh2"}}, Fault::command_line),
      Contains("--keep: no value of the arena is named `hh2`") && Contains("did you mean `h2`"));
  CHECK_THAT(error_of(module, {.recompute = {"conv*"}}, Fault::command_line),
             Contains("--recompute: no value of the arena is named `conv*`") &&
                 Contains("--after schedule"));
  CHECK_THAT(error_of(module, {.recompute = {"d.h2"}}, Fault::command_line),
             Contains("--recompute d.h2: %d.h2 is not made in the forward pass"));
  CHECK_THAT(error_of(module, {.keep = {"h*"}, .recompute = {"h2"}}, Fault::command_line),
             Contains("%h2 is matched by --keep and by --recompute"));
}

TEST_CASE("a budget that only wishes make impossible says so", "[wishes]") {
  Module module = chain_entry(8, 1024, true);
  Options options{.memory = *entry_of(plan(module, {})).arena_bytes * 6 / 10};
  plan(module, options);
  options.keep = {"h*"};
  CHECK_THAT(error_of(module, options, Fault::impossible_budget),
             Contains("note: without --keep and --recompute, ") && Contains("bytes are the smallest"));
}

TEST_CASE("what the forward pass overwrites cannot be read again behind it", "[wishes]") {
  Module module;
  KernelMaker kernels(module);
  Type type{DType::f32, {256}};
  module.states.push_back({"mean", type, Role::buffer, {}, ""});
  Function entry;
  entry.name = "train_step";
  Builder b(entry);
  ValueId x = b.parameter(type, "x"), mean = b.parameter(type, "mean", "mean");
  std::vector<ValueId> both = kernels.call(
      b, {.operands = {256, 256}, .results = {256, 256}, .inplace = true}, {x, mean}, "y");
  KernelMaker::Spec one{.operands = {256}, .results = {256}};
  ValueId z = kernels.call(b, one, {both[0]}, "z")[0];
  b.phase = Phase::backward;
  KernelMaker::Spec two{.operands = {256, 256}, .results = {256}};
  b.result(kernels.call(b, two, {z, both[0]}, "d.y")[0], "gradient");
  b.result(both[1], "", "mean");
  module.functions.push_back(std::move(entry));
  CHECK_THAT(error_of(module, {.recompute = {"y"}}, Fault::command_line),
             Contains("which makes %y, reads state that the forward pass overwrites"));
  CHECK(made_again(plan(module, {.recompute = {"z"}})) == std::set<std::string>{"z"});
}
