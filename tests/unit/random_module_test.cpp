#include "tests/support/random_module.h"

#include <catch2/catch.hpp>
#include <map>

#include "ir/op_def.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "tests/support/feed.h"
#include "tests/support/gradient.h"

using namespace gradc;
using namespace gradc::test;

namespace {

constexpr uint64_t kSeeds = 300;
constexpr double kTolerance = 1e-5;  // of differences

}  // namespace

TEST_CASE("random modules are valid, print back and repeat", "[random_module]") {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO("seed " << seed);
    RandomModule random = random_module(seed);
    verify(random.module);
    std::string text = print(random.module);
    CHECK(print(parse_module(text, "random.ir")) == text);
    if (seed % 10 == 0)
      CHECK(print(random_module(seed).module) == text);
  }
}

TEST_CASE("random modules contain every op", "[random_module]") {
  std::map<Opcode, int> counts;
  for (uint64_t seed = 0; seed < kSeeds; ++seed)
    for (Opcode code : random_module(seed).drawn)
      ++counts[code];
  std::string shown;
  for (Opcode code : all_opcodes()) {
    if (def(code).examples.empty())
      continue;
    INFO(def(code).name);
    CHECK(counts[code] >= 10);
    shown += fmt::format("{} {}\n", def(code).name, counts[code]);
  }
  SUCCEED("drawn in " << kSeeds << " modules:\n" << shown);
}

TEST_CASE("gradients of random modules agree with differences", "[random_module][gradient]") {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO("seed " << seed);
    // Differences do not stop where stop_gradient says.
    RandomModule random = random_module(seed, {.without = {Opcode::stop_gradient}});
    Feed feed(seed);
    CHECK(gradient_error(random.module.functions[0], random.arguments, feed) < kTolerance);
  }
}
