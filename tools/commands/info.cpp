// gradc info: what a model is, what it computes, and exactly how many bytes it takes.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "compiler/codegen/codegen.h"
#include "compiler/entries.h"
#include "compiler/kernel.h"
#include "compiler/plan/floor.h"
#include "compiler/plan/report.h"
#include "compiler/plan/storage.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"
#include "tools/commands/output.h"
#include "tools/compiled.h"
#include "tools/micro_batches.h"

namespace gradc {
namespace {

struct InfoFlags {
  ModelFlags model;
  bool train = false;
};

struct Facts {
  Module imported, planned;
  ParameterTotals parameters;
  std::map<std::string, MemoryReport> reports;  // by entry
  std::map<std::string, int64_t> floors;
};

Facts gather(InfoFlags& flags) {
  finish(flags.model);
  const Options& options = flags.model.options;
  flags.train |= !options.loss.empty() || options.train_mode;
  flags.model.options.train = flags.train;
  settle_micro_batches(flags.model);
  Facts facts;
  facts.imported = load_model(flags.model.model, flags.model.options);
  facts.planned = compiled(facts.imported, flags.model.options, flags.model.cache);
  facts.parameters = parameter_totals(facts.imported);
  for (std::string_view entry : {kInfer, kTrainStep})
    if (const Function* planned = facts.planned.find_function(entry)) {
      facts.reports[std::string(entry)] =
          memory_report(facts.planned, *planned, flags.model.options);
      facts.floors[std::string(entry)] = floor_bytes(facts.imported.function(entry));
    }
  return facts;
}

int64_t derived_bytes(const Module& planned) {
  int64_t bytes = 0;
  for (const StateTensor& state : planned.states)
    bytes += state.role == Role::derived ? aligned(state.type.bytes()) : 0;
  return bytes;
}

nlohmann::ordered_json to_json(const Facts& facts) {
  nlohmann::ordered_json json;
  json["model"] = facts.imported.name;
  for (const auto& [entry, report] : facts.reports) {
    std::string key = entry == kInfer ? "infer" : "train";
    json["arena_bytes"][key] = report.arena_bytes;
    json["floor_bytes"][key] = facts.floors.at(entry);
  }
  json["params_bytes"] = facts.parameters.bytes;
  json["state_bytes"] = state_bytes(facts.planned);
  json["derived_bytes"] = derived_bytes(facts.planned);
  json["parameters"] = facts.parameters.elements;
  const auto& work = facts.reports.contains(std::string(kTrainStep))
                         ? facts.reports.at(std::string(kTrainStep))
                         : facts.reports.at(std::string(kInfer));
  json["flops"] = {{"forward", work.forward.flops},
                   {"backward", work.backward.flops},
                   {"recomputed", work.recomputed.flops},
                   {"update", work.update.flops}};
  return json;
}

bool differentiable(const Module& module) {
  for (const Function& function : module.functions)
    if (function.name == kTrainStep)
      for (const Op& op : function.ops)
        if (def(op).kernel != KernelClass::control && !def(op).vjp && !def(op).expand)
          return false;
  return true;
}

void print_entry(const Facts& facts, const std::string& name) {
  const Function& entry = facts.imported.function(name);
  const MemoryReport& report = facts.reports.at(name);
  fmt::print("\n{}\n", name);
  print_signature(entry);
  fmt::print("  ops     {} as written, {} kernels\n", entry.ops.size(),
             facts.planned.function(name).ops.size());
  auto gigaflops = [](int64_t flops) { return static_cast<double>(flops) * 1e-9; };
  fmt::print("  GFLOP   forward {:.3f}", gigaflops(report.forward.flops));
  if (name == kTrainStep)
    fmt::print(", backward {:.3f}, update {:.3f}, recomputed {:.3f}",
               gigaflops(report.backward.flops), gigaflops(report.update.flops),
               gigaflops(report.recomputed.flops));
  fmt::print("\n  arena   {} ({} bytes); the most demanding op holds {}\n",
             human_bytes(report.arena_bytes), report.arena_bytes,
             human_bytes(facts.floors.at(name)));
  if (report.recomputed.flops > 0)
    fmt::print("  recomputation costs {:.2f} % of the step\n", 100 * report.overhead());
}

void print_text(const Facts& facts, const InfoFlags& flags) {
  fmt::print("{}: {} parameters ({}), state {}", facts.imported.name, facts.parameters.elements,
             human_bytes(facts.parameters.bytes), human_bytes(state_bytes(facts.planned)));
  if (int64_t bytes = derived_bytes(facts.planned))
    fmt::print(", of which {} are derived from weights before the first call", human_bytes(bytes));
  fmt::print("\n");
  if (flags.train)
    fmt::print("gradients: {}\n", differentiable(facts.imported) ? "yes" : "no");
  for (const StateTensor& state : facts.imported.states)
    fmt::print("  {:7} {:32} {}\n", name_of(state.role), state.name, to_string(state.type));
  for (const auto& [entry, unused] : facts.reports)
    print_entry(facts, entry);
}

}  // namespace

void add_info(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("info", "Show inputs, parameters, FLOPs and exact bytes of a model");
  auto flags = std::make_shared<InfoFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command->add_flag("--train", flags->train,
                    "Training as well as inference; so do --loss and --train-mode");
  command->callback([flags] {
    Facts facts = gather(*flags);
    if (flags->model.json)
      fmt::print("{}\n", to_json(facts).dump(2));
    else
      print_text(facts, *flags);
  });
}

}  // namespace gradc
