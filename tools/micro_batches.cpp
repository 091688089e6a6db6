#include "tools/micro_batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "compiler/entries.h"
#include "compiler/passes/accumulate.h"
#include "compiler/passes/batch_mixing.h"
#include "compiler/pipeline.h"
#include "compiler/plan/cost.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/plan.h"
#include "compiler/plan/report.h"
#include "ir/diagnostic.h"
#include "tools/compiled.h"

namespace gradc {
namespace {

constexpr std::string_view kAuto = "auto", kBatch = "batch";

const Function& step_of(const Module& module) {
  return module.function(std::string(kTrainStep));
}

// The gradients of micro-batches are those of the whole only where samples do not meet.
void refuse_mixed_samples(const Module& module, const Options& options) {
  constexpr const char* kHelp =
      "--accumulate N takes the mean of what N smaller batches give, whatever that is";
  for (const Result& result : step_of(module).results)
    if (!result.state.empty() && module.find_state(result.state)->role == Role::buffer)
      throw UserError(
          "",
          fmt::format("the training step updates @{} by its batch, and micro-batches have other "
                      "statistics than the whole",
                      result.state),
          Fault::command_line)
          .with_help(kHelp);
  Options parts = options;
  parts.expand_all = true;
  const std::string passes[] = {"simplify", "unroll", "expand", "simplify"};
  if (std::optional<BatchMixing> mixing =
          batch_mixing(step_of(run_passes(module, passes, parts, {}))))
    throw UserError(mixing->loc,
                    "micro-batches would not give the gradients of the batch: " + mixing->what,
                    Fault::command_line)
        .with_help(kHelp);
}

class MicroBatchChoice {
 public:
  explicit MicroBatchChoice(ModelFlags& flags) : flags_(flags) {
    Module whole = load_model(flags.model, flags.options);
    batch_ = batch_size(step_of(whole));
    refuse_mixed_samples(whole, flags.options);
  }

  void take(int64_t size) {
    if (size > batch_ || batch_ % size != 0)
      throw UserError("",
                      fmt::format("--micro-batch {} does not divide the batch of {}", size, batch_),
                      Fault::command_line);
    flags_.options = options_for(size);
    load(flags_.options, size);  // says so if the model cannot be cut
  }

  void take_fastest() {
    constexpr int64_t kMostParts = 64;  // the graph has all of them
    double least = std::numeric_limits<double>::max();
    int64_t best = 0, smallest = batch_;
    for (int64_t parts = 1; parts <= std::min(batch_, kMostParts); ++parts) {
      if (batch_ % parts != 0)
        continue;
      smallest = batch_ / parts;
      Options options = options_for(smallest);
      PipelineObserver until_schedule;
      until_schedule.stop_after = "schedule";
      Module scheduled = compiled(load(options, smallest), options, flags_.cache, until_schedule);
      double once = once_through(scheduled, options);
      if (once >= least)
        break;  // and more parts take longer still
      if (!may_fit(scheduled, options))
        continue;
      if (std::optional<double> more = recomputation(scheduled, options);
          more && once + *more < least) {
        least = once + *more;
        best = smallest;
      }
    }
    if (best == 0)
      refuse(smallest);
    take(best);
    if (!flags_.json)
      fmt::print(stderr, "micro-batches: {} of {} samples\n", batch_ / best, best);
  }

 private:
  Options options_for(int64_t size) const {
    Options options = flags_.options;
    options.binds[std::string(kBatch)] = size;
    options.accumulate = batch_ / size;
    return options;
  }

  Module load(const Options& options, int64_t size) const {
    Module module = load_model(flags_.model, options);
    if (int64_t seen = batch_size(step_of(module)); seen != size)
      throw UserError("",
                      fmt::format("micro-batches of {} cannot be had: the inputs begin with {}, "
                                  "whatever `batch` is",
                                  size, seen))
          .with_help("the first axis of the inputs has to be a size of the name `batch`");
    return module;
  }

  // What the step takes by the cost table without a budget.
  static double once_through(const Module& scheduled, const Options& options) {
    const Function& step = step_of(scheduled);
    double sum = 0;
    for (const Op& op : step.ops)
      if (!op.callee.empty())
        sum += static_cast<double>(cost_of_call(scheduled, step, op, cost_table(options.cpu)));
    return sum;
  }

  // False when some kernel alone takes more than the budget: a quick look.
  static bool may_fit(const Module& scheduled, const Options& options) {
    const Function& step = step_of(scheduled);
    return kernel_floor(make_problem(scheduled, step, options)).bytes <=
           budget_of(scheduled, step, options);
  }

  // What the budget costs; nullopt if it cannot be met.
  std::optional<double> recomputation(const Module& scheduled, const Options& options) const {
    try {
      Module planned = compiled(scheduled, options, flags_.cache);
      return static_cast<double>(
          memory_report(planned, step_of(planned), options).recomputed.nanoseconds);
    } catch (const UserError& error) {
      if (error.fault() != Fault::impossible_budget)
        throw;
      return std::nullopt;
    }
  }

  [[noreturn]] void refuse(int64_t size) const {
    Options options = options_for(size);
    try {
      compiled(load(options, size), options, flags_.cache);
    } catch (const UserError& error) {
      throw error.with_note(fmt::format("that is with micro-batches of {}", size));
    }
    GRADC_CHECK(false, "micro-batches of {} were over the budget before", size);
  }

  ModelFlags& flags_;
  int64_t batch_ = 0;
};

}  // namespace

void settle_micro_batches(ModelFlags& flags) {
  const Options& options = flags.options;
  if (flags.micro_batch.empty())
    return;
  auto bad = [](const std::string& message) { throw UserError("", message, Fault::command_line); };
  if (!options.train || !options.update)
    bad("--micro-batch is of the training step, which is not compiled here");
  if (options.accumulate > 1)
    bad("--micro-batch cuts the batch and --accumulate takes several; they exclude one another");
  if (flags.micro_batch == kAuto && !options.memory && !options.memory_total)
    bad("--micro-batch auto needs a budget to meet: --memory or --memory-total");
  try {
    MicroBatchChoice choice(flags);
    if (flags.micro_batch == kAuto)
      choice.take_fastest();
    else
      choice.take(parse_integer(flags.micro_batch, "--micro-batch", 1));
  } catch (const UserError& error) {
    throw error.place().empty() ? error.at(flags.model) : error;
  }
}

}  // namespace gradc
