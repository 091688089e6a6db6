#include "compiler/passes/optimizer.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/passes/autodiff.h"
#include "ir/eval.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// loss = w^2 / 2 - x w, so that the gradient is w - x.
const std::string kParabola = R"(module @parabola
param @w: f32[]
entry @train_step(%x: f32[], %lr: f32[], %step: i64[], %total_steps: i64[], %seed: i64[], %w: f32[] = @w) {
forward:
  %half: f32[] = constant() {dtype=f32, shape=[], value=0.5}
  %square: f32[] = mul(%w, %w)
  %a: f32[] = mul(%half, %square)
  %b: f32[] = mul(%x, %w)
  %loss: f32[] = sub(%a, %b)
  return loss=%loss
}
)";

// @w after each of `steps` steps from w = 1 with x = 3 and lr = 0.1.
std::vector<double> run_steps(const OptimizerOptions& optimizer_options, int steps) {
  Options options = training(optimizer_options.kind);
  options.optimizer = optimizer_options;
  Module module = optimizer(autodiff(parsed(kParabola), options), options);
  verify(module);
  State state = {{"w", {scalar_type(DType::f32), {1}}}};
  eval(module, module.function("init"), {}, state);
  std::vector<double> path;
  for (int step = 0; step < steps; ++step) {
    auto scalar = [](DType dtype, double value) { return Tensor{scalar_type(dtype), {value}}; };
    std::vector<Tensor> arguments = {scalar(DType::f32, 3), scalar(DType::f32, 0.1),
                                     scalar(DType::i64, step), scalar(DType::i64, steps),
                                     scalar(DType::i64, 0)};
    eval(module, module.function("train_step"), arguments, state);
    path.push_back(state["w"].data[0]);
  }
  return path;
}

void check_path(const OptimizerOptions& options, const std::vector<double>& expected) {
  std::vector<double> path = run_steps(options, static_cast<int>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) {
    INFO("step " << i);
    CHECK(path[i] == Approx(expected[i]).epsilon(1e-9));
  }
}

}  // namespace

TEST_CASE("sgd follows the gradient", "[optimizer]") {
  // g = -2, -1.8, -1.62
  check_path({.kind = OptimizerKind::sgd}, {1.2, 1.38, 1.542});
}

TEST_CASE("sgd with momentum", "[optimizer]") {
  // v = -2, then 0.5 * -2 + -1.8 = -2.8, then 0.5 * -2.8 + -1.52 = -2.92
  check_path({.kind = OptimizerKind::sgd, .momentum = 0.5}, {1.2, 1.48, 1.772});
}

TEST_CASE("sgd with Nesterov momentum", "[optimizer]") {
  // v = -2: p += 0.1 * (2 + 0.5 * 2); then g = -1.7, v = -2.7: p += 0.1 * (1.7 + 0.5 * 2.7)
  check_path({.kind = OptimizerKind::sgd, .momentum = 0.5, .nesterov = true}, {1.3, 1.605});
}

TEST_CASE("sgd with weight decay", "[optimizer]") {
  // g = -2 + 0.1 * 1
  check_path({.kind = OptimizerKind::sgd, .weight_decay = 0.1}, {1.19});
}

TEST_CASE("an update stands behind its gradient and the last reader of its parameter",
          "[optimizer]") {
  Options options = training();
  options.optimizer.momentum = 0.9;
  Module module = optimizer(autodiff(parsed(kMlp), options), options);
  verify(module);
  const Function& step = module.function("train_step");
  auto definitions = defining_ops(step);
  for (const Result& result : step.results) {
    if (result.state.empty())
      continue;
    OpId update = *definitions[result.value.index];
    CHECK(step.ops[update.index].phase == Phase::update);
    for (const Parameter& parameter : step.parameters)
      for (uint32_t i = update.index + 1; i < step.ops.size(); ++i)
        if (parameter.state == result.state)
          CHECK(std::count(step.ops[i].operands.begin(), step.ops[i].operands.end(),
                           parameter.value) == 0);
  }
  // The first update does not wait for the last gradient.
  auto first_update = std::find_if(step.ops.begin(), step.ops.end(),
                                   [](const Op& op) { return op.phase == Phase::update; });
  CHECK(std::any_of(first_update, step.ops.end(),
                    [](const Op& op) { return op.phase == Phase::backward; }));
}

TEST_CASE("what an optimizer remembers is state that init sets to zero", "[optimizer]") {
  Options options = training();
  options.optimizer.momentum = 0.9;
  Module module = optimizer(autodiff(parsed(kMlp), options), options);
  const StateTensor* state = module.find_state("w1.momentum");
  REQUIRE(state);
  CHECK(state->role == Role::optimizer);
  CHECK(state->type == Type{DType::f32, {3, 4}});
  State after;
  eval(module, module.function("init"), {}, after);
  CHECK(after["w1.momentum"].data == std::vector<double>(12, 0.0));
  CHECK(after["w1"].data == std::vector<double>(12, 0.5));
}

TEST_CASE("gradients stay results when no update is asked for", "[optimizer]") {
  Options options = training();
  options.update = false;
  Module module = autodiff(parsed(kMlp), options);
  CHECK(print(optimizer(module, options)) == print(module));
}
