#pragma once
// Modules in text form that several tests start from, and short forms for tests of passes.
#include <string>

#include "compiler/options.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

namespace gradc::test {

// x -> tanh(x w1 + b1) w2, loss = sum of squares of the difference to t.
inline const std::string kMlp = R"(module @mlp
param @w1: f32[3,4]
param @b1: f32[4]
param @w2: f32[4,2]

entry @init() {
forward:
  %w1: f32[3,4] = constant() {dtype=f32, shape=[3,4], value=0.5}
  %b1: f32[4] = constant() {dtype=f32, shape=[4], value=0.0}
  %w2: f32[4,2] = constant() {dtype=f32, shape=[4,2], value=0.25}
  return %w1 -> @w1, %b1 -> @b1, %w2 -> @w2
}

entry @infer(%x: f32[2,3], %w1: f32[3,4] = @w1, %b1: f32[4] = @b1, %w2: f32[4,2] = @w2) {
forward:
  %z: f32[2,4] = dot(%x, %w1) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %b: f32[2,4] = broadcast(%b1) {axes=[1], shape=[2,4]}
  %a: f32[2,4] = add(%z, %b)
  %h: f32[2,4] = tanh(%a)
  %y: f32[2,2] = dot(%h, %w2) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  return y=%y
}

entry @train_step(%x: f32[2,3], %t: f32[2,2], %lr: f32[], %step: i64[], %total_steps: i64[], %seed: i64[], %w1: f32[3,4] = @w1, %b1: f32[4] = @b1, %w2: f32[4,2] = @w2) {
forward:
  %z: f32[2,4] = dot(%x, %w1) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]} loc "mlp.model:3"
  %b: f32[2,4] = broadcast(%b1) {axes=[1], shape=[2,4]}
  %a: f32[2,4] = add(%z, %b)
  %h: f32[2,4] = tanh(%a)
  %y: f32[2,2] = dot(%h, %w2) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %e: f32[2,2] = sub(%y, %t)
  %square: f32[2,2] = mul(%e, %e)
  %loss: f32[] = reduce_sum(%square) {axes=[0,1]}
  return loss=%loss, y=%y
}
)";

// h = tanh(h w + x[t]) for three rows of x; results: the last h, and h w + x[t] of each.
inline const std::string kRecurrent = R"(module @recurrent
param @w: f32[2,2]

func @cell(%h: f32[2], %x: f32[2], %w: f32[2,2]) {
forward:
  %p: f32[2] = dot(%h, %w) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]} loc "cell:2"
  %a: f32[2] = add(%p, %x)
  %h.next: f32[2] = tanh(%a)
  return %h.next, %a
}

entry @infer(%x: f32[3,2], %h0: f32[2], %w: f32[2,2] = @w) {
forward:
  %last: f32[2], %all: f32[3,2] = scan @cell(%h0, %x, %w) {carries=1, sequences=1, trips=3}
  return last=%last, all=%all
}
)";

inline Module parsed(const std::string& text) {
  Module module = parse_module(text, "test.ir");
  verify(module);
  return module;
}

inline Options training(OptimizerKind kind = OptimizerKind::sgd) {
  Options options;
  options.train = true;
  options.optimizer.kind = kind;
  return options;
}

}  // namespace gradc::test
