// Every pass on random models: the evaluator gives the same before and after it.
#include <catch2/catch.hpp>
#include <map>

#include "compiler/entries.h"
#include "compiler/passes/autodiff.h"
#include "compiler/pipeline.h"
#include "ir/eval.h"
#include "tests/support/gradient.h"
#include "tests/support/random_module.h"

using namespace gradc;
using namespace gradc::test;

namespace {

constexpr uint64_t kSeeds = 200;
constexpr double kTolerance = 1e-9;

using Named = std::map<std::string, Tensor>;

// What an entry gives on the model's arguments: results by name, and the new state as "-> name".
Named results_of(const Module& module, std::string_view entry, const RandomModel& model) {
  const Function& function = module.function(entry);
  State state = model.state;
  for (const StateTensor& tensor : module.states)  // those of the optimizer start at zero
    state.try_emplace(
        tensor.name,
        Tensor{tensor.type, std::vector<double>(static_cast<size_t>(tensor.type.elements()))});
  std::vector<Tensor> values = eval(
      module, function, entry == kInfer ? model.infer_arguments : model.train_arguments, state);
  Named named;
  for (size_t i = 0; i < values.size(); ++i) {
    const Result& result = function.results[i];
    named[result.state.empty() ? result.name : "-> " + result.state] = values[i];
  }
  return named;
}

// The results of `expected` that `actual` has as well. Returns how many were compared.
size_t compare(const Named& expected, const Named& actual) {
  size_t compared = 0;
  for (const auto& [name, tensor] : expected) {
    auto found = actual.find(name);
    if (found == actual.end())
      continue;
    INFO("result " << name);
    REQUIRE(found->second.type == tensor.type);
    double error = 0;
    for (size_t i = 0; i < tensor.data.size(); ++i)
      error = std::max(error, difference(found->second.data[i], tensor.data[i]));
    CHECK(error < kTolerance);
    ++compared;
  }
  return compared;
}

Options options_of(uint64_t seed) {
  Options options;
  options.train = true;
  options.expand_all = seed % 2;
  constexpr OptimizerKind kKinds[] = {OptimizerKind::sgd, OptimizerKind::adamw,
                                      OptimizerKind::rmsprop};
  options.optimizer.kind = kKinds[seed % std::size(kKinds)];
  options.health = seed % 4 == 1;
  // What a gradient that is zero but for rounding is divided by.
  options.optimizer.epsilon = 1e-4;
  options.optimizer.centered = seed % 4 == 0;
  options.optimizer.momentum = seed % 6 ? 0.9 : 0;
  options.optimizer.clip_norm = seed % 5 ? 0 : 0.5;
  return options;
}

}  // namespace

TEST_CASE("every pass keeps what random models compute", "[random_module]") {
  uint64_t trained = 0;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO("seed " << seed);
    RandomModel model = random_model(seed);
    std::map<std::string_view, Named> before;
    for (std::string_view entry : {kInfer, kTrainStep})
      before[entry] = results_of(model.module, entry, model);
    PipelineObserver observer;
    observer.after_pass = [&](const PassRun& run) {
      INFO("pass " << run.pass.name);
      for (std::string_view entry : {kInfer, kTrainStep}) {
        Named after = results_of(run.after, entry, model);
        CHECK(compare(before[entry], after) > 0);
        before[entry] = std::move(after);
      }
    };
    if (model.state.empty())
      continue;
    ++trained;
    run_pipeline(model.module, options_of(seed), observer);
  }
  CHECK(trained > kSeeds * 9 / 10);
}

TEST_CASE("autodiff gives the gradients that the rules give", "[random_module]") {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO("seed " << seed);
    RandomModel model = random_model(seed);
    Function step = model.module.function(kTrainStep);
    Options options;
    options.train = true;
    Named actual = results_of(autodiff(model.module, options), kTrainStep, model);
    std::vector<Tensor> arguments = model.train_arguments;
    for (const Parameter& parameter : step.parameters)
      if (!parameter.state.empty())
        arguments.push_back(model.state.at(parameter.state));
    std::vector<Tensor> gradients = eval_closed(Module{}, gradient_function(step), arguments);
    Named expected;
    size_t next = 0;
    for (const Parameter& parameter : step.parameters) {
      if (!is_float(step.type(parameter.value).dtype))
        continue;
      if (!parameter.state.empty())
        expected[std::string(kGradientPrefix) + parameter.state] = gradients[next];
      ++next;
    }
    CHECK(compare(expected, actual) == model.state.size());
  }
}
