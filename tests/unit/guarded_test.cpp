#include "runtime/guarded.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <csignal>
#include <cstring>
#include <vector>

#include "runtime/gradc_runtime.h"
#include "tests/support/toy_module.h"

using gradc::GuardedRegion;

namespace {

// True if writing one byte there kills a process with SIGSEGV.
bool faults(char* address) {
  pid_t child = fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);  // the test runner's and the sanitizers' handlers are not asked
    *static_cast<volatile char*>(address) = 1;
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

}  // namespace

TEST_CASE("a guarded region is aligned, poisoned, and faults where it ends", "[guarded]") {
  for (size_t bytes : {size_t{64}, size_t{1000}, size_t{4096}, size_t{10000}}) {
    GuardedRegion region(bytes);
    auto* data = static_cast<char*>(region.data());
    REQUIRE(data);
    CHECK(reinterpret_cast<uintptr_t>(data) % GRADC_ALIGNMENT == 0);
    CHECK(region.size() == bytes);
    size_t end = (bytes + GRADC_ALIGNMENT - 1) / GRADC_ALIGNMENT * GRADC_ALIGNMENT;
    CHECK(faults(data + end));
    CHECK_FALSE(faults(data + end - 1));

    float f32;
    double f64;
    std::memcpy(&f32, data, sizeof f32);
    std::memcpy(&f64, data, sizeof f64);
    CHECK(std::isnan(f32));
    CHECK(std::isnan(f64));
    std::memset(data, 0, bytes);
    CHECK(region.intact());
    region.poison();
    std::memcpy(&f32, data, sizeof f32);
    CHECK(std::isnan(f32));
  }
}

TEST_CASE("writes between a region and its guards are noticed", "[guarded]") {
  for (ptrdiff_t at : {ptrdiff_t{-1}, ptrdiff_t{1000}, ptrdiff_t{1023}}) {
    GuardedRegion region(1000);
    CHECK(region.intact());
    static_cast<char*>(region.data())[at] = 1;
    CHECK_FALSE(region.intact());
  }
}

TEST_CASE("an entry runs in a guarded arena", "[guarded]") {
  GuardedRegion arena(gradc_arena_bytes(&toy::module));
  gradc_memory memory = {nullptr, arena.data()};
  gradc_instance* instance = nullptr;
  REQUIRE(gradc_create(&toy::module, nullptr, &memory, &instance) == GRADC_OK);
  std::vector<float> x(toy::kElements, 1), y(toy::kElements);
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.data()};
  CHECK(gradc_run(instance, gradc_find_entry(&toy::module, "init"), nullptr, nullptr) == GRADC_OK);
  CHECK(gradc_run(instance, gradc_find_entry(&toy::module, "step"), inputs, outputs) == GRADC_OK);
  CHECK(y[5] == 4);
  CHECK(arena.intact());
  gradc_destroy(instance);
}
