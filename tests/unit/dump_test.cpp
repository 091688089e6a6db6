// What `gradc dump` writes of the shipped examples: every stage reads back to itself, and goes on
// to where the whole pipeline went.
#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/entries.h"
#include "compiler/lower/lower.h"
#include "ir/diagnostic.h"
#include "ir/loop_text.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "tests/support/examples.h"

using namespace gradc;
using namespace gradc::test;

namespace {

Options training_options() {
  Options options;
  options.train = true;
  options.threads = 2;
  options.target = {.cpu = "test", .vector_bytes = 64, .vector_registers = 32};
  return options;
}

// The text of a module, as dumped: from import to the last pass.
std::vector<std::string> stages_of(const Module& imported, const Options& options) {
  std::vector<std::string> texts = {print(imported)};
  PipelineObserver observer;
  observer.after_pass = [&](const PassRun& run) { texts.push_back(print(run.after)); };
  compile(imported, options, observer);
  return texts;
}

// Its text without the names of values, which are hints: where two are equal, the text appends a
// number, and a reader takes the number for a part of the name.
std::string without_names(Module module) {
  for (Function& function : module.functions)
    for (Value& value : function.values)
      value.name.clear();
  return print(module);
}

std::vector<loop::Kernel> loops_of(const Module& planned, const Options& options) {
  std::vector<loop::Kernel> kernels;
  for (const Function& function : planned.functions)
    if (function.kind == FunctionKind::kernel)
      kernels.push_back(lower(function, options.target, options.threads));
  return kernels;
}

// Every stage reads back to itself; returns their texts.
std::vector<std::string> check_round_trips(const Module& imported, const Options& options) {
  std::vector<std::string> stages = stages_of(imported, options);
  auto runs = [&](const Pass& pass) { return has_work(pass, options); };
  REQUIRE(stages.size() ==
          1 + static_cast<size_t>(std::count_if(passes().begin(), passes().end(), runs)));
  for (const std::string& text : stages)
    CHECK((print(parse_module(text, "stage.ir")) == text));
  std::string loops = print(loops_of(parse_module(stages.back(), "plan.ir"), options));
  CHECK((print(parse_loop_file(loops, "lower.loops")) == loops));
  return stages;
}

int64_t arena_of(const Module& module, const Options& options) {
  return *compile(module, options).function(kTrainStep).arena_bytes;
}

}  // namespace

TEST_CASE("every stage of every example reads back to itself", "[dump]") {
  REQUIRE(example_names().size() >= 9);
  for (const std::string& example : example_names()) {
    CAPTURE(example);
    Options options = training_options();
    check_round_trips(load_example(example, options), options);
  }
}

TEST_CASE("so does every stage of a plan that recomputes", "[dump]") {
  size_t budgets_kept = 0;
  for (const std::string& example : example_names()) {
    CAPTURE(example);
    Options options = training_options();
    options.binds = small_sizes(example);
    Module imported = load_example(example, options);
    options.memory = arena_of(imported, options) * 7 / 10;
    try {
      check_round_trips(imported, options);
      ++budgets_kept;
    } catch (const UserError& error) {
      REQUIRE(error.fault() == Fault::impossible_budget);
    }
  }
  CHECK(budgets_kept >= 3);
}

TEST_CASE("every stage of every example goes on to the same plan", "[dump]") {
  for (const std::string& example : example_names()) {
    CAPTURE(example);
    Options options = training_options();
    options.binds = small_sizes(example);
    std::vector<std::string> stages = check_round_trips(load_example(example, options), options);
    std::string planned = without_names(parse_module(stages.back(), "plan.ir"));
    for (size_t i = 0; i < stages.size(); ++i) {
      CAPTURE(i);
      Module read = parse_module(stages[i], "stage.ir");
      CHECK((without_names(compile(read, options)) == planned));
    }
  }
}
