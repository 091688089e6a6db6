// gradc check: whether a model can be taken, and all that is in the way at once.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "compiler/compile.h"
#include "compiler/entries.h"
#include "compiler/import/onnx/onnx_file.h"
#include "compiler/import/onnx/onnx_import.h"
#include "compiler/passes/gradient_gaps.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"
#include "tools/commands/output.h"

namespace gradc {
namespace {

using onnx::Problem;

struct CheckFlags {
  ModelFlags model;
  bool train = false;
};

struct Facts {
  std::vector<Problem> problems;
  std::vector<std::string> needs;  // flags, with what was assumed for the check
  std::vector<std::string> notes;
  std::optional<onnx::Model> onnx;
  std::optional<Module> module;  // when there are no problems
};

Problem missing_gradient(const Op& op) {
  Problem problem;
  problem.kind = Problem::Kind::gradient;
  problem.place = op.loc;
  problem.op = def(op).name;
  problem.message =
      fmt::format("`{}` is not differentiable, but parameters depend on it", def(op).name);
  problem.cure = "freeze the parameters before it: --freeze PATTERN";
  return problem;
}

// What an exporter may have folded does not come back for training.
void note_missing_norms(const onnx::Model& model, std::vector<std::string>& notes) {
  std::map<std::string, int64_t> counts;
  for (const onnx::Node& node : model.graph.nodes)
    ++counts[node.op_type];
  if (counts["Conv"] > 0 && counts["BatchNormalization"] == 0)
    notes.push_back(
        "there are convolutions but no BatchNormalization: if the network had some, the exporter "
        "folded them, and they cannot come back; export in training mode to keep them");
}

void import_onnx_file(CheckFlags& flags, Facts& facts) {
  Options& options = flags.model.options;
  facts.onnx = onnx::read_onnx(flags.model.model);
  facts.needs = onnx::assume_open_sizes(*facts.onnx, options);
  facts.module = onnx::try_import(*facts.onnx, options, facts.problems);
  if (options.train)
    note_missing_norms(*facts.onnx, facts.notes);
}

Facts gather(CheckFlags& flags) {
  finish(flags.model);
  Facts facts;
  Options& options = flags.model.options;
  options.train = flags.train;
  options.warn = [&](const std::string& message) { facts.notes.push_back(message); };
  try {
    if (std::filesystem::path(flags.model.model).extension() == ".onnx")
      import_onnx_file(flags, facts);
    else
      facts.module = load_model(flags.model.model, options);
  } catch (const UserError& error) {
    if (error.fault() == Fault::command_line)
      throw;
    facts.problems.push_back(onnx::problem_of(error));
  }
  if (facts.module)
    for (const Op& op : ops_without_gradient(*facts.module, options))
      facts.problems.push_back(missing_gradient(op));
  return facts;
}

// "53 Conv, 49 Relu, 1 Gemm"
std::string counted_ops(const onnx::Graph& graph) {
  std::map<std::string, int64_t> counts;
  for (const onnx::Node& node : graph.nodes)
    ++counts[node.op_type];
  std::vector<std::pair<std::string, int64_t>> sorted(counts.begin(), counts.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text;
  for (const auto& [op, count] : sorted)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, op);
  return text;
}

int64_t forward_flops(const Module& module) {
  int64_t flops = 0;
  const Function& infer = module.function(kInfer);
  for (const Op& op : infer.ops)
    flops += flops_of(infer, op);
  return flops;
}

void print_module(const Module& module) {
  const Function& infer = module.function(kInfer);
  print_signature(infer);
  auto [elements, bytes] = parameter_totals(module);
  fmt::print("  {} parameters ({}), {:.3f} GFLOP forward\n", elements, human_bytes(bytes),
             static_cast<double>(forward_flops(module)) * 1e-9);
}

// Problems that say the same, with all of their places.
void print_problems(const std::vector<Problem>& problems) {
  std::vector<bool> done(problems.size());
  for (size_t i = 0; i < problems.size(); ++i) {
    if (done[i])
      continue;
    fmt::print("{}: {}\n", name_of(problems[i].kind), problems[i].message);
    for (size_t j = i; j < problems.size(); ++j)
      if (problems[j].kind == problems[i].kind && problems[j].message == problems[i].message) {
        done[j] = true;
        fmt::print("  at {}\n", problems[j].place);
      }
    if (!problems[i].cure.empty())
      fmt::print("  help: {}\n", problems[i].cure);
  }
}

void print_text(const Facts& facts, const CheckFlags& flags) {
  if (facts.onnx)
    fmt::print("{}: opset {}, {} nodes: {}\n", flags.model.model,
               facts.onnx->opsets.contains("") ? facts.onnx->opsets.at("") : 0,
               facts.onnx->graph.nodes.size(), counted_ops(facts.onnx->graph));
  if (facts.module)
    print_module(*facts.module);
  for (const std::string& need : facts.needs)
    fmt::print("  needs a size, e.g. {}, as assumed here\n", need);
  for (const std::string& note : facts.notes)
    fmt::print("  note: {}\n", note);
  print_problems(facts.problems);
  if (facts.problems.empty())
    fmt::print("it can be {}\n", flags.train ? "trained" : "taken");
}

nlohmann::ordered_json to_json(const Facts& facts, const CheckFlags& flags) {
  nlohmann::ordered_json json;
  json["model"] = flags.model.model;
  json["ok"] = facts.problems.empty();
  json["needs"] = facts.needs;
  json["notes"] = facts.notes;
  if (facts.onnx)
    json["opset"] = facts.onnx->opsets.contains("") ? facts.onnx->opsets.at("") : 0;
  if (facts.module) {
    const Function& infer = facts.module->function(kInfer);
    for (const Parameter& parameter : infer.parameters)
      if (parameter.state.empty() && !is_control_input(infer[parameter.value].name))
        json["inputs"][infer[parameter.value].name] = to_string(infer.type(parameter.value));
    for (const Result& result : infer.results)
      if (result.state.empty())
        json["outputs"][result.name] = to_string(infer.type(result.value));
    auto [elements, bytes] = parameter_totals(*facts.module);
    json["parameters"] = elements;
    json["params_bytes"] = bytes;
    json["flops"] = forward_flops(*facts.module);
  }
  json["problems"] = nlohmann::ordered_json::array();
  for (const Problem& problem : facts.problems)
    json["problems"].push_back({{"kind", name_of(problem.kind)},
                                {"place", problem.place},
                                {"node", problem.node},
                                {"op", problem.op},
                                {"message", problem.message},
                                {"cure", problem.cure}});
  return json;
}

void check(CheckFlags& flags) {
  Facts facts = gather(flags);
  if (flags.model.json)
    // Names come from files and may be anything.
    fmt::print("{}\n", to_json(facts, flags)
                           .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  else
    print_text(facts, flags);
  std::fflush(stdout);
  if (!facts.problems.empty())
    throw UserError(flags.model.model,
                    fmt::format("cannot be {}: {} problem{}", flags.train ? "trained" : "taken",
                                facts.problems.size(), facts.problems.size() == 1 ? "" : "s"));
}

}  // namespace

void add_check(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "check", "List all that keeps a model from being compiled, by node, with cures");
  auto flags = std::make_shared<CheckFlags>();
  add_model_flags(*command, flags->model);
  command->add_flag("--train", flags->train, "Training, too: the loss and all gradients");
  command->add_option("--freeze", flags->model.options.frozen,
                      "No gradient for parameters of this pattern");
  command->callback([flags] { check(*flags); });
}

}  // namespace gradc
