#include "compiler/passes/accumulate.h"

#include <catch2/catch.hpp>
#include <regex>
#include <set>

#include "compiler/check.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/optimizer.h"
#include "compiler/pipeline.h"
#include "ir/diagnostic.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// y = tanh(x w1) w2; the loss is the mean of the squares of y - t; @count counts batches.
std::string mean_model(int batch) {
  std::string text = R"(module @mean
param @a.w: f32[3,4]
param @b.w: f32[4,2]
buffer @count: f32[]

entry @train_step(%x: f32[N,3], %t: f32[N,2], %lr: f32[], %step: i64[], %total_steps: i64[], %seed: i64[], %w1: f32[3,4] = @a.w, %w2: f32[4,2] = @b.w, %count: f32[] = @count) {
forward:
  %z: f32[N,4] = dot(%x, %w1) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %h: f32[N,4] = tanh(%z)
  %y: f32[N,2] = dot(%h, %w2) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %e: f32[N,2] = sub(%y, %t)
  %square: f32[N,2] = mul(%e, %e)
  %sum: f32[] = reduce_sum(%square) {axes=[0,1]}
  %part: f32[] = constant() {dtype=f32, shape=[], value=PART}
  %loss: f32[] = mul(%sum, %part)
  %one: f32[] = constant() {dtype=f32, shape=[], value=1.0}
  %next: f32[] = add(%count, %one)
  return loss=%loss, y=%y, %next -> @count
}
)";
  text = std::regex_replace(text, std::regex("\\[N"), "[" + std::to_string(batch));
  return std::regex_replace(text, std::regex("PART"), fmt::format("{}", 0.5 / batch));
}

Module trained(const std::string& text, Options options) {
  Module module = optimizer(accumulate(autodiff(parsed(text), options), options), options);
  verify(module);
  return module;
}

struct Outcome {
  std::vector<Tensor> results;
  State state;
};

// Two steps on the same data.
Outcome run(const Module& module) {
  const Function& step = module.function("train_step");
  Outcome outcome{{}, random_state(module, 5)};
  std::vector<Tensor> arguments = random_arguments(step, 5);
  for (int i = 0; i < 2; ++i)
    outcome.results = eval(module, step, arguments, outcome.state);
  return outcome;
}

}  // namespace

TEST_CASE("micro-batches of a mean loss train like the batch that they make up", "[accumulate]") {
  for (OptimizerKind kind :
       {OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::adamw, OptimizerKind::rmsprop})
    for (double clip_norm : {0.0, 0.01})
      for (double clip_value : {0.0, 0.02}) {
        INFO(static_cast<int>(kind) << " " << clip_norm << " " << clip_value);
        Options options = training(kind);
        options.optimizer.momentum = 0.9;
        options.optimizer.clip_norm = clip_norm;
        options.optimizer.clip_value = clip_value;
        options.optimizer.weight_decay = 0.1;
        Module whole = trained(mean_model(6), options);
        options.accumulate = 3;
        Module parts = trained(mean_model(2), options);
        CHECK(parts.function("train_step").type(parts.function("train_step").parameters[0].value) ==
              Type{DType::f32, {6, 3}});
        Outcome a = run(whole), b = run(parts);
        for (size_t i : {0u, 1u}) {
          REQUIRE(a.results[i].type == b.results[i].type);
          for (size_t j = 0; j < a.results[i].data.size(); ++j)
            CHECK(b.results[i].data[j] == Approx(a.results[i].data[j]).epsilon(1e-9));
        }
        for (const auto& [name, tensor] : a.state)
          for (size_t j = 0; j < tensor.data.size() && name != "count"; ++j) {
            INFO(name);
            CHECK(b.state[name].data[j] == Approx(tensor.data[j]).epsilon(1e-8));
          }
        // State of the forward pass goes from one micro-batch to the next.
        double begin = random_state(whole, 5)["count"].data[0];
        CHECK(a.state["count"].data[0] == Approx(begin + 2));
        CHECK(b.state["count"].data[0] == Approx(begin + 6));
      }
}

TEST_CASE("every micro-batch draws random numbers of its own", "[accumulate]") {
  std::string text = mean_model(2);
  text = std::regex_replace(text, std::regex("%h: f32\\[2,4\\] = tanh\\(%z\\)"),
                            "%h: f32[2,4] = dropout(%z, %seed, %step) {rate=0.5, stream=3}");
  Options options = training();
  options.accumulate = 2;
  Module module = accumulate(autodiff(parsed(text), options), options);
  std::multiset<int64_t> streams;
  for (const Op& op : module.function("train_step").ops)
    if (op.attrs.has("stream"))
      streams.insert(op.attrs.integer("stream"));
  // Forward and backward pass of each micro-batch draw the same.
  CHECK(streams == std::multiset<int64_t>{3, 3, 7, 7});
}

TEST_CASE("a gradient is summed as soon as it is there", "[accumulate]") {
  Options options = training();
  options.accumulate = 2;
  Module module = accumulate(autodiff(parsed(mean_model(2)), options), options);
  const Function& step = module.function("train_step");
  std::vector<std::optional<OpId>> definitions = defining_ops(step);
  for (const Op& op : step.ops)
    if (step[op.results[0]].name == "d.w1.sum") {
      uint32_t sum = definitions[op.results[0].index]->index;
      CHECK(definitions[op.operands[1].index]->index + 1 == sum);
      return;
    }
  FAIL("there is no sum");
}

TEST_CASE("accumulation changes nothing unless asked for", "[accumulate]") {
  Options options = training();
  Module module = autodiff(parsed(mean_model(2)), options);
  CHECK(print(accumulate(module, options)) == print(module));
  options.accumulate = 2;
  options.update = false;
  CHECK(print(accumulate(module, options)) == print(module));
}

TEST_CASE("what cannot be cut into micro-batches is an error", "[accumulate]") {
  auto error_of = [](const std::string& text) {
    Options options = training();
    options.accumulate = 2;
    try {
      accumulate(parsed(text), options);
    } catch (const UserError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  std::string text = mean_model(2);
  CHECK_THAT(error_of(std::regex_replace(text, std::regex("%t: f32\\[2,2\\], "),
                                         "%t: f32[2,2], %u: f32[5], ")),
             Catch::Contains("inputs `x` and `u` begin with axes of 2 and 5"));
  CHECK_THAT(error_of(std::regex_replace(text, std::regex("return loss=%loss"),
                                         "%n: i64[] = copy(%step)\n  return n=%n, loss=%loss")),
             Catch::Contains("result `n` is i64[]; micro-batches are joined along a batch axis"));
}

TEST_CASE("the whole pipeline takes micro-batches", "[accumulate]") {
  Options options = training(OptimizerKind::rmsprop);
  options.accumulate = 3;
  options.health = true;
  PipelineObserver observer;
  observer.check = true;
  Module planned = run_pipeline(parsed(mean_model(2)), options, observer);
  CHECK(planned.function("train_step").arena_bytes);
}
