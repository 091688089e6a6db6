#include <catch2/catch.hpp>

#include "compiler/plan/checker.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/storage.h"
#include "compiler/plan/views.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/verify.h"
#include "tests/support/planning_entries.h"

using namespace gradc;
using namespace gradc_test;

namespace {

// h = tanh(x), of which kernels read rows: [0, 2), [1, 4) and [2, 3) of columns [8, 16).
const std::string kRows = R"(module @m
kernel @tanh(%x: f32[4,16]) with {class="map", inplace=[0,0]} {
  %y: f32[4,16] = tanh(%x)
  return %y
}
kernel @top(%x: f32[4,16]) with {class="map"} {
  %y: f32[2,16] = slice(%x) {begin=[0,0], end=[2,16], step=[1,1]}
  return %y
}
kernel @low(%x: f32[4,16]) with {class="map"} {
  %y: f32[3,16] = slice(%x) {begin=[1,0], end=[4,16], step=[1,1]}
  return %y
}
kernel @half(%x: f32[4,16]) with {class="map"} {
  %y: f32[4,8] = slice(%x) {begin=[0,8], end=[4,16], step=[1,1]}
  return %y
}
kernel @sum_2(%x: f32[2,16]) with {class="reduce", axes=[0,1], domain=[2,16]} {
  %y: f32[] = reduce_sum(%x) {axes=[0,1]}
  return %y
}
kernel @sum_3(%x: f32[3,16]) with {class="reduce", axes=[0,1], domain=[3,16]} {
  %y: f32[] = reduce_sum(%x) {axes=[0,1]}
  return %y
}
kernel @over(%x: f32[2,16]) with {class="map", inplace=[0,0]} {
  %y: f32[2,16] = exp(%x)
  return %y
}
)";

Module module_of(const std::string& entry) {
  Module module = parse_module(kRows + entry, "t.ir");
  verify(module);
  return module;
}

size_t slices(const Function& entry) {
  return static_cast<size_t>(
      std::ranges::count_if(entry.ops, [](const Op& op) { return op.code == Opcode::slice; }));
}

void check_same(const Module& module, const Module& planned) {
  Outcome expected = run_entry(module), found = run_entry(planned);
  REQUIRE(expected.results.size() == found.results.size());
  for (size_t i = 0; i < expected.results.size(); ++i)
    CHECK(expected.results[i].data == found.results[i].data);
}

}  // namespace

TEST_CASE("rows of a value are read where they lie", "[views]") {
  Module module = module_of(R"(entry @infer(%x: f32[4,16]) {
    %h: f32[4,16] = call @tanh(%x)
    %a: f32[2,16] = call @top(%h)
    %s: f32[] = call @sum_2(%a)
    %b: f32[3,16] = call @low(%h)
    %t: f32[] = call @sum_3(%b)
    return s=%s, t=%t
  })");
  Module planned = plan(module, Options{});
  const Function& entry = entry_of(planned);
  CHECK(slices(entry) == 2);
  CHECK(*entry.arena_bytes == 256);
  CHECK(planned.find_function("top") == nullptr);
  std::vector<Storage> storages = storage_of(planned, entry);
  for (const Op& op : entry.ops)
    if (op.code == Opcode::slice) {
      bool low = op.attrs.integers("begin")[0] == 1;
      CHECK(storages[op.result().index].offset ==
            storages[op.operand(0).index].offset + (low ? 64 : 0));
    }
  check_same(module, planned);
}

TEST_CASE("what is shown is not written over", "[views]") {
  // @over may have its operand's bytes, but these are rows of h, which is read again.
  Module module = module_of(R"(entry @infer(%x: f32[4,16]) {
    %h: f32[4,16] = call @tanh(%x)
    %a: f32[2,16] = call @top(%h)
    %e: f32[2,16] = call @over(%a)
    %b: f32[3,16] = call @low(%h)
    %t: f32[] = call @sum_3(%b)
    %s: f32[] = call @sum_2(%e)
    return s=%s, t=%t
  })");
  Module planned = plan(module, Options{});
  CHECK(slices(entry_of(planned)) == 2);
  check_same(module, planned);
  // A plan that does so is refused.
  for (Function& function : planned.functions)
    for (Op& op : function.ops)
      if (op.callee == "over")
        function[op.result()].offset = 64;
  CHECK_THROWS_WITH(check_memory(planned, entry_of(planned), 1, std::nullopt),
                    Catch::Contains("over"));
}

TEST_CASE("parts that do not lie side by side, or are little of a value, are copied", "[views]") {
  Module module = module_of(R"(entry @infer(%x: f32[4,16]) {
    %h: f32[4,16] = call @tanh(%x)
    %a: f32[4,8] = call @half(%h)
    return a=%a
  }
  entry @caller(%x: f32[4,16]) {
    %a: f32[2,16] = call @top(%x)
    %s: f32[] = call @sum_2(%a)
    return s=%s
  })");
  Module planned = plan(module, Options{});
  for (const Function& function : planned.functions)
    if (function.kind == FunctionKind::entry)
      CHECK(slices(function) == 0);
  Function entry = entry_of(module);
  Op slice = module.function("half").ops[0];
  slice.operands = {entry.ops[0].result()};
  slice.results = {entry.ops[1].result()};
  CHECK_THROWS_WITH(view_begin(entry, slice), Catch::Contains("do not lie side by side"));
}
