#include "tools/report/data.h"

#include <algorithm>
#include <sstream>

#include "compiler/compile.h"
#include "compiler/entries.h"
#include "compiler/kernel.h"
#include "compiler/lower/lower.h"
#include "compiler/plan/floor.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/report.h"
#include "compiler/plan/storage.h"
#include "ir/diagnostic.h"
#include "ir/loop_text.h"
#include "ir/op_def.h"
#include "ir/print.h"
#include "tools/report/plan_data.h"
#include "tools/report/stages.h"

namespace gradc {
namespace {

using Json = nlohmann::ordered_json;

std::vector<Stage> run_stages(const Module& imported, const Options& options) {
  std::vector<Stage> stages;
  // A dump goes on after the pass that it was written after.
  std::vector<std::string> done = passes_run(imported);
  stages.push_back({done.empty() ? "import" : done.back(),
                    "the model as it was read, one function for each use of it", 0, imported});
  PipelineObserver observer;
  observer.after_pass = [&](const PassRun& run) {
    stages.push_back(
        {std::string(run.pass.name), std::string(run.pass.reason), run.seconds, run.after});
  };
  compile(imported, options, observer);
  return stages;
}

Json text_lines(const std::string& text, StringTable& strings) {
  Json lines = Json::array();
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    lines.push_back(strings.add(line));
  return lines;
}

Json kernel_json(const Function& kernel, const Options& options, StringTable& strings) {
  Json lines = Json::array(), names = Json::array();
  for (const TextLine& line : lines_of(kernel)) {
    const std::string loc = line.op == TextLine::kNone ? "" : kernel.ops[line.op].loc;
    lines.push_back(strings.add(line.text));
    lines.push_back(loc.empty() ? -1 : strings.add(loc));
  }
  for (const std::string& name : unique_names(kernel))
    names.push_back(strings.add(name));
  return {{"name", kernel.name},
          {"class", kernel_class(kernel)},
          {"scratch_bytes", scratch_bytes(kernel, options.threads)},
          {"lines", lines},
          {"names", names},
          {"loops", text_lines(print(lower(kernel, options.target, options.threads)), strings)}};
}

Json states_json(const Module& module) {
  Json json = Json::array();
  for (const StateTensor& state : module.states)
    json.push_back({{"name", state.name},
                    {"type", to_string(state.type)},
                    {"role", name_of(state.role)},
                    {"bytes", state.type.bytes()}});
  return json;
}

Json settings_json(const ReportRequest& request) {
  Json json = Json::array();
  for (const auto& [name, value] : request.settings)
    json.push_back({name, value});
  return json;
}

template <class Int>
Json or_null(const std::optional<Int>& value) {
  return value ? Json(*value) : Json(nullptr);
}

// train_step before infer before what else there is.
std::vector<std::string> entry_names(const Module& module) {
  std::vector<std::string> names;
  for (const Function& function : module.functions)
    if (function.kind == FunctionKind::entry)
      names.push_back(function.name);
  auto rank = [](const std::string& name) {
    return name == kTrainStep ? 0 : name == kInfer ? 1 : name == kInit ? 3 : 2;
  };
  std::stable_sort(names.begin(), names.end(),
                   [&](const std::string& a, const std::string& b) { return rank(a) < rank(b); });
  return names;
}

// What no plan of the entry within the budget can be below, as a share of its time; null where
// nothing is made again, or where the stage before `plan` is not known.
Json bound_json(const std::vector<Stage>& stages, const std::string& name, const Options& options) {
  const Module& planned = stages.back().module;
  if (memory_report(planned, planned.function(name), options).overhead() == 0)
    return nullptr;
  for (const Stage& stage : stages)
    if (stage.pass == "schedule") {
      const Function& entry = stage.module.function(name);
      return least_overhead(stage.module, entry, options, budget_of(stage.module, entry, options));
    }
  return nullptr;
}

Json entry_json(const std::vector<Stage>& stages, const std::string& name, const Options& options,
                const std::map<std::string, int>& kernels, StringTable& strings) {
  const Module& planned = stages.back().module;
  EntryStages followed = follow_entry(stages, name);
  auto written = std::find_if(stages.begin(), stages.end(), [&](const Stage& stage) {
    return stage.module.find_function(name) != nullptr;
  });
  Json json = {{"name", name},
               {"floor_bytes", floor_bytes(written->module.function(name))},
               {"bound", bound_json(stages, name, options)},
               {"stages", stages_json(stages, followed, name, strings)}};
  json.update(plan_json(planned, planned.function(name), followed.back().at(name).tracked, options,
                        kernels, strings));
  return json;
}

}  // namespace

nlohmann::ordered_json report_data(const Module& imported, const ReportRequest& request) {
  const Options& options = request.options;
  if (entry_names(imported).empty())
    throw UserError(request.file, "it has no entry, so nothing in it runs");
  std::vector<Stage> stages = run_stages(imported, options);
  const Module& planned = stages.back().module;
  StringTable strings;
  std::map<std::string, int> kernels;
  Json kernels_json = Json::array(), entries = Json::array();
  for (const Function& function : planned.functions)
    if (function.kind == FunctionKind::kernel) {
      kernels[function.name] = static_cast<int>(kernels_json.size());
      kernels_json.push_back(kernel_json(function, options, strings));
    }
  for (const std::string& name : entry_names(planned))
    entries.push_back(entry_json(stages, name, options, kernels, strings));
  int64_t parameters = 0, parameter_bytes = 0;
  for (const StateTensor& state : imported.states)
    if (state.role == Role::parameter) {
      parameters += state.type.elements();
      parameter_bytes += state.type.bytes();
    }
  Json json = {{"gradc", request.version},
               {"model", imported.name},
               {"file", request.file},
               {"settings", settings_json(request)},
               {"source", text_lines(request.source, strings)},
               {"total_budget_bytes", or_null(options.memory_total)},
               {"parameters", parameters},
               {"parameter_bytes", parameter_bytes},
               {"states", states_json(planned)},
               {"kernels", std::move(kernels_json)},
               {"entries", std::move(entries)}};
  json["strings"] = strings.texts();
  return json;
}

bool has_places_in(const Module& module, const std::string& file) {
  auto in_file = [&](const Op& op) {
    size_t line = file.size() + 1;
    return op.loc.starts_with(file + ":") && line < op.loc.size() && op.loc[line] >= '1' &&
           op.loc[line] <= '9';
  };
  return std::any_of(module.functions.begin(), module.functions.end(), [&](const Function& f) {
    return std::any_of(f.ops.begin(), f.ops.end(), in_file);
  });
}

}  // namespace gradc
