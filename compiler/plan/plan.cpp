#include "compiler/plan/plan.h"

#include <algorithm>

#include "compiler/plan/checker.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/emit.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/improve.h"
#include "compiler/plan/recompute.h"
#include "compiler/plan/report.h"
#include "compiler/plan/storage.h"
#include "ir/diagnostic.h"

namespace gradc {

int64_t budget_of(const Module& module, const Function& entry, const Options& options) {
  int64_t budget = options.memory.value_or(INT64_MAX);
  if (options.memory_total)
    budget = std::min(budget, *options.memory_total - region_bytes(module, entry).total());
  return budget;
}

namespace {

struct Placed {
  Schedule schedule;
  Buffers buffers;
  Offsets offsets;
};

class EntryPlanner {
 public:
  EntryPlanner(const Module& module, const Function& entry, const Options& options)
      : module_(module),
        entry_(entry),
        options_(options),
        problem_(make_problem(module, entry, options)),
        order_(order_kernels(problem_)) {}

  Function run(int64_t budget) {
    Placed free = place(order_);
    if (free.offsets.bytes <= budget)
      return emit(free);
    if (std::optional<Placed> placed = place_within(budget))
      return emit(make_cheaper(std::move(*placed), budget));
    Placed smallest = find_smallest(std::move(free));
    if (smallest.offsets.bytes <= budget)
      return emit(make_cheaper(std::move(smallest), budget));
    refuse(budget, smallest);
  }

 private:
  Placed place(const Schedule& schedule) const {
    Placed placed{schedule, buffers_of(problem_, schedule), {}};
    placed.offsets = place_buffers(placed.buffers.buffers);
    return placed;
  }

  // Where offsets leave holes, the schedule has to do with less.
  std::optional<Placed> place_within(int64_t budget) const {
    constexpr int kTries = 6;
    int64_t aim = budget;
    for (int tries = 0; tries < kTries; ++tries) {
      std::optional<Schedule> schedule = fit_into(problem_, order_, aim);
      if (!schedule)
        return std::nullopt;
      Placed placed = place(*schedule);
      if (placed.offsets.bytes <= budget)
        return placed;
      aim -= placed.offsets.bytes - budget;
    }
    return std::nullopt;
  }

  Placed make_cheaper(Placed placed, int64_t budget) const {
    constexpr int kTries = 3;
    int64_t aim = budget;
    for (int tries = 0; tries < kTries; ++tries) {
      Placed cheaper = place(improve(problem_, placed.schedule, aim));
      if (cheaper.offsets.bytes <= budget)
        return cheaper;
      aim -= cheaper.offsets.bytes - budget;
    }
    return placed;
  }

  // Halves the distance to the proved floor while plans are found.
  Placed find_smallest(Placed smallest) const {
    constexpr int kProbes = 12;
    int64_t impossible = kernel_floor(problem_).bytes - 1;
    for (int probes = 0; probes < kProbes; ++probes) {
      int64_t budget = impossible + (smallest.offsets.bytes - impossible) / 2;
      if (budget >= smallest.offsets.bytes || budget <= impossible)
        break;
      if (std::optional<Placed> placed = place_within(budget))
        smallest = std::move(*placed);
      else
        impossible = budget;
    }
    return smallest;
  }

  Function emit(const Placed& placed) const {
    return emit_plan(problem_, entry_, placed.schedule, placed.buffers, placed.offsets);
  }

  [[noreturn]] void refuse(int64_t budget, const Placed& smallest) const {
    MemoryReport report = memory_report(module_, emit(smallest), options_);
    int64_t needed = smallest.offsets.bytes, others = region_bytes(module_, entry_).total();
    UserError error("",
                    fmt::format("@{} needs an arena of {} bytes, but {} are allowed", entry_.name,
                                needed, std::max<int64_t>(0, budget)),
                    Fault::impossible_budget);
    if (options_.memory_total)
      error = error.with_note(
          fmt::format("of --memory-total, state, inputs and outputs take {}", others));
    error =
        error.with_note(fmt::format("{} is the smallest budget that a plan was found for; "
                                    "recomputation adds {:.1f} % to its time",
                                    needed, 100 * report.overhead()));
    if (KernelFloor floor = kernel_floor(problem_); floor.kernel >= 0) {
      const Op& op = entry_.ops[problem_.op_of[floor.kernel].index];
      error = error.with_note(
          fmt::format("no plan can do with less than {}, which @{} giving %{} needs alone",
                      floor.bytes, op.callee, entry_[op.result()].name));
    }
    throw error.with_note("at the peak of that plan: " + held_at_peak(report))
        .with_help(options_.memory_total ? fmt::format("allow --memory-total {}", needed + others)
                                         : fmt::format("allow --memory {}", needed));
  }

  static std::string held_at_peak(const MemoryReport& report) {
    constexpr size_t kShown = 8;
    std::vector<Lifetime> holders = holders_at(report, report.peak_op);
    std::string text;
    for (size_t i = 0; i < std::min(kShown, holders.size()); ++i)
      text += fmt::format("{}{} {}", i ? ", " : "", holders[i].name, holders[i].bytes);
    if (holders.size() > kShown)
      text += fmt::format(", and {} more", holders.size() - kShown);
    return text;
  }

  const Module& module_;
  const Function& entry_;
  const Options& options_;
  EntryProblem problem_;
  Schedule order_;
};

void check(const Module& module, const Function& original, const Function& planned, int threads,
           int64_t budget) {
  try {
    check_memory(module, planned, threads, budget);
    check_computation(original, planned);
  } catch (const UserError& error) {
    GRADC_CHECK(false, "the plan is wrong: {}", error.message());
  }
}

}  // namespace

Module plan(const Module& module, const Options& options) {
  Module planned = module;
  for (size_t i = 0; i < module.functions.size(); ++i) {
    const Function& entry = module.functions[i];
    if (entry.kind != FunctionKind::entry)
      continue;
    int64_t budget = budget_of(module, entry, options);
    planned.functions[i] = EntryPlanner(module, entry, options).run(budget);
    check(module, entry, planned.functions[i], options.threads, budget);
  }
  return planned;
}

void check_planned(const Module& module, const Options& options) {
  for (const Function& entry : module.functions) {
    if (entry.kind != FunctionKind::entry)
      continue;
    check_memory(module, entry, options.threads, std::nullopt);
    int64_t budget = budget_of(module, entry, options);
    if (*entry.arena_bytes > budget)
      throw UserError("",
                      fmt::format("@{} is planned already: its arena takes {} bytes, but {} are "
                                  "allowed",
                                  entry.name, *entry.arena_bytes, std::max<int64_t>(0, budget)),
                      Fault::impossible_budget)
          .with_help("a budget is kept when the module goes on from a stage before `plan`");
  }
}

}  // namespace gradc
