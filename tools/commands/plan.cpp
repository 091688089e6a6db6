// gradc plan: where the bytes of the arena go, and what smaller budgets would cost.
#include "compiler/plan/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>

#include "compiler/entries.h"
#include "compiler/plan/report.h"
#include "ir/diagnostic.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"
#include "tools/commands/output.h"
#include "tools/commands/plan_explain.h"
#include "tools/commands/plan_graph.h"
#include "tools/commands/step_timer.h"
#include "tools/compiled.h"
#include "tools/micro_batches.h"
#include "tools/plan/curve.h"
#include "tools/progress.h"

namespace gradc {
namespace {

struct PlanFlags {
  ModelFlags model;
  bool infer = false, measure = false, explain = false;
  double seconds = 1;
  std::string svg;
  PlanGraphFlags graph;
};

class ModelPlan {
 public:
  explicit ModelPlan(PlanFlags& flags) : flags_(flags), entry_(flags.infer ? kInfer : kTrainStep) {
    const Options& options = flags.model.options;
    Options with_budget = options;  // of some size: kernels that make values again come with one
    if (!options.makes_again())
      with_budget.memory = INT64_MAX;
    fused_ = after("recipes", load_model(flags.model.model, options), with_budget);
    chosen_ = plan_within(std::nullopt, &planned_);
    price_wishes();
  }

  void run() {
    constexpr int64_t kMostSteps = 9, kLeastStep = 200;  // of the arena, one part of so many
    Progress progress("plan", kMostSteps + 2, flags_.model.json);
    progress.update(0, "the smallest budget");
    int64_t most = chosen_.report.arena_bytes, least = smallest_budget();
    int64_t steps = std::min(kMostSteps, (most - least) / std::max<int64_t>(1, most / kLeastStep));
    for (int64_t step = 0; step <= steps; ++step) {
      int64_t budget = step == 0 ? most : most - (most - least) * step / steps;
      progress.update(step + 1, human_bytes(budget));
      rows_.push_back(plan_within(budget, nullptr));
    }
    progress.update(kMostSteps + 1, "measuring");
    measure();
    progress.clear();
    if (!flags_.svg.empty())
      write_text(flags_.svg, svg());
    flags_.model.json ? print_json() : print();
  }

 private:
  Module after(const std::string& pass, const Module& module, const Options& options) {
    PipelineObserver until;
    until.stop_after = pass;
    return compiled(module, options, flags_.model.cache, until);
  }

  // `planned` may be null.
  BudgetRow plan_within(std::optional<int64_t> budget, Module* planned) {
    ModelFlags flags = flags_.model;
    if (budget)
      flags.options.memory = budget;
    BudgetRow row;
    row.budget = budget.value_or(0);
    Module scheduled = after("schedule", fused_, flags.options);
    Module module = after("plan", scheduled, flags.options);
    row.report = memory_report(module, module.function(entry_), flags.options);
    if (row.report.recomputed.nanoseconds > 0) {
      const Function& entry = scheduled.function(entry_);
      row.bound = least_overhead(scheduled, entry, flags.options,
                                 budget_of(scheduled, entry, flags.options));
    }
    if (budget && flags_.measure)
      timed_.push_back(std::make_unique<Timed>(rows_.size(), fused_, flags, entry_));
    if (planned)
      *planned = std::move(module);
    return row;
  }

  // The least that a plan was found for, and why it is not less.
  int64_t smallest_budget() {
    Options options = flags_.model.options;
    options.memory = 1;
    try {
      compiled(fused_, options, flags_.model.cache);
    } catch (const UserError& error) {
      if (!error.enough_bytes())
        throw;
      refusal_ = error.tail();
      return std::min(*error.enough_bytes(), chosen_.report.arena_bytes);
    }
    return chosen_.report.arena_bytes;
  }

  // Plans without each wish, and without any.
  void price_wishes() {
    const Options& options = flags_.model.options;
    size_t wishes = options.keep.size() + options.recompute.size();
    auto plan_without = [&](const std::string& name, auto leave_out) {
      ModelFlags flags = flags_.model;
      leave_out(flags.options);
      Module module = compiled(fused_, flags.options, flags.cache);
      without_.push_back({name, memory_report(module, module.function(entry_), flags.options)});
    };
    for (auto [flag, patterns] :
         {std::pair("--keep", &Options::keep), std::pair("--recompute", &Options::recompute)})
      for (size_t i = 0; wishes > 1 && i < (options.*patterns).size(); ++i)
        plan_without(fmt::format("{} {}", flag, (options.*patterns)[i]), [&](Options& changed) {
          (changed.*patterns).erase((changed.*patterns).begin() + static_cast<std::ptrdiff_t>(i));
        });
    if (wishes > 0)
      plan_without("any wish", [](Options& changed) {
        changed.keep.clear();
        changed.recompute.clear();
      });
  }

  // A plan that can run.
  struct Timed {
    Timed(size_t number, const Module& fused, const ModelFlags& flags, const std::string& entry)
        : row(number), session(fused, flags), call(session, entry) {
      fill_inputs(call);
      call.set_scalar(kLearningRate, 0);  // the parameters stay as they are
      call.set_scalar(kTotalSteps, 1000);
    }
    size_t row;
    Session session;
    EntryCall call;
  };

  // In turns, so that what else the machine does hits all alike.
  void measure() {
    constexpr int kRounds = 5;
    for (int round = 0; round < kRounds; ++round)
      for (const std::unique_ptr<Timed>& timed : timed_) {
        std::optional<double>& least = rows_[timed->row].step_ms;
        double now = time_steps(timed->call, flags_.seconds / kRounds, nullptr).min;
        least = std::min(least.value_or(now), now);
      }
  }

  // Of a row's measured step over the first row's, as a share.
  std::optional<double> measured_overhead(const BudgetRow& row) const {
    if (!row.step_ms || !rows_[0].step_ms)
      return std::nullopt;
    return *row.step_ms / *rows_[0].step_ms * (1 + rows_[0].report.overhead()) - 1;
  }

  std::string svg() const {
    std::vector<CurvePoint> points;
    for (const BudgetRow& row : rows_)
      points.push_back({row.budget, row.report.overhead(), row.bound, measured_overhead(row)});
    return curve_svg(fmt::format("{} of {}: what memory costs", entry_, fused_.name), points);
  }

  void print_json() const {
    nlohmann::ordered_json json;
    json["arena_bytes"] = chosen_.report.arena_bytes;
    json["peak_bytes"] = chosen_.report.peak_bytes;
    json["overhead"] = chosen_.report.overhead();
    json["bound"] = chosen_.bound;
    for (const auto& [wish, report] : without_)
      json["without"].push_back(
          {{"wish", wish}, {"arena_bytes", report.arena_bytes}, {"overhead", report.overhead()}});
    for (const BudgetRow& row : rows_) {
      nlohmann::ordered_json line = {{"budget", row.budget},
                                     {"arena_bytes", row.report.arena_bytes},
                                     {"overhead", row.report.overhead()},
                                     {"bound", row.bound}};
      if (row.step_ms)
        line["step_ms"] = *row.step_ms;
      json["budgets"].push_back(std::move(line));
    }
    fmt::print("{}\n", json.dump(2));
  }

  void print() const {
    double overhead = 100 * chosen_.report.overhead(), bound = 100 * chosen_.bound;
    fmt::print(
        "{}: arena {} ({} bytes), overhead {:.2f} %, at least {:.2f} %, gap {:.2f} points\n\n",
        entry_, human_bytes(chosen_.report.arena_bytes), chosen_.report.arena_bytes, overhead,
        bound, overhead - bound);
    for (const auto& [wish, report] : without_)
      fmt::print("without {}: arena {} ({:+} bytes), overhead {:.2f} % ({:+.2f} points)\n", wish,
                 human_bytes(report.arena_bytes), report.arena_bytes - chosen_.report.arena_bytes,
                 100 * report.overhead(), 100 * report.overhead() - overhead);
    if (!without_.empty())
      fmt::print("\n");
    fmt::print("      budget       arena   recomputation     at least         gap{}\n",
               flags_.measure ? "     step, ms    measured" : "");
    for (const BudgetRow& row : rows_)
      print_row(row);
    print_refusal();
    print_holders(chosen_.report);
    if (flags_.explain)
      print_explanation(planned_, planned_.function(entry_), chosen_.report, flags_.model.options,
                        rows_);
    else
      print_timeline(chosen_.report);
  }

  void print_row(const BudgetRow& row) const {
    double overhead = 100 * row.report.overhead(), bound = 100 * row.bound;
    fmt::print("{:>12}{:>12}   {:8.2f} %     {:7.2f} %  {:8.2f} %", human_bytes(row.budget),
               human_bytes(row.report.arena_bytes), overhead, bound, overhead - bound);
    if (std::optional<double> more = measured_overhead(row))
      fmt::print("  {:10.3f}  {:8.2f} %", *row.step_ms, 100 * *more);
    else if (!flags_.measure)
      fmt::print("  {}", std::string(static_cast<size_t>(std::min(50.0, overhead)), '*'));
    fmt::print("\n");
  }

  void print_refusal() const;
  static void print_holders(const MemoryReport& report);
  static void print_timeline(const MemoryReport& report);

  PlanFlags& flags_;
  std::string entry_;
  Module fused_;  // before `schedule`, which depends on the budget
  Module planned_;
  BudgetRow chosen_;  // by --memory, or without a limit
  std::vector<std::pair<std::string, MemoryReport>> without_;  // what wishes
  std::vector<BudgetRow> rows_;
  std::string refusal_;  // of a budget below the smallest: notes and help
  std::vector<std::unique_ptr<Timed>> timed_;
};

// Why the last row is the last.
void ModelPlan::print_refusal() const {
  std::istringstream lines(refusal_);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with("note: "))
      fmt::print("\n{}", line.substr(6));
  fmt::print("\n");
}

void ModelPlan::print_holders(const MemoryReport& report) {
  std::vector<Lifetime> holders = holders_at(report, report.peak_op);
  fmt::print("\nat the peak ({} live):\n", human_bytes(report.peak_bytes));
  for (size_t i = 0; i < std::min<size_t>(holders.size(), 10); ++i)
    fmt::print("  {:>10}  {}\n", human_bytes(holders[i].bytes), holders[i].name);
}

// A bar of the live bytes for each stretch of the step: the shape of the memory over time.
void ModelPlan::print_timeline(const MemoryReport& report) {
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
    flags.graph.effort = flags.model.options.plan_effort;
    flags.graph.seconds = flags.model.options.plan_seconds;
    flags.graph.json = flags.model.json;
    return plan_graph(flags.graph);
  }
  finish(flags.model);
  flags.model.options.train = !flags.infer;
  settle_micro_batches(flags.model);
  check_can_write(flags.svg);
  ModelPlan(flags).run();
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("plan", "Show where the bytes go, and what smaller budgets would cost");
  auto flags = std::make_shared<PlanFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command->add_flag("--infer", flags->infer, "Inference instead of the training step");
  command->add_flag("--measure", flags->measure,
                    "Run each plan as well and show how long it takes");
  command->add_option("--seconds", flags->seconds, "How long to measure each plan")
      ->check(finite_number());
  command
      ->add_option("--svg", flags->svg,
                   "Write the curve of budgets and what they cost as a picture")
      ->type_name("FILE");
  command->add_flag("--explain", flags->explain,
                    "List the dearest bytes, the dearest recomputations and the cheapest next "
                    "budget");
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
  CLI::Option* model = command->get_option("model")->required(false)->excludes(graph);
  command->callback([flags, graph, model] {
    if (graph->count() + model->count() == 0)
      throw UserError("", "neither a model nor a --graph is given", Fault::command_line)
          .with_help("gradc plan --help");
    plan(*flags);
  });
}

}  // namespace gradc
