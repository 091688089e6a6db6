#include <catch2/catch.hpp>

#include "../support/planning_entries.h"
#include "compiler/plan/cost.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/prices.h"

using namespace gradc;
using namespace gradc_test;

TEST_CASE("what is held over the peak has the price of making it again", "[prices]") {
  Options options{.cpu = "znver4"};
  Module module = plan(chain_entry(6, 1024, true), options);
  const Function& entry = entry_of(module);
  std::vector<HeldValue> held = held_over_peak(module, entry, options);
  REQUIRE(held.size() >= 3);
  for (size_t i = 0; i < held.size(); ++i) {
    const HeldValue& value = held[i];
    CAPTURE(entry[value.value].name);
    CHECK(value.bytes == 4096);
    CHECK(value.made_by < value.read_by);
    REQUIRE(value.price);
    // Its kernel runs again at least; of the others, those of earlier layers may have to.
    CHECK(*value.price >=
          cost_of_call(module, entry, entry.ops[value.made_by], cost_table(options.cpu)));
    if (i > 0)
      CHECK(value.price_per_byte() <= held[i - 1].price_per_byte());
  }
}

TEST_CASE("no kernels hold nothing", "[prices]") {
  Module module;
  Function& entry = module.functions.emplace_back();
  entry.kind = FunctionKind::entry;
  CHECK(held_over_peak(module, entry, {}).empty());
}
