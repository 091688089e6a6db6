#include "compiler/passes/schedule.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/kernel.h"
#include "compiler/lower/contract_choices.h"
#include "compiler/lower/lower.h"
#include "compiler/passes/fuse.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "tests/support/contract_cases.h"

using namespace gradc;

namespace {

const Target kAvx512{.vector_bytes = 64, .vector_registers = 32};
const Target kAvx2{.vector_bytes = 32, .vector_registers = 16};

std::string product(int64_t m, int64_t n, int64_t k, bool b_transposed = false) {
  return fmt::format(
      "dot(f32[{},{}], f32[{},{}]) {{batch_a=[], batch_b=[], sum_a=[1], sum_b=[{}]}}", m, k,
      b_transposed ? n : k, b_transposed ? k : n, b_transposed ? 1 : 0);
}

ContractSchedule chosen(const std::string& example, const Target& target = kAvx512,
                        int threads = 1) {
  return choose_contract_schedule(test::contract_kernel(example), target, threads);
}

int64_t registers(const ContractSchedule& s) {
  return s.rows * s.vectors + s.vectors + 1;
}

}  // namespace

TEST_CASE("a schedule survives as attributes", "[schedule]") {
  for (const std::string& example : {product(1000, 300, 2000), product(64, 1, 100)}) {
    Function kernel = test::contract_kernel(example);
    ContractSchedule s = chosen(example);
    set_attributes(kernel, s);
    Function again = kernel;
    set_attributes(again, contract_schedule_of(kernel));
    CHECK(again.attrs == kernel.attrs);
  }
}

TEST_CASE("large products take the largest tile that stays in registers", "[schedule]") {
  ContractSchedule s = chosen(product(1024, 1024, 1024));
  CHECK(s.method == ContractMethod::panels);
  CHECK(s.rows == 6);
  CHECK(s.vectors == 4);
  s = chosen(product(1024, 1024, 1024), kAvx2);
  CHECK(s.rows == 6);
  CHECK(s.vectors == 2);
}

TEST_CASE("a fast third level cache gives rows again for the next panel", "[schedule]") {
  std::string example = product(1024, 1152, 384);
  CHECK(chosen(example).method == ContractMethod::panels);
  Target fast = kAvx512;
  fast.l3_line_cycles = 3;
  CHECK(chosen(example, fast).method == ContractMethod::tile);
  CHECK(chosen(product(1024, 1024, 1024), fast).method == ContractMethod::panels);
}

TEST_CASE("no tile needs more registers than there are", "[schedule]") {
  for (const auto& cases : {test::dot_cases(), test::convolution_cases()})
    for (const std::string& example : cases) {
      CAPTURE(example);
      CHECK(registers(chosen(example)) <= 30);
      CHECK(registers(chosen(example, kAvx2)) <= 16);
    }
}

TEST_CASE("long sums are cut into even passes", "[schedule]") {
  CHECK(chosen(product(64, 64, 1024)).blocks == std::vector<int64_t>{64, 64, 1024});
  CHECK(chosen(product(64, 64, 3000)).blocks == std::vector<int64_t>{64, 64, 1000});
}

TEST_CASE("sums of several passes wait in a result that can hold them", "[schedule]") {
  CHECK(chosen(product(200, 300, 3000)).sums_in == 0);
  CHECK(chosen(product(200, 300, 300)).sums_in == -1);  // one pass
  CHECK(chosen(product(64, 300, 3000, true)).sums_in == -1);  // vectors run down the columns
  Function kernel = test::contract_kernel(product(200, 300, 3000), test::Fused::epilogue);
  CHECK(choose_contract_schedule(kernel, kAvx512, 1).sums_in == 0);
  // Rather one that is in nobody's place; else that place is given up.
  kernel.attrs.set("inplace", std::vector<int64_t>{2, 0});
  CHECK(choose_contract_schedule(kernel, kAvx512, 1).sums_in == 0);
  CHECK(!test::scheduled(kernel, kAvx512, 1).attrs.has("inplace"));
  kernel.results.push_back({kernel.ops[0].result(), "sum", ""});
  CHECK(choose_contract_schedule(kernel, kAvx512, 1).sums_in == 1);
  CHECK(test::scheduled(kernel, kAvx512, 1).attrs.has("inplace"));
}

TEST_CASE("what has no vector along the result sums along lanes", "[schedule]") {
  CHECK(chosen(product(64, 1, 512)).method == ContractMethod::lanes);
  CHECK(chosen(product(1, 1, 512)).method == ContractMethod::lanes);
  CHECK(chosen(product(4, 10, 512, true)).method == ContractMethod::lanes);
  CHECK(chosen(product(1, 512, 512, true)).method == ContractMethod::lanes);
  CHECK(chosen(product(64, 64, 512, true)).method == ContractMethod::tile);
}

TEST_CASE("few columns share vectors", "[schedule]") {
  for (bool transposed : {false, true}) {
    CHECK(chosen(product(64, 10, 512, transposed)).method == ContractMethod::pairs);
    CHECK(chosen(product(64, 6, 512, transposed)).method == ContractMethod::pairs);
    CHECK(chosen(product(64, 16, 512, transposed)).method == ContractMethod::tile);
    CHECK(chosen(product(64, 10, 510, transposed)).method != ContractMethod::pairs);
  }
  CHECK(chosen(product(64, 10, 512, true), kAvx2).method == ContractMethod::lanes);
}

TEST_CASE("neither threads nor fused ops choose the method", "[schedule]") {
  for (const auto& cases : {test::dot_cases(), test::convolution_cases()})
    for (const std::string& example : cases) {
      CAPTURE(example);
      ContractMethod method = chosen(example).method;
      CHECK(chosen(example, kAvx512, 8).method == method);
      Function fused = test::contract_kernel(example, test::Fused::both);
      CHECK(choose_contract_schedule(fused, kAvx512, 1).method == method);
      Function kernel = test::contract_kernel(example);
      ContractLimits limits{.pass_elements = 64, .rows = 32, .result_rows = true};
      CHECK(choose_contract_schedule(kernel, kAvx512, 1, limits).method == method);
    }
}

TEST_CASE("limits make scratch smaller", "[schedule]") {
  Function kernel = test::contract_kernel(product(128, 512, 1000, true), test::Fused::epilogue);
  auto scratch = [&](const ContractLimits& limits) {
    Function scheduled = test::scheduled(kernel, kAvx512, 1, limits);
    return loop::space_bytes(lower(scheduled, kAvx512, 1), loop::Space::scratch);
  };
  // Vectors of 64 rows: b, sums of 512 columns, and 128 columns at a time for the epilogue.
  CHECK(scratch({}) == 4 * 64 * (1000 + 512 + 128));
  CHECK(scratch({.pass_elements = 250}) == 4 * 64 * (250 + 512 + 128));
  CHECK(scratch({.pass_elements = 250, .rows = 256}) == 4 * 64 * (250 + 256 + 128));
  // Vectors of 64 columns: sums are in the result.
  CHECK(scratch({.result_rows = true, .panels = false}) == 4 * 64 * 1000);
  CHECK(scratch({.pass_elements = 250, .result_rows = true, .panels = false}) == 4 * 64 * 250);
}

TEST_CASE("all threads together leave room for what a call reads and writes", "[schedule]") {
  Module module = parse_module(R"(module @m
param @w: f32[512,512]
entry @infer(%x: f32[256,512], %w: f32[512,512] = @w) {
  %a: f32[256,512] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %b: f32[256,512] = tanh(%a)
  %c: f32[256,512] = dot(%b, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %d: f32[256,512] = tanh(%c)
  %e: f32[256,512] = dot(%d, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %y: f32[256,512] = tanh(%e)
  return y=%y
}
)",
                               "m.ir");
  Options options;
  options.target = kAvx512;
  for (int threads : {1, 2, 4}) {
    options.threads = threads;
    Module after = schedule(fuse(module, options), options);
    REQUIRE(after.functions.size() == 2);  // one kernel for all
    CHECK(scratch_bytes(after.functions[0], threads) == (2 * 256 * 512 * 4) / 16);
  }
}

TEST_CASE("schedule writes what the plan needs to know", "[schedule]") {
  Module module{.name = "m"};
  module.functions.push_back(test::contract_kernel(product(64, 64, 3000, true)));
  Options options;
  options.target = kAvx512;
  Module after = schedule(module, options);
  const Function& kernel = after.functions[0];
  // b: 250 x 64 floats.
  CHECK(kernel.attrs.integer("scratch") == 250 * 64 * 4);
  CHECK(kernel.attrs.integer("workspace") == 0);
  CHECK(print(parse_module(print(after), "scheduled.ir")) == print(after));
}

TEST_CASE("a measured choice is one kernel's, on as many threads, if its scratch has room",
          "[schedule]") {
  Module module{.name = "m"};
  module.functions.push_back(test::contract_kernel(product(64, 512, 3000, true)));
  module.functions.push_back(test::contract_kernel(product(64, 512, 2000, true)));
  module.functions[1].name = "other";
  Options options;
  options.target = kAvx512;
  auto vectors = [&](size_t kernel) {
    return schedule(module, options).functions[kernel].attrs.integers("tile")[1];
  };
  REQUIRE(vectors(0) > 1);
  std::string key = tuning_key(module.functions[0], 1);
  options.tuned[key] = "one-vector";
  CHECK(vectors(0) == 1);
  CHECK(vectors(1) > 1);
  Module scheduled = schedule(module, options);
  check_scheduled_kernels(scheduled, options);
  CHECK(tuning_key(scheduled.functions[0], 1) == key);
  options.threads = 2;
  CHECK(vectors(0) > 1);
  options.threads = 1;
  options.tuned.clear();
  options.schedule_all = "one-vector";
  CHECK((vectors(0) == 1 && vectors(1) == 1));
}

TEST_CASE("measured choices have names of their own, and change something", "[schedule]") {
  std::vector<std::string> examples = {product(1024, 1024, 1024), product(128, 512, 784, true),
                                       product(512, 784, 3000), product(2000, 512, 512, true),
                                       // Panels of columns share the padded image.
                                       "conv(f32[2,9,9,64], f32[130,64,3,3]) {channels_last=true, "
                                       "dilation=[1,1], groups=1, high=[1,1], low=[1,1], "
                                       "stride=[1,1]}"};
  for (const ContractChoice& choice : contract_choices()) {
    CAPTURE(choice.name);
    CHECK(find_contract_choice(choice.name) == &choice);
    CHECK(std::ranges::any_of(examples, [&](const std::string& example) {
      Function kernel = test::contract_kernel(example);
      return !(test::scheduled(kernel, kAvx512, 1, choice.limits).attrs ==
               test::scheduled(kernel, kAvx512, 1).attrs);
    }));
  }
  CHECK(find_contract_choice("default") == nullptr);
}

TEST_CASE("a schedule is for one target and number of threads", "[schedule]") {
  Module module{.name = "m"};
  module.functions.push_back(test::contract_kernel(product(64, 64, 64)));
  Options options;
  options.target = kAvx512;
  check_schedule(module, options);  // not scheduled yet
  Module scheduled = schedule(module, options);
  check_schedule(scheduled, options);
  Options threads = options, target = options;
  threads.threads = 2;
  target.target = kAvx2;
  for (const Options& other : {threads, target})
    try {
      check_schedule(scheduled, other);
      FAIL("this schedule is for another machine");
    } catch (const UserError& error) {
      CHECK(error.fault() == Fault::command_line);
      CHECK(error.message().find("module @m is scheduled for {") == 0);
    }
}
