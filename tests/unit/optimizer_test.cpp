#include "compiler/passes/optimizer.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/passes/autodiff.h"
#include "ir/diagnostic.h"
#include "tests/support/finite_differences.h"
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

// The expected paths of Adam come from torch.optim's formulas in double precision.
TEST_CASE("adam corrects its averages for their start at zero", "[optimizer]") {
  check_path({.kind = OptimizerKind::adam}, {1.0999999995, 1.1998335133789073, 1.2993766071878863});
}

TEST_CASE("adam adds weight decay to the gradient, adamw does not", "[optimizer]") {
  check_path({.kind = OptimizerKind::adam, .weight_decay = 0.5},
             {1.0999999993333334, 1.1995877709680254, 1.2984137265345082});
  check_path({.kind = OptimizerKind::adamw, .weight_decay = 0.5},
             {1.0499999995, 1.0974260041910164, 1.142360634441395});
}

// The expected paths of RMSProp were recorded from torch.optim.RMSprop in double precision.
TEST_CASE("rmsprop divides by the root of the average square", "[optimizer]") {
  check_path({.kind = OptimizerKind::rmsprop},
             {1.999999950000002, 2.449013202829968, 2.690312590637597, 2.825371563080851});
  check_path({.kind = OptimizerKind::rmsprop, .alpha = 0.9},
             {1.316227761016838, 1.5261246792335577, 1.6912821243666505, 1.8301601794254032});
}

TEST_CASE("rmsprop with momentum, centered, and with weight decay", "[optimizer]") {
  check_path({.kind = OptimizerKind::rmsprop, .momentum = 0.5, .alpha = 0.9},
             {1.316227761016838, 1.6842385597419767, 2.0199445087824732, 2.2992607607642657});
  check_path({.kind = OptimizerKind::rmsprop, .alpha = 0.9, .centered = true},
             {1.333333327777778, 1.5649936257308434, 1.7546587632657944, 1.9194138997592434});
  check_path({.kind = OptimizerKind::rmsprop,
              .momentum = 0.5,
              .epsilon = 0.1,
              .alpha = 0.9,
              .centered = true,
              .weight_decay = 0.5},
             {1.2727272727272727, 1.5874055313119713, 1.8481733504771805, 2.018297184059578});
}

TEST_CASE("gradients are clipped by value and by their global norm", "[optimizer]") {
  check_path({.kind = OptimizerKind::sgd, .clip_value = 0.5}, {1.05, 1.1, 1.15});
  check_path({.kind = OptimizerKind::sgd, .clip_norm = 1},
             {1.099999950000025, 1.1999998973684751, 1.2999998418129537});
}

TEST_CASE("the learning rate warms up and falls along a cosine", "[optimizer]") {
  check_path({.kind = OptimizerKind::sgd, .schedule = ScheduleKind::cosine, .warmup_steps = 2},
             {1.1, 1.29, 1.461, 1.5764250000000002, 1.6120143750000002});
}

TEST_CASE("the global norm spans all parameters and delays every update", "[optimizer]") {
  Options options = training();
  options.optimizer.clip_norm = 0.01;
  Module module = optimizer(autodiff(parsed(kMlp), options), options);
  verify(module);
  const Function& step = module.function("train_step");
  Inputs inputs = random_inputs(module, step);
  input_named(step, inputs, "lr").data = {1};
  State before = inputs.state;
  eval(module, step, inputs.arguments, inputs.state);
  double squares = 0;
  for (const char* name : {"w1", "b1", "w2"})
    for (size_t i = 0; i < before[name].data.size(); ++i)
      squares += std::pow(before[name].data[i] - inputs.state[name].data[i], 2);
  CHECK(std::sqrt(squares) == Approx(0.01).epsilon(1e-3));

  auto definitions = defining_ops(step);
  for (const Result& result : step.results)
    if (!result.state.empty())
      for (uint32_t i = definitions[result.value.index]->index; i < step.ops.size(); ++i)
        CHECK(step.ops[i].phase == Phase::update);
}

TEST_CASE("options out of range are errors of the command line", "[optimizer]") {
  auto error_of = [](const OptimizerOptions& options) {
    try {
      run_steps(options, 1);
    } catch (const UserError& error) {
      CHECK(error.fault() == Fault::command_line);
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(error_of({.kind = OptimizerKind::sgd, .momentum = 1.5}) ==
        "error: momentum is 1.5; it must be at least 0 and less than 1");
  CHECK(error_of({.kind = OptimizerKind::sgd, .nesterov = true}) ==
        "error: momentum is 0; it must be above 0 for Nesterov's correction");
  CHECK(error_of({.beta2 = 1}) == "error: beta2 is 1; it must be at least 0 and less than 1");
  CHECK(error_of({.kind = OptimizerKind::rmsprop, .alpha = 1}) ==
        "error: alpha is 1; it must be at least 0 and less than 1");
  CHECK(error_of({.weight_decay = -0.1}) == "error: weight decay is -0.1; it must be at least 0");
}

TEST_CASE("scalars are cast to the element type of a parameter", "[optimizer]") {
  std::string text = kParabola;
  for (std::string name : {"@w: ", "%w: ", "%x: "})
    text.replace(text.find(name + "f32"), name.size() + 3, name + "f64");
  for (size_t at; (at = text.find("dtype=f32")) != std::string::npos;)
    text.replace(at, 9, "dtype=f64");
  for (std::string name : {"%half", "%square", "%a", "%b", "%loss"})
    text.replace(text.find(name + ": f32"), name.size() + 5, name + ": f64");
  for (OptimizerKind kind :
       {OptimizerKind::sgd, OptimizerKind::adam, OptimizerKind::adamw, OptimizerKind::rmsprop}) {
    Options options = training(kind);
    options.optimizer.centered = kind == OptimizerKind::rmsprop;
    options.optimizer.momentum = options.optimizer.centered ? 0.5 : 0;
    verify(optimizer(autodiff(parsed(text), options), options));
  }
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
