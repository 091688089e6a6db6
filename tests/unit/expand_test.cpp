#include "compiler/passes/expand.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

TEST_CASE("expand leaves primitives alone", "[expand]") {
  Module module = parsed(kMlp);
  CHECK(print(expand(module, Options{})) == print(module));
}

TEST_CASE("a composite becomes primitives under its own name, place and phase", "[expand]") {
  Module module = parsed(
      "module @m\nentry @f(%x: f32[2,3]) {\nbackward:\n"
      "  %y = softmax(%x) {axis=1} loc \"net.model:7\"\n  return y=%y\n}\n");
  CHECK(print(expand(module, Options{}).functions[0]) ==
        R"(entry @f(%x: f32[2,3]) {
backward:
  %y.reduce_max_number: f32[2] = reduce_max_number(%x) {axes=[1]} loc "net.model:7"
  %y.broadcast: f32[2,3] = broadcast(%y.reduce_max_number) {axes=[0], shape=[2,3]} loc "net.model:7"
  %y.sub: f32[2,3] = sub(%x, %y.broadcast) loc "net.model:7"
  %y.exp_normal: f32[2,3] = exp_normal(%y.sub) loc "net.model:7"
  %y.reduce_sum: f32[2] = reduce_sum(%y.exp_normal) {axes=[1]} loc "net.model:7"
  %y.constant: f32[2] = constant() {dtype=f32, shape=[2], value=1.0} loc "net.model:7"
  %y.div: f32[2] = div(%y.constant, %y.reduce_sum) loc "net.model:7"
  %y.broadcast.1: f32[2,3] = broadcast(%y.div) {axes=[0], shape=[2,3]} loc "net.model:7"
  %y: f32[2,3] = mul(%y.exp_normal, %y.broadcast.1) loc "net.model:7"
  return y=%y
}
)");
}

TEST_CASE("composites made of composites are expanded to the end", "[expand]") {
  Module module = parsed(
      "module @m\nentry @f(%q: f32[2,3,4], %k: f32[2,5,4], %v: f32[2,5,6]) {\nforward:\n"
      "  %y = attention(%q, %k, %v) {causal=false, scale=0.5}\n  %z = silu(%y)\n"
      "  return y=%y, z=%z\n}\n");
  Module after = expand(module, Options{});
  verify(after);
  for (const Op& op : after.functions[0].ops)
    CHECK(def(op).kernel != KernelClass::composite);
  CHECK(first_difference(module, after) == std::nullopt);
}

TEST_CASE("only the wanted composites of one function are expanded", "[expand]") {
  Module module = parsed(
      "module @m\nentry @f(%x: f32[2,3]) {\nforward:\n  %y = softmax(%x) {axis=1}\n"
      "  %z = silu(%y)\n  return z=%z\n}\n");
  Function after =
      expand_where(module.functions[0], [](const OpDef& op) { return op.name == "softmax"; });
  CHECK(after.ops.back().code == Opcode::silu);
  CHECK(std::none_of(after.ops.begin(), after.ops.end(),
                     [](const Op& op) { return op.code == Opcode::softmax; }));
}

TEST_CASE("expand drops stop_gradient", "[expand]") {
  Module module = parsed(
      "module @m\nentry @f(%x: f32[2]) {\nforward:\n  %y = stop_gradient(%x)\n  %z = tanh(%y)\n"
      "  return z=%z, y=%y\n}\n");
  CHECK(print(expand(module, Options{}).functions[0]) ==
        "entry @f(%x: f32[2]) {\nforward:\n  %z: f32[2] = tanh(%x)\n  return z=%z, y=%x\n}\n");
}
