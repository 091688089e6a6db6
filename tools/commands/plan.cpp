// gradc plan: where the bytes of the arena go, and what smaller budgets would cost.
#include "compiler/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>

#include "compiler/compile.h"
#include "compiler/entries.h"
#include "compiler/plan/report.h"
#include "ir/diagnostic.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"
#include "tools/commands/plan_graph.h"
#include "tools/progress.h"

namespace gradc {
namespace {

struct PlanFlags {
  ModelFlags model;
  bool infer = false;
  PlanGraphFlags graph;
};

struct Row {
  int64_t budget = 0;
  std::optional<MemoryReport> report;  // nullopt: impossible
  double bound = 0;  // no plan within the budget has less overhead
  std::string reason;
};

Row plan_within(const Module& fused, const PlanFlags& flags, std::string_view entry,
                std::optional<int64_t> budget) {
  Options options = flags.model.options;
  if (budget)
    options.memory = budget;
  Row row;
  row.budget = budget.value_or(0);
  try {
    Module planned = compile(fused, options);
    row.report = memory_report(planned, planned.function(entry), options);
    if (budget)
      row.bound = least_overhead(fused, fused.function(entry), options, *budget);
  } catch (const UserError& error) {
    if (error.fault() != Fault::impossible_budget || !budget)
      throw;
    row.reason = error.message();
  }
  return row;
}

void print_holders(const MemoryReport& report) {
  std::vector<Lifetime> holders = holders_at(report, report.peak_op);
  fmt::print("\nat the peak ({} live):\n", human_bytes(report.peak_bytes));
  for (size_t i = 0; i < std::min<size_t>(holders.size(), 10); ++i)
    fmt::print("  {:>10}  {}\n", human_bytes(holders[i].bytes), holders[i].name);
}

// A bar of the live bytes for each stretch of the step: the shape of the memory over time.
void print_timeline(const MemoryReport& report) {
  constexpr size_t kRows = 24, kColumns = 60;
  size_t ops = report.live_bytes.size();
  fmt::print("\nlive bytes over the step:\n");
  for (size_t row = 0; row < std::min(kRows, ops); ++row) {
    size_t begin = row * ops / std::min(kRows, ops), end = (row + 1) * ops / std::min(kRows, ops);
    int64_t most = *std::max_element(report.live_bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                                     report.live_bytes.begin() + static_cast<std::ptrdiff_t>(end));
    auto width = static_cast<size_t>(most * static_cast<int64_t>(kColumns) /
                                     std::max<int64_t>(report.peak_bytes, 1));
    fmt::print("  kernel {:5}  {:10}  {}\n", begin, human_bytes(most), std::string(width, '#'));
  }
}

void plan(PlanFlags& flags) {
  if (!flags.graph.graph.empty()) {
    flags.graph.json = flags.model.json;
    return plan_graph(flags.graph);
  }
  finish(flags.model);
  flags.model.options.train = !flags.infer;
  std::string entry(flags.infer ? kInfer : kTrainStep);
  PipelineObserver until_schedule;
  until_schedule.stop_after = "schedule";
  Module fused = compile(load_model(flags.model.model, flags.model.options), flags.model.options,
                         until_schedule);
  Row chosen = plan_within(fused, flags, entry, std::nullopt);
  constexpr std::array kPercents = {100, 90, 80, 70, 60, 50, 40, 30, 20, 10};
  Progress progress("plan", std::size(kPercents), flags.model.json);
  std::vector<Row> rows;
  for (int percent : kPercents) {
    int64_t budget = chosen.report->arena_bytes * percent / 100;
    progress.update(static_cast<int64_t>(rows.size()), human_bytes(budget));
    rows.push_back(plan_within(fused, flags, entry, budget));
  }
  progress.clear();
  if (flags.model.json) {
    nlohmann::ordered_json json;
    json["arena_bytes"] = chosen.report->arena_bytes;
    json["peak_bytes"] = chosen.report->peak_bytes;
    json["overhead"] = chosen.report->overhead();
    for (const Row& row : rows)
      json["budgets"].push_back(
          {{"budget", row.budget},
           {"arena_bytes", row.report ? nlohmann::json(row.report->arena_bytes) : nullptr},
           {"overhead", row.report ? nlohmann::json(row.report->overhead()) : nullptr},
           {"bound", row.report ? nlohmann::json(row.bound) : nullptr}});
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("{}: arena {} ({} bytes), overhead {:.2f} %\n\n", entry,
             human_bytes(chosen.report->arena_bytes), chosen.report->arena_bytes,
             100 * chosen.report->overhead());
  fmt::print("      budget       arena   recomputation     at least\n");
  for (const Row& row : rows)
    if (row.report)
      fmt::print(
          "{:>12}{:>12}   {:8.2f} %     {:7.2f} %  {}\n", human_bytes(row.budget),
          human_bytes(row.report->arena_bytes), 100 * row.report->overhead(), 100 * row.bound,
          std::string(static_cast<size_t>(std::min(50.0, 100 * row.report->overhead())), '*'));
    else
      fmt::print("{:>12}  impossible\n", human_bytes(row.budget));
  print_holders(*chosen.report);
  print_timeline(*chosen.report);
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("plan", "Show where the bytes go, and what smaller budgets would cost");
  auto flags = std::make_shared<PlanFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command->add_flag("--infer", flags->infer, "Inference instead of the training step");
  CLI::Option* graph =
      command
          ->add_option("--graph", flags->graph.graph,
                       "Instead of a model: a graph of kernels with costs and bytes, as JSON")
          ->type_name("FILE");
  command
      ->add_option("--budget", flags->graph.budget,
                   "Of a graph: bytes, e.g. 8MiB, or a share of the peak without recomputation, "
                   "e.g. 0.5x")
      ->needs(graph);
  command
      ->add_option("--plan-out", flags->graph.plan_out,
                   "Of a graph: write the kernels' ids in the order in which they run, as JSON")
      ->needs(graph)
      ->type_name("FILE");
  CLI::Option* effort =
      command
          ->add_option("--plan-effort", flags->graph.effort,
                       "Of a graph: how many times the usual steps of the search, e.g. 10")
          ->needs(graph)
          ->check(finite_number());
  command
      ->add_option("--plan-time", flags->graph.seconds,
                   "Of a graph: search for so many seconds instead of a number of steps")
      ->needs(graph)
      ->excludes(effort)
      ->check(finite_number());
  CLI::Option* model = command->get_option("model")->required(false)->excludes(graph);
  command->callback([flags, graph, model] {
    if (graph->count() + model->count() == 0)
      throw UserError("", "neither a model nor a --graph is given", Fault::command_line)
          .with_help("gradc plan --help");
    plan(*flags);
  });
}

}  // namespace gradc
