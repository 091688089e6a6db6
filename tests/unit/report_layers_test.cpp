#include <catch2/catch.hpp>

#include "ir/parse.h"
#include "tools/report/layers.h"

using namespace gradc;

TEST_CASE("layers are named by what they own", "[report]") {
  CHECK(layer_of_state("block_1.dense_2.w") == "block_1.dense_2");
  CHECK(layer_of_state("position") == "position");
  CHECK(common_layer("a.b.c", "a.b.d") == "a.b");
  CHECK(common_layer("a.b", "a.b.d") == "a.b");
  CHECK(common_layer("a.dense_1", "a.dense_12") == "a");
  CHECK(common_layer("dense_1", "dense_12") == "");
  CHECK(common_layer("a.b", "a.b") == "a.b");
}

TEST_CASE("kernels belong to layers", "[report]") {
  Module module = parse_module(R"(module @m
param @net.first.w: f32[8,8]
param @net.second.w: f32[8,8]
optimizer @net.first.w.m: f32[8,8]
buffer @net/net.0/mask: f32[8,8]
kernel @dot(%x: f32[8,8], %w: f32[8,8]) with {class="contract"} {
  %y: f32[8,8] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  return %y
}
kernel @dot_add(%x: f32[8,8], %w: f32[8,8], %b: f32[8,8]) with {class="contract"} {
  %d: f32[8,8] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %y: f32[8,8] = add(%d, %b)
  return %y
}
kernel @add(%x: f32[8,8], %m: f32[8,8]) with {class="map"} {
  %y: f32[8,8] = add(%x, %m)
  return %y
}
kernel @exp(%x: f32[8,8]) with {class="map"} {
  %y: f32[8,8] = exp(%x)
  return %y
}
kernel @sum(%x: f32[8,8]) with {class="reduce"} {
  %y: f32[] = reduce_sum(%x) {axes=[0,1]}
  return %y
}
kernel @one() with {class="map"} {
  %y: f32[8,8] = constant() {dtype=f32, shape=[8,8], value=1.0}
  return %y
}
kernel @step(%w: f32[8,8], %g: f32[8,8], %m: f32[8,8]) with {class="map"} {
  %n: f32[8,8] = add(%m, %g)
  %v: f32[8,8] = sub(%w, %n)
  return %v, %n
}
entry @f(%x: f32[8,8], %first: f32[8,8] = @net.first.w, %second: f32[8,8] = @net.second.w, %m: f32[8,8] = @net.first.w.m, %mask: f32[8,8] = @net/net.0/mask) {
forward:
  %a: f32[8,8] = call @dot(%x, %first)
  %view: f32[64] = reshape(%a) {shape=[64]}
  %back: f32[8,8] = reshape(%view) {shape=[8,8]}
  %b: f32[8,8] = call @add(%back, %mask)
  %c: f32[8,8] = call @dot_add(%b, %second, %first)
  %loss: f32[] = call @sum(%c)
backward:
  %d.c: f32[8,8] = call @one()
  %d.b: f32[8,8] = call @dot(%d.c, %second)
  %d.a: f32[8,8] = call @exp(%d.b)
  %d.first: f32[8,8] = call @dot(%x, %d.a)
update:
  %first.next: f32[8,8], %m.next: f32[8,8] = call @step(%first, %d.first, %m)
  return loss=%loss, %first.next -> @net.first.w, %m.next -> @net.first.w.m
}
)",
                               "t.ir");
  std::vector<std::string> layers = layers_of(module, module.function("f"));
  CHECK(layers == std::vector<std::string>{
                      "net.first",  // reads its weights
                      "net.first",  // a view of its result
                      "net.first",  //
                      "net",  // between the two
                      "net.second",  // multiplies with its weights; only adds the other's
                      "loss",  // after all layers
                      "net.second",  // its nearest layer, in the backward pass
                      "net.second",  //
                      "net",  // between the two
                      "net.first",  // makes its gradient
                      "net.first"});
}
