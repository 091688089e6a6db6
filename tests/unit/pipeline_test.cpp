#include "compiler/pipeline.h"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "compiler/check.h"
#include "ir/diagnostic.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

TEST_CASE("every stage verifies, keeps the answer and prints text that reads back", "[pipeline]") {
  PipelineObserver observer;
  observer.check = true;
  Options options = training();
  options.health = true;
  std::vector<size_t> rows, wanted;
  for (size_t row = 0; row < passes().size(); ++row)
    if (has_work(passes()[row], options))
      wanted.push_back(row);
  observer.after_pass = [&](const PassRun& run) {
    INFO(run.pass.name);
    CHECK(print(parse_module(print(run.after), "dump.ir")) == print(run.after));
    rows.push_back(run.row);
    CHECK(run.seconds >= 0);
  };
  run_pipeline(parsed(kMlp), options, observer);
  CHECK(rows == wanted);
}

TEST_CASE("passes leave their input alone", "[pipeline]") {
  PipelineObserver observer;
  std::string before = print(parsed(kMlp));
  observer.after_pass = [&](const PassRun& run) {
    CHECK(print(run.before) == before);
    before = print(run.after);
  };
  run_pipeline(parsed(kMlp), training(), observer);
}

TEST_CASE("passes can be skipped and the pipeline stopped", "[pipeline]") {
  std::vector<std::string> names;
  PipelineObserver observer;
  observer.after_pass = [&](const PassRun& run) { names.emplace_back(run.pass.name); };
  observer.skip = {"simplify"};
  observer.stop_after = "optimizer";
  run_pipeline(parsed(kMlp), training(), observer);
  CHECK(names == std::vector<std::string>{"raise", "sink", "unroll", "autodiff", "optimizer"});

  observer.skip = {"optimiser"};
  CHECK_THROWS_WITH(
      run_pipeline(parsed(kMlp), training(), observer),
      Catch::StartsWith("error: there is no pass `optimiser`; did you mean `optimizer`?"));
}

TEST_CASE("passes run by name are watched like the pipeline's", "[pipeline]") {
  std::vector<std::string> names = {"unroll", "autodiff"}, seen;
  PipelineObserver observer;
  observer.check = true;
  observer.after_pass = [&](const PassRun& run) { seen.emplace_back(run.pass.name); };
  Module module = run_passes(parsed(kMlp), names, training(), observer);
  CHECK(seen == names);
  CHECK(passes_run(module) == names);
  CHECK(module.function("train_step").find_result("grad/w1"));
  names.emplace_back("fus");
  CHECK_THROWS_WITH(run_passes(parsed(kMlp), names, training(), observer),
                    Catch::StartsWith("error: there is no pass `fus`; did you mean `fuse`?"));
  CHECK(seen.size() == 2);  // the names are read before the first pass runs
}

TEST_CASE("a changed answer is found and named", "[pipeline]") {
  Module before = parsed(kMlp), after = before;
  CHECK_FALSE(first_difference(before, after));
  after.find_function("infer")->ops[2].code = Opcode::sub;
  auto difference = first_difference(before, after);
  REQUIRE(difference);
  CHECK(difference->find("result `y` of @infer: element 0 was ") == 0);
}

// With GRADC_RENEW=1 in the environment the file is written instead.
TEST_CASE("docs/passes.md is what the table says", "[docs]") {
  const char* path = GRADC_SOURCE_DIR "/docs/passes.md";
  if (std::getenv("GRADC_RENEW"))
    std::ofstream(path) << passes_markdown();
  std::ifstream file(path);
  REQUIRE(file.good());
  std::stringstream text;
  text << file.rdbuf();
  INFO("renew it with: GRADC_RENEW=1 build/release/bin/passes_test '[docs]'");
  CHECK(text.str() == passes_markdown());
  for (const Pass& pass : passes())
    CHECK(text.str().find("`" + std::string(pass.name) + "`") != std::string::npos);
}
