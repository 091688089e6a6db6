#include "compiler/passes/health.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <map>
#include <regex>

#include "compiler/check.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/watch.h"
#include "compiler/pipeline.h"
#include "ir/diagnostic.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// Two layers; the second one's result is a relu of large values, the third has no activation.
const std::string kLayers = R"(module @layers
param @a.w: f32[3,4]
param @a.b: f32[4]
param @b.w: f32[4,5]
param @c.w: f32[5,2]

entry @train_step(%x: f32[2,3], %lr: f32[], %step: i64[], %total_steps: i64[], %seed: i64[], %a.w: f32[3,4] = @a.w, %a.b: f32[4] = @a.b, %b.w: f32[4,5] = @b.w, %c.w: f32[5,2] = @c.w) {
forward:
  %p: f32[2,4] = dot(%x, %a.w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]} loc "layers:1"
  %b: f32[2,4] = broadcast(%a.b) {axes=[1], shape=[2,4]}
  %q: f32[2,4] = add(%p, %b)
  %h: f32[2,4] = tanh(%q)
  %r: f32[2,5] = dot(%h, %b.w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %s: f32[2,5] = relu(%r)
  %y: f32[2,2] = dot(%s, %c.w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %square: f32[2,2] = mul(%y, %y)
  %loss: f32[] = reduce_sum(%square) {axes=[0,1]}
  return loss=%loss
}
)";

Options measuring(OptimizerKind kind = OptimizerKind::sgd) {
  Options options = training(kind);
  options.health = true;
  return options;
}

std::map<std::string, double> measured(const Module& module, State& state) {
  const Function& step = module.function("train_step");
  std::vector<Tensor> results = eval(module, step, random_arguments(step, 2), state);
  std::map<std::string, double> numbers;
  for (size_t i = 0; i < results.size(); ++i)
    if (step.results[i].name.starts_with("health/"))
      numbers[step.results[i].name.substr(7)] = results[i].data[0];
  return numbers;
}

double sum_of_squares(const std::vector<double>& values) {
  double sum = 0;
  for (double value : values)
    sum += value * value;
  return sum;
}

}  // namespace

TEST_CASE("the values of a layer are found before and behind its activation", "[health]") {
  Module module = watch(parsed(kLayers), measuring());
  const Function& step = module.function("train_step");
  auto name_of = [&](const char* result) {
    const Result* found = step.find_result(result);
    return found ? step[found->value].name : "";
  };
  CHECK(name_of("watch/input/1/a") == "q");
  CHECK(name_of("watch/output/1/a") == "h");
  CHECK(name_of("watch/input/1/b") == "r");
  CHECK(name_of("watch/output/1/b") == "s");
  CHECK(name_of("watch/output/1/c") == "y");
  CHECK(step.results.size() == 7);
}

TEST_CASE("a parameter with several readers is not watched", "[health]") {
  std::string text = kLayers;
  text.replace(text.find("%square: f32[2,2] = mul(%y, %y)"), 31,
               "%again: f32[2,4] = dot(%x, %a.w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
               "  %square: f32[2,2] = mul(%y, %y)");
  Module module = watch(parsed(text), measuring());
  CHECK_FALSE(module.function("train_step").find_result("watch/output/1/a"));
  CHECK(module.function("train_step").find_result("watch/output/1/b"));
}

TEST_CASE("health measures what the evaluator sees", "[health]") {
  for (OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw, OptimizerKind::rmsprop}) {
    PipelineObserver observer;
    observer.stop_after = "health";
    Options options = measuring(kind);
    options.optimizer.weight_decay = 0.1;
    Module module = run_pipeline(parsed(kLayers), options, observer);
    State state = random_state(module, 2), before = state;
    state["a.b"].data[0] = before["a.b"].data[0] = 30;  // unit 0 of layer a is saturated
    std::map<std::string, double> numbers = measured(module, state);

    // The same values as results of their own, and gradients by them.
    Module plain = parsed(kLayers);
    Function& step = *plain.find_function("train_step");
    for (uint32_t i = 0; i < step.values.size(); ++i)
      if (std::string("hsyqr").find(step.values[i].name) != std::string::npos)
        step.results.push_back({{i}, step.values[i].name, ""});
    std::vector<std::string> wrt = {"q", "r", "y", "a.w", "a.b", "b.w", "c.w"};
    plain = gradient(plain, "train_step", "loss", wrt);
    State same = before;
    const Function& by_value = plain.function("train_step");
    std::vector<Tensor> results = eval(plain, by_value, random_arguments(by_value, 2), same);
    std::map<std::string, std::vector<double>> seen;
    for (size_t i = 0; i < results.size(); ++i)
      seen[by_value.results[i].name] = results[i].data;

    auto expect = [&](const std::string& name, double value) {
      INFO(name);
      REQUIRE(numbers.contains(name));
      CHECK(numbers[name] == Approx(value).epsilon(1e-9).margin(1e-300));
    };
    for (auto [layer, value, input] :
         {std::tuple("a", "h", "q"), {"b", "s", "r"}, {"c", "y", "y"}}) {
      const std::vector<double>& y = seen[value];
      double sum = 0;
      for (double element : y)
        sum += element;
      auto n = static_cast<double>(y.size());
      expect(fmt::format("output/{}/mean", layer), sum / n);
      expect(fmt::format("output/{}/square", layer), sum_of_squares(y) / n);
      expect(fmt::format("gradient/{}/square", layer),
             sum_of_squares(seen[fmt::format("grad/{}", input)]));
    }
    auto part = [](const std::vector<double>& values, auto holds) {
      double count = 0;
      for (double value : values)
        count += holds(value);
      return count / static_cast<double>(values.size());
    };
    expect("output/a/flat", part(seen["h"], [](double h) { return 1 - h * h < kFlatSlope; }));
    expect("output/b/flat", part(seen["s"], [](double s) { return s == 0; }));
    CHECK(numbers["output/a/dead"] >= 0.25);
    double dead = 0;
    for (size_t unit = 0; unit < 5; ++unit)
      dead += seen["s"][unit] == 0 && seen["s"][5 + unit] == 0;
    expect("output/b/dead", dead / 5);
    CHECK_FALSE(numbers.contains("output/c/flat"));
    for (const char* parameter : {"a.w", "a.b", "b.w", "c.w"}) {
      std::vector<double> step_taken;
      for (size_t i = 0; i < before[parameter].data.size(); ++i)
        step_taken.push_back(state[parameter].data[i] - before[parameter].data[i]);
      std::string prefix = fmt::format("parameter/{}/", parameter);
      expect(prefix + "gradient", sum_of_squares(seen[fmt::format("grad/{}", parameter)]));
      expect(prefix + "update", sum_of_squares(step_taken));
      expect(prefix + "weight", sum_of_squares(state[parameter].data));
    }
  }
}

TEST_CASE("health keeps the step and is nothing unless asked for", "[health]") {
  PipelineObserver observer;
  observer.stop_after = "health";
  Module plain = run_pipeline(parsed(kLayers), training(), observer);
  Module with = run_pipeline(parsed(kLayers), measuring(), observer);
  CHECK_FALSE(first_difference(plain, with));
  Options off = training();
  CHECK(print(health(plain, off)) == print(plain));
  CHECK(print(watch(parsed(kLayers), off)) == print(parsed(kLayers)));
  for (const Result& result : with.function("train_step").results)
    CHECK((result.name == "loss" || result.name.starts_with("health/") || !result.state.empty()));
}

TEST_CASE("health takes no memory in the arena", "[health]") {
  auto arena = [](const std::string& text, const Options& options) {
    return *run_pipeline(parsed(text), options).function("train_step").arena_bytes;
  };
  // A few scalars, each with 64 bytes of its own; the parameters are larger than these.
  std::string text = std::regex_replace(kLayers, std::regex("\\b3,4\\b"), "200,4");
  text = std::regex_replace(text, std::regex("2,3\\]"), "2,200]");
  for (OptimizerKind kind : {OptimizerKind::sgd, OptimizerKind::adamw, OptimizerKind::rmsprop}) {
    Options options = measuring(kind), without = training(kind);
    options.optimizer.weight_decay = without.optimizer.weight_decay = 0.1;
    options.optimizer.momentum = without.optimizer.momentum = 0.9;
    INFO(static_cast<int>(kind));
    CHECK(arena(text, options) <= arena(text, without) + 10 * 64);
  }
}

TEST_CASE("gradients far below the range of f32 squares are measured", "[health]") {
  std::string text = kLayers;
  text.replace(text.find("%square: f32[2,2] = mul(%y, %y)"), 31,
               "%tiny: f32[2,2] = constant() {dtype=f32, shape=[2,2], value=1e-30}\n"
               "  %square: f32[2,2] = mul(%y, %tiny)");
  PipelineObserver observer;
  observer.stop_after = "health";
  Module module = run_pipeline(parsed(text), measuring(), observer);
  State state = random_state(module, 2);
  std::map<std::string, double> numbers = measured(module, state);
  CHECK(numbers["gradient/c/square"] == Approx(4e-60));
  for (const Op& op : module.function("train_step").ops)
    if (module.function("train_step")[op.results[0]].name == "gradient/c/square")
      CHECK(module.function("train_step").type(op.results[0]).dtype == DType::f64);
}
