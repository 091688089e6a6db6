#include <catch2/catch.hpp>

#include "compiler/plan/checker.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"

using namespace gradc;

namespace {

// The kernels of the plans below; vectors are 64 bytes, what @widen gives is 128.
const std::string kHeader = R"(module @m
param @w: f32[16]
param @u: f32[16]
kernel @tanh(%x: f32[16]) with {class="map", inplace=[0,0]} {
  %y: f32[16] = tanh(%x)
  return %y
}
kernel @apart(%x: f32[16]) with {class="map"} {
  %y: f32[16] = tanh(%x)
  return %y
}
kernel @add(%a: f32[16], %b: f32[16]) with {class="map", inplace=[0,0]} {
  %y: f32[16] = add(%a, %b)
  return %y
}
kernel @both(%x: f32[16]) with {class="map"} {
  %y: f32[16] = tanh(%x)
  %z: f32[16] = neg(%x)
  return %y, %z
}
kernel @widen(%x: f32[16]) with {class="map", inplace=[0,0]} {
  %y: f32[2,16] = broadcast(%x) {axes=[1], shape=[2,16]}
  return %y
}
kernel @fold(%x: f32[2,16]) with {class="reduce"} {
  %y: f32[16] = reduce_sum(%x) {axes=[0]}
  return %y
}
kernel @add_back(%y: f32[16], %b: f32[16]) with {class="map", gives=0, recipe_of="add", rounds=true, takes=[2,1]} {
  %a: f32[16] = sub(%y, %b)
  return %a
}
kernel @both_neg(%x: f32[16]) with {class="map", gives=2, recipe_of="both", takes=[0]} {
  %z: f32[16] = neg(%x)
  return %z
}
kernel @heavy(%x: f32[16]) with {class="custom", scratch=64, workspace=128} {
  %y: f32[16] = tanh(%x)
  return %y
}
)";

// An entry with inputs %x, %w and %u, the last two bound.
Module entry(const std::string& ops, const std::string& arena = "arena 512") {
  return parse_module(kHeader + "entry @f(%x: f32[16], %w: f32[16] = @w, %u: f32[16] = @u) " +
                          arena + " {\n" + ops + "}\n",
                      "t.ir");
}

template <typename Check>
std::string error_of(Check check) {
  try {
    check();
  } catch (const UserError& error) {
    return error.message();
  }
  return "";
}

// What is wrong with a plan for two threads under a budget of 1024 bytes; "" if nothing is.
std::string memory_error(const std::string& ops, const std::string& arena = "arena 512") {
  Module module = entry(ops, arena);
  return error_of([&] { check_memory(module, module.function("f"), 2, 1024); });
}

std::string computation_error(const std::string& original, const std::string& planned,
                              bool rounding = false) {
  Module a = entry(original), b = entry(planned);
  return error_of([&] { check_computation(a, a.function("f"), b.function("f"), rounding); });
}

}  // namespace

TEST_CASE("right plans pass", "[checker]") {
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[16] @0 = call @tanh(%a)
    %v: f32[4,4] = reshape(%b) {shape=[4,4]}
    %flat: f32[16] = reshape(%v) {shape=[16]}
    %c: f32[16] @64 = call @heavy(%flat) {scratch_at=128}
    %a.re: f32[16] @128 = call @tanh(%x)
    %d: f32[16] @64 = call @add(%c, %a.re)
    %y: f32[16] = call @add(%d, %w)
    %next: f32[16] = call @add(%w, %d)
    %e: f32[16] @0 = call @tanh(%next)
    %z: f32[16] = call @tanh(%e)
    return %y, %next -> @w, %z )") == "");
}

TEST_CASE("a value that is gone is not read", "[checker]") {
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[16] @0 = call @tanh(%x)
    %y: f32[16] = call @add(%a, %b)
    return %y )") == "@f: @add reads %a, but its bytes hold %b");
  CHECK(memory_error(R"(
    %a: f32[2,16] @0 = call @widen(%x)
    %b: f32[16] @64 = call @tanh(%x)
    %y: f32[16] = call @fold(%a)
    %z: f32[16] = call @tanh(%b)
    return %y, %z )") == "@f: @fold reads %a, but its bytes hold %b");
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %v: f32[4,4] = reshape(%a) {shape=[4,4]}
    %b: f32[16] @0 = call @tanh(%a)
    %flat: f32[16] = reshape(%v) {shape=[16]}
    %y: f32[16] = call @add(%flat, %b)
    return %y )") == "@f: @add reads %flat, but its bytes hold %b");
  // A recomputed copy in the place of a value that is still needed.
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[16] @64 = call @apart(%a)
    %a.re: f32[16] @64 = call @tanh(%x)
    %y: f32[16] = call @add(%b, %a.re)
    return %y )") == "@f: @add reads %b, but its bytes hold %a.re");
  // Overwritten in place, then read again.
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[16] @0 = call @tanh(%a)
    %y: f32[16] = call @add(%b, %a)
    return %y )") == "@f: @add reads %a, but its bytes hold %b");
}

TEST_CASE("old state is not read after the new one is stored", "[checker]") {
  CHECK(memory_error(R"(
    %next: f32[16] = call @add(%w, %x)
    %y: f32[16] = call @tanh(%w)
    return %next -> @w, %y )") == "@f: @tanh reads %w of state @w after %next was stored there");
  // A view of the old parameter is the old parameter.
  CHECK(memory_error(R"(
    %v: f32[4,4] = reshape(%w) {shape=[4,4]}
    %flat: f32[16] = reshape(%v) {shape=[16]}
    %next: f32[16] = call @add(%w, %x)
    %y: f32[16] = call @tanh(%flat)
    return %next -> @w, %y )") == "@f: @tanh reads %flat of state @w after %next was stored there");
  // The forward kernel runs again after its parameter's update.
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @add(%x, %w)
    %g: f32[16] @0 = call @tanh(%a)
    %next: f32[16] = call @add(%w, %g)
    %a.re: f32[16] @0 = call @add(%x, %w)
    %y: f32[16] = call @tanh(%a.re)
    return %next -> @w, %y )") == "@f: @add reads %w of state @w after %next was stored there");
  // So does the update itself, beside the state.
  CHECK(memory_error(R"(
    %next: f32[16] = call @add(%w, %x)
    %next.re: f32[16] @0 = call @add(%w, %x)
    %y: f32[16] = call @tanh(%next.re)
    return %next -> @w, %y )") == "@f: @add reads %w of state @w after %next was stored there");
}

TEST_CASE("scratch keeps off values", "[checker]") {
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[16] @64 = call @heavy(%x) {scratch_at=128}
    %c: f32[16] @128 = call @heavy(%b) {scratch_at=192}
    %d: f32[16] @192 = call @heavy(%x) {scratch_at=256}
    %e: f32[16] @64 = call @heavy(%d) {scratch_at=256}
    %y: f32[16] = call @heavy(%e) {scratch_at=0}
    %z: f32[16] = call @add(%c, %a)
    return %y, %z )") == "@f: the scratch of @heavy overlaps its own %e");
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %y: f32[16] = call @heavy(%x) {scratch_at=0}
    %z: f32[16] = call @tanh(%a)
    return %y, %z )") == "@f: @tanh reads %a, but its bytes hold scratch of @heavy");
  CHECK(memory_error(R"(
    %a: f32[16] @192 = call @heavy(%x) {scratch_at=0}
    %y: f32[16] = call @tanh(%a)
    return %y )") == "@f: the scratch of @heavy overlaps its own %a");
  CHECK(memory_error(R"(
    %y: f32[16] = call @heavy(%x)
    return %y )") == "@f: @heavy needs 256 bytes of scratch and has no place for them");
  CHECK(memory_error(R"(
    %y: f32[16] = call @heavy(%x) {scratch_at=32}
    return %y )") == "@f: the scratch of @heavy at offset 32 is not aligned to 64");
  CHECK(memory_error(R"(
    %y: f32[16] = call @heavy(%x) {scratch_at=320}
    return %y )") == "@f: the scratch of @heavy takes bytes 320 to 576 of an arena of 512");
}

TEST_CASE("results share bytes only where the kernel allows", "[checker]") {
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[16] @0 = call @apart(%a)
    %y: f32[16] = call @tanh(%b)
    return %y )") == "@f: %b overwrites operand %a of @apart, whose `inplace` does not allow it");
  // @add may overwrite operand 0, but here operand 1 is there too.
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[16] @0 = call @add(%a, %a)
    %y: f32[16] = call @tanh(%b)
    return %y )") == "@f: %b overwrites operand %a of @add, whose `inplace` does not allow it");
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[2,16] @0 = call @widen(%a)
    %y: f32[16] = call @fold(%b)
    return %y )") == "@f: %b is not at the same bytes as %a, which @widen overwrites");
  CHECK(memory_error(R"(
    %a: f32[16] @64 = call @tanh(%x)
    %b: f32[2,16] @0 = call @widen(%a)
    %y: f32[16] = call @fold(%b)
    return %y )") == "@f: %b is not at the same bytes as %a, which @widen overwrites");
  CHECK(memory_error(R"(
    %a: f32[16] @0, %b: f32[16] @0 = call @both(%x)
    %y: f32[16] = call @tanh(%b)
    return %y )") == "@f: results %a and %b of @both overlap");
  // An update that may not be done in place.
  CHECK(memory_error(R"(
    %next: f32[16] = call @apart(%w)
    return %next -> @w )") ==
        "@f: %next overwrites operand %w of @apart, whose `inplace` does not allow it");
}

TEST_CASE("every value has a place in the arena", "[checker]") {
  const std::string at = R"( = call @tanh(%x)
    %y: f32[16] = call @tanh(%a)
    return %y )";
  CHECK(memory_error("%a: f32[16]" + at) == "@f: %a has no place in the arena");
  CHECK(memory_error("%a: f32[16] @32" + at) == "@f: %a at offset 32 is not aligned to 64");
  CHECK(memory_error("%a: f32[16] @-64" + at) == "@f: %a takes bytes -64 to 0 of an arena of 512");
  CHECK(memory_error("%a: f32[16] @512" + at) ==
        "@f: %a takes bytes 512 to 576 of an arena of 512");
  CHECK(memory_error("%a: f32[16] @0" + at, "") == "@f: the entry has no arena; run `plan` first");
  CHECK(memory_error("%a: f32[16] @0" + at, "arena 1088") ==
        "@f: the arena of 1088 bytes is above the budget of 1024");
  CHECK(memory_error("%y: f32[16] @0 = call @tanh(%x)\n return %y ") ==
        "@f: %y lives in the region `output`, but has the arena offset 0");
  CHECK(memory_error(R"(
    %a: f32[16] @0 = call @tanh(%x)
    %v: f32[4,4] @0 = reshape(%a) {shape=[4,4]}
    %flat: f32[16] = reshape(%v) {shape=[16]}
    %y: f32[16] = call @tanh(%flat)
    return %y )") == "@f: %v is a view, which has its operand's place and no offset");
}

TEST_CASE("a plan computes what the entry does, each update once", "[checker]") {
  const std::string original = R"(
    %a: f32[16] = call @tanh(%x)
    %b: f32[16] = call @add(%a, %w)
    %y: f32[16] = call @tanh(%b)
    %next: f32[16] = call @add(%w, %b)
    return out=%y, %next -> @w )";
  CHECK(computation_error(original, R"(
    %a: f32[16] @0 = call @tanh(%x)
    %b: f32[16] @64 = call @add(%a, %w)
    %y: f32[16] = call @tanh(%b)
    %a.re: f32[16] @0 = call @tanh(%x)
    %b.re: f32[16] @64 = call @add(%a.re, %w)
    %next: f32[16] = call @add(%w, %b.re)
    return out=%y, %next -> @w )") == "");
  CHECK(computation_error(original, R"(
    %a: f32[16] = call @tanh(%x)
    %b: f32[16] = call @add(%a, %w)
    %y: f32[16] = call @tanh(%b)
    return out=%y )") == "@f: @add giving %next never runs");
  // A copy that reads something else.
  CHECK(computation_error(original, R"(
    %a: f32[16] = call @tanh(%x)
    %b: f32[16] = call @add(%a, %w)
    %y: f32[16] = call @tanh(%b)
    %b.re: f32[16] = call @add(%a, %u)
    %next: f32[16] = call @add(%w, %b.re)
    return out=%y, %next -> @w )") ==
        "@f: @add giving %b.re repeats no op of the original: other operands, or another callee");
  CHECK(computation_error(original, R"(
    %a: f32[16] = call @apart(%x)
    %b: f32[16] = call @add(%a, %w)
    %y: f32[16] = call @tanh(%b)
    %next: f32[16] = call @add(%w, %b)
    return out=%y, %next -> @w )") ==
        "@f: @apart giving %a repeats no op of the original: other operands, or another callee");
  const std::string same = original.substr(0, original.find("return"));
  CHECK(computation_error(original, same + "return out=%y ") ==
        "@f: has 1 results, the original 2");
  CHECK(computation_error(original, same + "return out=%y, %next -> @u ") ==
        "@f: result 1 is not that of the original");
  CHECK(computation_error(original, same + "return out=%b, %next -> @w ") ==
        "@f: result 0 is %b where the original gives %y");
  // The new parameter applied to itself is a second update.
  CHECK(computation_error(original, same + R"(
    %again: f32[16] = call @add(%next, %b)
    return out=%y, %again -> @w )") ==
        "@f: @add giving %again repeats no op of the original: other operands, or another callee");
}

TEST_CASE("the checker knows recipes", "[checker]") {
  const std::string original = R"(
    %a: f32[16] = call @tanh(%x)
    %y: f32[16] = call @add(%a, %w)
    %p: f32[16], %z: f32[16] = call @both(%y)
    %q: f32[16] = call @add(%a, %z)
    return out=%p, more=%q )";
  auto planned = [](const std::string& a, const std::string& z) {
    return R"(
    %a: f32[16] = call @tanh(%x)
    %y: f32[16] = call @add(%a, %w)
    %p: f32[16], %z: f32[16] = call @both(%y)
    )" + a +
           "\n    " + z + R"(
    %q: f32[16] = call @add(%a.inv, %z.re)
    return out=%p, more=%q )";
  };
  const std::string good_a = "%a.inv: f32[16] = call @add_back(%y, %w)";
  const std::string good_z = "%z.re: f32[16] = call @both_neg(%y)";
  CHECK(computation_error(original, planned(good_a, good_z), true) == "");
  CHECK(computation_error(original, planned(good_a, good_z), false) ==
        "@f: @add_back giving %a.inv rounds, which has to be asked for");
  CHECK(computation_error(original, planned("%a.inv: f32[16] = call @add_back(%y, %u)", good_z),
                          true) ==
        "@f: @add_back giving %a.inv repeats no op of the original: "
        "other operands, or another callee");
  CHECK(computation_error(original, planned(good_a, "%z.re: f32[16] = call @both_neg(%a)"), true) ==
        "@f: @both_neg giving %z.re repeats no op of the original: other operands, or another "
        "callee");
  // One that gives another value than is read.
  CHECK(
      computation_error(original, planned("%a.inv: f32[16] = call @both_neg(%y)", good_z), true) ==
      "@f: @add giving %q repeats no op of the original: other operands, or another callee");
}
