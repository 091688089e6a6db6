#include "compiler/passes/unroll.h"

#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/simplify.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

void check_keeps_answer(const Module& module) {
  Module after = unroll(module, Options{});
  verify(after);
  CHECK(first_difference(module, after) == std::nullopt);
  for (const Function& function : after.functions)
    for (const Op& op : function.ops)
      CHECK(op.callee.empty());
  CHECK(print(parsed(print(after))) == print(after));
}

}  // namespace

TEST_CASE("a scan becomes one copy of its body per trip", "[unroll]") {
  Module module = parsed(kRecurrent);
  Module after = simplify(unroll(module, Options{}), Options{});
  CHECK(print(after.function("infer")) ==
        R"(entry @infer(%x: f32[3,2], %h0: f32[2], %w: f32[2,2] = @w) {
forward:
  %row: f32[1,2] = slice(%x) {begin=[0,0], end=[1,2], step=[1,1]}
  %reshape: f32[2] = reshape(%row) {shape=[2]}
  %p: f32[2] = dot(%h0, %w) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]} loc "cell:2"
  %a: f32[2] = add(%p, %reshape)
  %h.next: f32[2] = tanh(%a)
  %row.1: f32[1,2] = slice(%x) {begin=[1,0], end=[2,2], step=[1,1]}
  %reshape.1: f32[2] = reshape(%row.1) {shape=[2]}
  %p.1: f32[2] = dot(%h.next, %w) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]} loc "cell:2"
  %a.1: f32[2] = add(%p.1, %reshape.1)
  %h.next.1: f32[2] = tanh(%a.1)
  %row.2: f32[1,2] = slice(%x) {begin=[2,0], end=[3,2], step=[1,1]}
  %reshape.2: f32[2] = reshape(%row.2) {shape=[2]}
  %p.2: f32[2] = dot(%h.next.1, %w) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]} loc "cell:2"
  %a.2: f32[2] = add(%p.2, %reshape.2)
  %h.next.2: f32[2] = tanh(%a.2)
  %reshape.3: f32[1,2] = reshape(%a) {shape=[1,2]}
  %reshape.4: f32[1,2] = reshape(%a.1) {shape=[1,2]}
  %reshape.5: f32[1,2] = reshape(%a.2) {shape=[1,2]}
  %all: f32[3,2] = concat(%reshape.3, %reshape.4, %reshape.5) {axis=0}
  return last=%h.next.2, all=%all
}
)");
}

TEST_CASE("unrolled scans keep their answer in both directions", "[unroll]") {
  check_keeps_answer(parsed(kRecurrent));
  std::string reversed = kRecurrent;
  reversed.replace(reversed.find("carries=1, "), 11, "carries=1, reverse=true, ");
  check_keeps_answer(parsed(reversed));
}

TEST_CASE("scans inside of scans and calls inside of both are unrolled", "[unroll]") {
  check_keeps_answer(parsed(R"(module @m
func @square(%a: f32[2]) {
forward:
  %b: f32[2] = mul(%a, %a)
  return %b
}
func @inner(%s: f32[2], %x: f32[2]) {
forward:
  %q: f32[2] = call @square(%x)
  %t: f32[2] = add(%s, %q)
  return %t, %t
}
func @outer(%s: f32[2], %xs: f32[3,2]) {
forward:
  %t: f32[2], %all: f32[3,2] = scan @inner(%s, %xs) {carries=1, sequences=1, trips=3}
  return %t, %all
}
entry @f(%s: f32[2], %x: f32[4,3,2]) {
forward:
  %t: f32[2], %all: f32[4,3,2] = scan @outer(%s, %x) {carries=1, sequences=1, trips=4}
  return t=%t, all=%all
}
)"));
}

TEST_CASE("the scans of a gradient are unrolled like any other", "[unroll]") {
  std::vector<std::string> wrt = {"w", "x", "h0"};
  check_keeps_answer(gradient(parsed(kRecurrent), "infer", "last", wrt));
}
