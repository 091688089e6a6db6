#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <cfenv>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "runtime/float_environment.h"
#include "runtime/gradc_runtime.h"
#include "tests/support/toy_module.h"

namespace {

struct Instance {
  gradc_pool* pool;
  gradc_instance* instance = nullptr;
  std::vector<float> x = std::vector<float>(toy::kElements), y = x;

  explicit Instance(int32_t threads, const gradc_memory* memory = nullptr)
      : pool(gradc_pool_create(threads)) {
    REQUIRE(gradc_create(&toy::module, pool, memory, &instance) == GRADC_OK);
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(i);
  }
  ~Instance() {
    gradc_destroy(instance);
    gradc_pool_destroy(pool);
  }
  gradc_status init() {
    return gradc_run(instance, gradc_find_entry(&toy::module, "init"), nullptr, nullptr);
  }
  gradc_status step() {
    const void* inputs[] = {x.data()};
    void* outputs[] = {y.data()};
    return gradc_run(instance, gradc_find_entry(&toy::module, "step"), inputs, outputs);
  }
  float* w() {
    return static_cast<float*>(gradc_state_data(instance, gradc_find_state(&toy::module, "w")));
  }
};

void check_outputs(const Instance& run, float added) {
  for (size_t i = 0; i < run.y.size(); ++i)
    REQUIRE(run.y[i] == 2 * static_cast<float>(i) * (static_cast<float>(i % 4 + 1) + added));
}

std::string error() {
  return gradc_last_error();
}

}  // namespace

TEST_CASE("an instance runs its entries and keeps its state", "[instance]") {
  for (int32_t threads : {1, 2, 4, 7}) {
    Instance run(threads);
    CHECK(std::all_of(run.w(), run.w() + 4, [](float w) { return w == 0; }));
    REQUIRE(run.init() == GRADC_OK);
    REQUIRE(run.step() == GRADC_OK);
    check_outputs(run, 0);
    REQUIRE(run.step() == GRADC_OK);
    check_outputs(run, 1);
    const gradc_tensor* steps = gradc_find_state(&toy::module, "steps");
    CHECK(*static_cast<int64_t*>(gradc_state_data(run.instance, steps)) == 2);
  }
}

TEST_CASE("instances of one module share nothing but the pool", "[instance]") {
  Instance first(2);
  gradc_instance* second = nullptr;
  REQUIRE(gradc_create(&toy::module, first.pool, nullptr, &second) == GRADC_OK);
  std::thread other([&] {
    std::vector<float> x(toy::kElements, 1), y(toy::kElements);
    const void* inputs[] = {x.data()};
    void* outputs[] = {y.data()};
    for (int i = 0; i < 500; ++i)
      gradc_run(second, gradc_find_entry(&toy::module, "step"), inputs, outputs);
  });
  first.init();
  for (int i = 0; i < 500; ++i) {
    first.step();
    check_outputs(first, static_cast<float>(i));
  }
  other.join();
  auto* w = static_cast<float*>(gradc_state_data(second, gradc_find_state(&toy::module, "w")));
  CHECK(w[0] == 500);
  gradc_destroy(second);
}

TEST_CASE("memory that the caller owns is used and left as it is", "[instance]") {
  alignas(64) static char state[192];
  alignas(64) static char arena[toy::kElements * 4];
  REQUIRE(gradc_arena_bytes(&toy::module) == sizeof arena);
  state[191] = 7;
  gradc_memory memory = {state, arena};
  {
    Instance run(1, &memory);
    CHECK(static_cast<void*>(run.w()) == state + 64);
    run.init();
    run.step();
    check_outputs(run, 0);
  }
  CHECK(state[191] == 7);
  CHECK(reinterpret_cast<float*>(state + 64)[0] == 2);

  gradc_memory crooked = {state, arena + 4};
  gradc_instance* instance = nullptr;
  CHECK(gradc_create(&toy::module, nullptr, &crooked, &instance) == GRADC_BAD_ARGUMENT);
  CHECK(error() == "gradc_create: arena is not aligned to 64 bytes");
  CHECK(instance == nullptr);
}

TEST_CASE("a module that cannot run here is refused", "[instance]") {
  gradc_instance* instance = nullptr;
  gradc_module module = toy::module;
  module.abi_version = 99;
  CHECK(gradc_create(&module, nullptr, nullptr, &instance) == GRADC_BAD_ABI);
  CHECK(error() == "module of ABI version 99, this runtime knows 2: build both alike");

  module = toy::module;
  module.cpu = "x86-64-v9";
  module.cpu_features = "avx8192";
  CHECK(gradc_create(&module, nullptr, nullptr, &instance) == GRADC_BAD_CPU);
  CHECK(error() ==
        "model `toy` is compiled for x86-64-v9, this CPU lacks `avx8192`: compile for this CPU");

  module = toy::module;
  module.state_bytes = UINT64_MAX / 2;
  CHECK(gradc_create(&module, nullptr, nullptr, &instance) == GRADC_OUT_OF_MEMORY);
  CHECK(gradc_create(nullptr, nullptr, nullptr, &instance) == GRADC_BAD_ARGUMENT);
  CHECK(gradc_create(&module, nullptr, nullptr, nullptr) == GRADC_BAD_ARGUMENT);
  CHECK(instance == nullptr);
}

TEST_CASE("bad calls are errors with names", "[instance]") {
  Instance run(1);
  const gradc_entry* step = gradc_find_entry(&toy::module, "step");
  CHECK(gradc_find_entry(&toy::module, "predict") == nullptr);
  CHECK(gradc_find_state(&toy::module, "b") == nullptr);
  CHECK(gradc_run(run.instance, nullptr, nullptr, nullptr) == GRADC_BAD_ARGUMENT);
  CHECK(gradc_run(run.instance, step, nullptr, nullptr) == GRADC_BAD_ARGUMENT);
  CHECK(error() == "entry `step` has 1 inputs, the call gives none");
  const void* inputs[] = {run.x.data()};
  void* outputs[] = {nullptr};
  CHECK(gradc_run(run.instance, step, inputs, outputs) == GRADC_BAD_ARGUMENT);
  CHECK(error() == "output `y` of entry `step` is a null pointer");
  gradc_entry stranger = *step;
  CHECK(gradc_run(run.instance, &stranger, inputs, outputs) == GRADC_BAD_ARGUMENT);
  CHECK(error() == "gradc_run: entry `step` is not of model `toy`");
}

TEST_CASE("every status has a text", "[instance]") {
  for (int status = GRADC_OK; status <= GRADC_BAD_FILE; ++status)
    CHECK(std::string(gradc_status_text(static_cast<gradc_status>(status))) != "unknown status");
}

TEST_CASE("a pool of the caller's own, however it deals out the indices", "[instance]") {
  // Backwards, one index a thread, workers' numbers beyond the module's limit.
  gradc_parallel_for backwards = [](void*, int64_t count, gradc_body body, void* data) {
    std::vector<std::thread> threads;
    for (int64_t i = count - 1; i >= 0; --i)
      threads.emplace_back([=] { body(data, i, i + 1, 1000); });
    for (std::thread& thread : threads)
      thread.join();
  };
  Instance run(1);
  gradc_set_parallel_for(run.instance, backwards, nullptr, 64);
  run.init();
  run.step();
  check_outputs(run, 0);
  gradc_set_parallel_for(run.instance, nullptr, nullptr, 0);
  run.step();
  check_outputs(run, 1);
}

namespace {

// An entry that records the floating-point mode on every worker, and numbers beyond the context's
// threads.
std::atomic<int64_t> strayed, iterations_seen;

void record_mode(const gradc_context* context, const void* const*, void* const*) {
  struct Data {
    int32_t threads;
  } data{context->threads};
  context->parallel_for(
      context->pool, 1000,
      [](void* raw, int64_t begin, int64_t end, int32_t worker) {
        constexpr auto kSticky =
            static_cast<gradc::FloatMode>(0x3f);  // flags that earlier work raised
        if ((gradc::float_mode() & ~kSticky) != gradc::kStrictMode)
          ++strayed;
        if (worker < 0 || worker >= static_cast<Data*>(raw)->threads)
          ++strayed;
        iterations_seen += end - begin;
      },
      &data);
}

}  // namespace

TEST_CASE("kernels run in strict floating-point mode, at most max_threads of them", "[instance]") {
  gradc_entry entry = {"record", record_mode, nullptr, nullptr, 0, 0, 0};
  gradc_module module = {GRADC_ABI_VERSION, 2, "modes", "0", "any", "", nullptr, &entry, 0, 1, 0};
#if defined(__x86_64__)
  constexpr gradc::FloatMode kFastMode = 0x1f80 | 0x8040 | 0x6000;  // FTZ, DAZ, round to zero
#else
  constexpr gradc::FloatMode kFastMode = 0x01c00000;  // FZ, round to zero
#endif
  gradc::FloatMode before = gradc::float_mode();
  gradc::set_float_mode(kFastMode);
  gradc_pool* pool = gradc_pool_create(3);  // its threads start in the fast mode
  gradc_instance* instance = nullptr;
  gradc_status created = gradc_create(&module, pool, nullptr, &instance);
  strayed = iterations_seen = 0;
  gradc_status ran = gradc_run(instance, &entry, nullptr, nullptr);
  gradc_parallel_for threads = [](void*, int64_t count, gradc_body body, void* data) {
    std::thread other([=] {
      gradc::set_float_mode(kFastMode);
      body(data, 1, count, 5);
    });
    body(data, 0, 1, 6);
    other.join();
  };
  gradc_set_parallel_for(instance, threads, nullptr, 9);
  gradc_status ran_foreign = gradc_run(instance, &entry, nullptr, nullptr);
  gradc::FloatMode after = gradc::float_mode();
  gradc::set_float_mode(before);
  gradc_destroy(instance);
  gradc_pool_destroy(pool);

  CHECK(created == GRADC_OK);
  CHECK(ran == GRADC_OK);
  CHECK(ran_foreign == GRADC_OK);
  CHECK(strayed == 0);
  CHECK(iterations_seen == 2000);
  CHECK((after & ~gradc::FloatMode{0x3f}) == (kFastMode & ~gradc::FloatMode{0x3f}));
}

namespace {

// derived = 2 * w by "prepare"; "read" gives it, "init" makes w = 3.
int prepared = 0;
constexpr gradc_tensor kDerivedState[] = {
    {"w", nullptr, 0, GRADC_F32, GRADC_PARAMETER, 0, 0, 4},
    {"w.packed", nullptr, 0, GRADC_F32, GRADC_DERIVED, 0, 64, 4},
};
constexpr gradc_tensor kRead[] = {{"y", nullptr, 0, GRADC_F32, 0, 0, 0, 4}};

float& at(const gradc_context* context, size_t offset) {
  return *reinterpret_cast<float*>(static_cast<char*>(context->state) + offset);
}

constexpr gradc_entry kDerivedEntries[] = {
    {"init", [](const gradc_context* c, const void* const*, void* const*) { at(c, 0) = 3; },
     nullptr, nullptr, 0, 0, 0},
    {"read",
     [](const gradc_context* c, const void* const*, void* const* outputs) {
       *static_cast<float*>(outputs[0]) = at(c, 64);
       if (c->mark)
         c->mark(c->mark_data, 0);
     },
     nullptr, kRead, 0, 1, 0},
    {"prepare",
     [](const gradc_context* c, const void* const*, void* const*) {
       at(c, 64) = 2 * at(c, 0);
       ++prepared;
       if (c->mark)
         c->mark(c->mark_data, 0);
     },
     nullptr, nullptr, 0, 0, 0},
};
constexpr gradc_module kDerivedModule = {
    GRADC_ABI_VERSION, 1, "derived", "0", "any", "", kDerivedState, kDerivedEntries, 2, 3, 128};

}  // namespace

TEST_CASE("what is derived from the state is made before the first run after a change",
          "[instance]") {
  gradc_instance* instance = nullptr;
  REQUIRE(gradc_create(&kDerivedModule, nullptr, nullptr, &instance) == GRADC_OK);
  prepared = 0;
  float y = 0;
  auto read = [&] {
    void* outputs[] = {&y};
    return gradc_run(instance, &kDerivedEntries[1], nullptr, outputs);
  };
  REQUIRE(gradc_run(instance, &kDerivedEntries[0], nullptr, nullptr) == GRADC_OK);
  CHECK(prepared == 0);
  int marks = 0;
  gradc_set_mark(instance, [](void* data, uint32_t) { ++*static_cast<int*>(data); }, &marks);
  REQUIRE(read() == GRADC_OK);
  REQUIRE(read() == GRADC_OK);
  CHECK(y == 6);
  CHECK(prepared == 1);
  CHECK(marks == 2);  // a clock sees the entry that it was set for

  auto* w = static_cast<float*>(gradc_state_data(instance, &kDerivedState[0]));
  *w = 5;
  REQUIRE(read() == GRADC_OK);
  CHECK(y == 10);
  REQUIRE(gradc_run(instance, &kDerivedEntries[0], nullptr, nullptr) == GRADC_OK);
  REQUIRE(read() == GRADC_OK);
  CHECK(y == 6);
  CHECK(prepared == 3);
#ifndef NDEBUG
  *w = 7;
  CHECK(read() == GRADC_BAD_ARGUMENT);
  CHECK(error() ==
        "gradc_run: the state of model `derived` was written through a pointer from before its "
        "last run: call gradc_state_data again");
#endif
  gradc_destroy(instance);
}
