// What inference of the shipped examples takes, against what their most demanding layers do.
#include <catch2/catch.hpp>

#include "compiler/entries.h"
#include "compiler/plan/floor.h"
#include "ir/module.h"
#include "tests/support/examples.h"

using namespace gradc;
using namespace gradc::test;

namespace {

struct Inference {
  int64_t arena = 0, floor = 0;
};

const Target kAvx512{.cpu = "test", .vector_bytes = 64, .vector_registers = 32};
const Target kAvx2{.cpu = "test", .vector_bytes = 32, .vector_registers = 16};

Inference inference_of(const std::string& name, const Target& target, int threads,
                       const std::map<std::string, int64_t>& binds = {}) {
  Options options;
  options.target = target;
  options.threads = threads;
  options.binds = binds;
  Module imported = load_example(name, options);
  Module planned = compile(imported, options);
  return {*planned.function(kInfer).arena_bytes, floor_bytes(imported.function(kInfer))};
}

}  // namespace

TEST_CASE("inference of a deep net takes what its most demanding layer does", "[arena]") {
  for (const Target& target : {kAvx512, kAvx2})
    for (int threads : {1, 2, 4}) {
      CAPTURE(target.vector_bytes, threads);
      Inference shallow = inference_of("deep_mlp", target, threads, {{"layers", 16}});
      CHECK(shallow.floor == 1 << 20);  // [256,512] in, [256,512] out
      CHECK(shallow.arena * 10 <= shallow.floor * 11);
      for (int64_t layers : {64, 256}) {
        Inference deep = inference_of("deep_mlp", target, threads, {{"layers", layers}});
        CHECK(deep.arena == shallow.arena);
        CHECK(deep.floor == shallow.floor);
      }
    }
}

TEST_CASE("no arena of inference is below its floor without a reason", "[arena]") {
  const std::map<std::string, std::string> kReasons = {
      {"gpt", "a gelu's operand stays in registers of the product before it"},
      {"lenet", "a relu's operand stays in registers of the convolution before it"},
      {"lstm", "the bias of all steps is added to sums in registers"},
      {"mlp", "the images, which the first layer reads, are the caller's"},
      {"resnet18", "sums with a block's input are in that input's place"},
      {"resnet20", "sums with a block's input are in that input's place"},
      {"vanishing", "the images, which the first layer reads, are the caller's"},
  };
  for (const std::string& name : example_names()) {
    CAPTURE(name);
    Inference one = inference_of(name, kAvx512, 1), two = inference_of(name, kAvx512, 2);
    REQUIRE(one.floor > 0);
    CHECK(one.floor == two.floor);
    if (kReasons.contains(name))
      CHECK(std::min(one.arena, two.arena) < one.floor);
    else
      CHECK(std::min(one.arena, two.arena) >= one.floor);
  }
}
