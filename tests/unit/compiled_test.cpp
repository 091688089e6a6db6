// The pipeline behind a cache: the same modules, and others for other options.
#include "tools/compiled.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "compiler/codegen/target.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using gradc_test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

const char kModel[] = R"(module @m
param @w: f32[30,50]
entry @infer(%x: f32[40,50], %w: f32[30,50] = @w) {
  %y: f32[40,30] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %e: f32[40,30] = exp(%y)
  return %e
}
)";

Module model() {
  Module module = parse_module(kModel, "m.ir");
  std::vector<std::byte> bytes(module.states[0].type.bytes(), std::byte{7});
  module.states[0].content = SharedBytes(std::move(bytes));
  return module;
}

Options options_for(const std::string& cpu) {
  Options options;
  options.cpu = cpu;
  options.target = target_for(cpu);
  return options;
}

size_t files_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("a module that is kept is the one that passes make", "[compiled]") {
  TemporaryDirectory directory;
  std::string folder = directory.file("cache");
  Options options = options_for("x86-64-v3");
  Module fresh = compiled(model(), options, folder);
  REQUIRE(files_in(folder) == 1);
  Module kept = compiled(model(), options, folder);
  CHECK(files_in(folder) == 1);
  CHECK(print(kept) == print(fresh));
  CHECK(print(kept) == print(compile(model(), options)));
  REQUIRE(kept.states.size() == 2);  // the weight, and the same packed
  CHECK(kept.states[0].content.bytes.size() == 30 * 50 * 4);
  CHECK(kept.states[0].content.bytes[11] == std::byte{7});
}

TEST_CASE("other options are other entries", "[compiled]") {
  TemporaryDirectory directory;
  std::string folder = directory.file("cache");
  Options options = options_for("x86-64-v3");
  compiled(model(), options, folder);
  options.threads = 3;
  compiled(model(), options, folder);
  options.memory = 1 << 20;
  compiled(model(), options, folder);
  options.precision = DType::bf16;
  compiled(model(), options, folder);
  options.target = target_for("x86-64-v2");
  compiled(model(), options, folder);
  options.optimizer.clip_norm = 1;
  compiled(model(), options, folder);
  PipelineObserver early;
  early.stop_after = "fuse";
  CHECK(passes_run(compiled(model(), options, folder, early)).back() == "fuse");
  CHECK(files_in(folder) == 7);
}

TEST_CASE("passes run where they are watched, and where an entry is damaged", "[compiled]") {
  TemporaryDirectory directory;
  std::string folder = directory.file("cache");
  Options options = options_for("x86-64-v3");
  Module fresh = compiled(model(), options, folder);
  int seen = 0;
  PipelineObserver observer;
  observer.after_pass = [&](const PassRun&) { ++seen; };
  compiled(model(), options, folder, observer);
  CHECK(seen > 0);
  for (const fs::directory_entry& file : fs::directory_iterator(folder))
    fs::resize_file(file.path(), 100);
  CHECK(print(compiled(model(), options, folder)) == print(fresh));
  CHECK(print(compiled(model(), options, "")) == print(fresh));
  CHECK(files_in(folder) == 1);
}
