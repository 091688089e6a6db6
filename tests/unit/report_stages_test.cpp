// Values that the report links are the same values: the evaluator gives them one content.
#include <catch2/catch.hpp>
#include <cmath>

#include "compiler/check.h"
#include "compiler/compile.h"
#include "tools/report/stages.h"

using namespace gradc;

namespace {

// What each id of a stage holds on random inputs, once for each value that has it.
using Contents = std::multimap<int, Tensor>;

// All values of a function, by ValueId, for all of its parameters as arguments.
std::vector<Tensor> eval_all(const Module& module, Function function,
                             std::span<const Tensor> arguments) {
  function.results.clear();
  for (uint32_t i = 0; i < function.values.size(); ++i)
    function.results.push_back({{i}, "", ""});
  return eval_closed(module, function, arguments);
}

void add_kernels(const Module& module, const StageFunction& stage,
                 const std::vector<Tensor>& values, Contents& contents) {
  for (size_t op = 0; op < stage.function->ops.size(); ++op) {
    const std::vector<int>& inside = stage.tracked.inside[op];
    if (inside.empty())
      continue;
    std::vector<Tensor> operands;
    for (ValueId operand : stage.function->ops[op].operands)
      operands.push_back(values[operand.index]);
    std::vector<Tensor> kernel_values =
        eval_all(module, module.function(stage.function->ops[op].callee), operands);
    for (size_t i = 0; i < inside.size(); ++i)
      contents.emplace(inside[i], kernel_values[i]);
  }
}

Contents contents_of(const Module& module, const StageFunction& stage) {
  const Function& function = *stage.function;
  State state = random_state(module, 1);
  std::vector<Tensor> given = random_arguments(function, 1), arguments;
  size_t next = 0;
  for (const Parameter& parameter : function.parameters)
    arguments.push_back(parameter.state.empty() ? given[next++] : state.at(parameter.state));
  std::vector<Tensor> values = eval_all(module, function, arguments);
  Contents contents;
  for (size_t i = 0; i < values.size(); ++i)
    contents.emplace(stage.tracked.ids[i], values[i]);
  add_kernels(module, stage, values, contents);
  return contents;
}

bool same(const Tensor& a, const Tensor& b) {
  double scale = 1e-30;
  for (double value : a.data)
    scale = std::isfinite(value) ? std::max(scale, std::abs(value)) : scale;
  for (size_t i = 0; i < a.data.size(); ++i)
    if (!(a.data[i] == b.data[i] || (std::isnan(a.data[i]) && std::isnan(b.data[i])) ||
          std::abs(a.data[i] - b.data[i]) <= 1e-9 * scale))
      return false;
  return a.data.size() == b.data.size();
}

std::vector<Stage> stages_of(const std::string& model, std::optional<int64_t> memory) {
  Options options;
  options.train = true;
  options.cpu = "x86-64-v3";
  options.memory = memory;
  std::vector<Stage> stages;
  stages.push_back(
      {"import", "", 0, load_model(GRADC_SOURCE_DIR "/tests/data/references/" + model, options)});
  PipelineObserver observer;
  observer.after_pass = [&](const PassRun& run) {
    stages.push_back({std::string(run.pass.name), "", 0, run.after});
  };
  compile(stages.front().module, options, observer);
  return stages;
}

}  // namespace

TEST_CASE("values that are linked have one content in all stages", "[report]") {
  auto model = GENERATE("transformer.model", "convnet.model", "recurrent.model");
  std::vector<Stage> stages = stages_of(model, std::nullopt);
  for (const std::string entry : {"train_step", "infer"}) {
    CAPTURE(model, entry);
    EntryStages followed = follow_entry(stages, entry);
    std::map<int, std::pair<size_t, Tensor>> first;  // by id: where it was first seen
    int compared = 0;
    for (size_t i = 0; i < stages.size(); ++i)
      for (const auto& [id, tensor] : contents_of(stages[i].module, followed[i].at(entry))) {
        auto [known, fresh] = first.try_emplace(id, i, tensor);
        if (fresh)
          continue;
        ++compared;
        CAPTURE(id, stages[known->second.first].pass, stages[i].pass, to_string(tensor.type));
        CHECK(same(known->second.second, tensor));
      }
    CHECK(compared > 100);
  }
}

TEST_CASE("every value that reaches the plan was known before", "[report]") {
  auto model = GENERATE("transformer.model", "convnet.model", "recurrent.model");
  CAPTURE(model);
  std::vector<Stage> stages = stages_of(model, std::nullopt);
  EntryStages followed = follow_entry(stages, "train_step");
  auto ids = [&](size_t stage) {
    std::set<int> known;
    const TrackedFunction& tracked = followed[stage].at("train_step").tracked;
    known.insert(tracked.ids.begin(), tracked.ids.end());
    for (const std::vector<int>& inside : tracked.inside)
      known.insert(inside.begin(), inside.end());
    return known;
  };
  size_t fuse = 0;
  while (stages[fuse].pass != "fuse")
    ++fuse;
  std::set<int> before = ids(fuse - 1);
  for (size_t stage = fuse; stage < stages.size(); ++stage)
    CHECK(ids(stage) == before);
}
