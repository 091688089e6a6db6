// A compiled training step allocates nothing, from the first one on.
#include <catch2/catch.hpp>

#include "compiler/entries.h"
#include "tests/support/allocation_count.h"
#include "tests/support/compiled_model.h"
#include "tests/support/examples.h"

using namespace gradc;
using namespace gradc::test;

TEST_CASE("a step of a compiled model allocates nothing, on two threads", "[no_malloc]") {
  constexpr int kThreads = 2, kSteps = 20;
  for (std::string example : {"mlp", "lenet", "lstm", "gpt"}) {
    CAPTURE(example);
    Options options = native_training(kThreads);
    options.binds = small_sizes(example);
    Module planned = compile(load_example(example, options), options);
    JitModule code(planned, {options.target, kThreads, planned.name, "none"});
    Pool pool(gradc_pool_create(kThreads));
    gradc_instance* instance = nullptr;
    REQUIRE(gradc_create(code.get(), pool.get(), nullptr, &instance) == GRADC_OK);
    for (std::string_view name : {kInit, kTrainStep, kInfer}) {
      const gradc_entry& entry = entry_of(*code.get(), name);
      EntryBuffers buffers(entry, 1);
      buffers.set_scalar(kSeed, 1);
      bool ran = true;
      int64_t before = gradc_test::allocations();
      REQUIRE(before > 0);  // the compiler's own are counted
      for (int i = 0; i < kSteps; ++i)
        ran = ran && gradc_run(instance, &entry, buffers.inputs(), buffers.outputs()) == GRADC_OK;
      int64_t seen = gradc_test::allocations() - before;
      CHECK(ran);
      CHECK(seen == 0);
    }
    gradc_destroy(instance);
  }
}
