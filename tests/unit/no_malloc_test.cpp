// A step allocates nothing: malloc is interposed and counted while entries run.
#include <catch2/catch.hpp>
#include <cstdlib>
#include <memory>
#include <vector>

#include "runtime/gradc_runtime.h"
#include "tests/support/allocation_count.h"
#include "tests/support/toy_module.h"

namespace {

// What `runs` runs of an entry allocate, all threads together.
int64_t allocations_of(gradc_instance* instance, const gradc_entry& entry, int runs) {
  auto make_buffers = [](const gradc_tensor* tensors, uint32_t count) {
    std::vector<std::unique_ptr<void, decltype(&std::free)>> buffers;
    for (uint32_t i = 0; i < count; ++i)
      buffers.emplace_back(std::calloc(1, tensors[i].bytes + 1), std::free);
    return buffers;
  };
  auto inputs = make_buffers(entry.inputs, entry.input_count);
  auto outputs = make_buffers(entry.outputs, entry.output_count);
  std::vector<const void*> input_pointers;
  std::vector<void*> output_pointers;
  for (const auto& input : inputs)
    input_pointers.push_back(input.get());
  for (const auto& output : outputs)
    output_pointers.push_back(output.get());

  int64_t before = gradc_test::allocations();
  for (int i = 0; i < runs; ++i)
    if (gradc_run(instance, &entry, input_pointers.data(), output_pointers.data()) != GRADC_OK)
      return -1;
  return gradc_test::allocations() - before;
}

}  // namespace

TEST_CASE("the counter sees malloc, operator new and aligned allocations", "[no_malloc]") {
  int64_t before = gradc_test::allocations();
  void* volatile plain = std::malloc(10);
  void* volatile aligned = std::aligned_alloc(64, 128);
  int* volatile made = new int(3);
  int64_t seen = gradc_test::allocations() - before;
  std::free(plain);
  std::free(aligned);
  delete made;
  CHECK(seen == 3);
}

TEST_CASE("a step allocates nothing, on one thread or two", "[no_malloc]") {
  for (int32_t threads : {1, 2}) {
    gradc_pool* pool = gradc_pool_create(threads);
    gradc_instance* instance = nullptr;
    REQUIRE(gradc_create(&toy::module, pool, nullptr, &instance) == GRADC_OK);
    for (uint32_t i = 0; i < toy::module.entry_count; ++i)
      CHECK(allocations_of(instance, toy::module.entries[i], 200) == 0);
    gradc_destroy(instance);
    gradc_pool_destroy(pool);
  }
}
