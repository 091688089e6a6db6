#include "compiler/plan/plan.h"

#include <algorithm>
#include <set>

#include "compiler/plan/checker.h"
#include "compiler/plan/core/order.h"
#include "compiler/plan/core/placement.h"
#include "compiler/plan/core/planner.h"
#include "compiler/plan/emit.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/report.h"
#include "compiler/plan/storage.h"
#include "compiler/plan/views.h"
#include "compiler/plan/wishes.h"
#include "ir/diagnostic.h"
#include "ir/print.h"

namespace gradc {

int64_t budget_of(const Module& module, const Function& entry, const Options& options) {
  int64_t budget = options.memory.value_or(INT64_MAX);
  if (options.memory_total)
    budget = std::min(budget, *options.memory_total - region_bytes(module, entry).total());
  return budget;
}

namespace {

class EntryPlanner {
 public:
  EntryPlanner(const Module& module, const Function& entry, const Options& options)
      : module_(module),
        original_(entry),
        entry_(with_copies(module, entry, options)),
        options_(options),
        steps_(kSteps * options.plan_effort),
        problem_(wished_problem(module, entry_, options)),
        order_(order_kernels(problem_)),
        planner_(problem_, order_) {}

  // The planned entry; nullopt where no plan within the budget is found.
  std::optional<Function> run(int64_t budget) {
    if (std::optional<Placement> placed = place_within(budget))
      return emit(*placed);
    smallest_ = place_smallest(budget);
    if (smallest_.offsets.bytes <= budget)
      return emit(smallest_);
    return std::nullopt;
  }

  // After run() found no plan: what would be enough for it, and what to say.
  int64_t enough_bytes() const { return smallest_.offsets.bytes; }
  UserError refusal(int64_t budget) {
    MemoryReport report = memory_report(module_, emit(smallest_), options_);
    int64_t needed = enough_bytes(), others = region_bytes(module_, entry_).total();
    UserError error("",
                    fmt::format("@{} needs an arena of {} bytes, but {} are allowed", entry_.name,
                                needed, std::max<int64_t>(0, budget)),
                    Fault::impossible_budget);
    if (options_.memory_total)
      error = error.with_note(
          fmt::format("of --memory-total, state, inputs and outputs take {} bytes", others));
    error =
        error.with_note(fmt::format("{} bytes are the smallest budget that a plan was found for; "
                                    "recomputation adds {:.1f} % to its time",
                                    needed, 100 * report.overhead()));
    if (BoundSearch::Floor floor = planner_.floor(); floor.kernel >= 0) {
      const Op& op = entry_.ops[problem_.op_of[floor.kernel].index];
      error = error.with_note(
          fmt::format("no plan can do with less than {} bytes, which @{} giving %{} needs{}",
                      floor.bytes, op.callee, unique_names(entry_)[op.result().index],
                      floor.alone ? " alone" : " with what has to be there meanwhile"));
    }
    if (int64_t without = options_.has_wishes() ? smallest_without_wishes() : needed;
        without < needed)
      error = error.with_note(
          fmt::format("without --keep and --recompute, {} bytes are the smallest", without));
    return error.with_note("at the peak of that plan: " + held_at_peak(report))
        .with_help(options_.memory_total ? fmt::format("allow --memory-total {}", needed + others)
                                         : fmt::format("allow --memory {}", needed))
        .with_enough_bytes(needed);
  }

 private:
  static constexpr double kSteps = 0.4;  // a compilation plans several entries
  static constexpr size_t kFew = 200;  // kernels, of which there is time to try more
  static constexpr size_t kMany = 1000;  // of which there is not even time for a few tries
  static constexpr size_t kVeryMany = 6000;
  static constexpr int64_t kPlacing = 30'000'000;  // of a try, about nanoseconds

  Placement place(const Schedule& schedule, int64_t budget) const {
    return place_schedule(problem_, schedule, budget, kPlacing);
  }

  // Where offsets leave holes, the schedule has to do with less: the cheapest that then fits.
  std::optional<Placement> place_within(int64_t budget) {
    std::optional<Placement> best;
    PlanEffort effort = plan_effort(steps_, options_.plan_seconds);
    auto try_aim = [&](int64_t aim) -> int64_t {
      std::optional<Schedule> schedule = planner_.plan(aim, effort).schedule;
      effort.spent = {};  // all the time is for the budget itself
      if (!schedule)
        return 0;
      if (best && evaluate(problem_, *schedule).cost >= best->cost)
        return 0;
      Placement placed = place(*schedule, budget);
      int64_t excess = std::max<int64_t>(0, placed.offsets.bytes - budget);
      if (excess == 0 && (!best || placed.cost < best->cost))
        best = std::move(placed);
      return excess;
    };
    int64_t excess = try_aim(budget);
    if (best && best->cost <= problem_.base_cost())
      return best;
    if (problem_.kernels.size() <= kFew) {
      // Plans of smaller budgets, the same ones for every budget: more bytes never cost time.
      constexpr int64_t kAims = 10;
      int64_t floor = kernel_floor(problem_).bytes, free = evaluate(problem_, order_).peak;
      for (int64_t step = kAims; step-- > 0;)
        if (int64_t aim = floor + (free - floor) * step / kAims; aim < budget)
          try_aim(aim);
    } else if (excess > 0) {
      // Holes are chance: another schedule of nearly as many bytes often has none.
      auto aim_at = [&](double share) {
        if (!best)
          try_aim(static_cast<int64_t>(static_cast<double>(budget) * share));
      };
      aim_at(0.998);
      if (problem_.kernels.size() > kVeryMany)  // a try takes seconds
        return best;
      aim_at(0.995);
      aim_at(0.99);
      if (!best)
        try_aim(budget - excess);
      aim_at(0.95);
      aim_at(0.8);
    }
    return best;
  }

  // Where offsets of the schedule with the lowest peak leave holes, one with a little more that is
  // cheaper often takes a smaller arena. Of those within the budget the cheapest.
  Placement place_smallest(int64_t budget) {
    constexpr double kNear = 1.01;
    auto rank = [&](const Placement& placed) {
      return std::pair(std::max(placed.offsets.bytes, budget), placed.cost);
    };
    // Not by the budget, so that a budget which is said to do does.
    Placement best = place(planner_.smallest({.steps = steps_, .spent = {}}), INT64_MAX);
    int64_t peak = best.peak, holes = best.offsets.bytes - peak;
    if (static_cast<double>(best.offsets.bytes) <= kNear * static_cast<double>(peak) ||
        problem_.kernels.size() > kMany)
      return best;
    for (double share : {0.05, 0.15, 0.3, 0.5, 0.75, 1.0}) {
      int64_t aim = peak + static_cast<int64_t>(static_cast<double>(holes) * share);
      if (std::optional<Schedule> schedule =
              planner_.plan(aim, {.steps = steps_, .spent = {}}).schedule)
        if (Placement placed = place(*schedule, aim); rank(placed) < rank(best))
          best = std::move(placed);
    }
    return best;
  }

  Function emit(const Placement& placed) const {
    return emit_plan(problem_, entry_, placed.schedule, placed.buffers, placed.offsets);
  }

  int64_t smallest_without_wishes() const {
    Options free = options_;
    free.keep.clear();
    free.recompute.clear();
    EntryPlanner planner(module_, original_, free);
    return planner.place_smallest(0).offsets.bytes;
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
  const Function& original_;
  Function entry_;  // with copies of what is wished to be made again
  const Options& options_;
  double steps_;  // of each search
  EntryProblem problem_;
  Schedule order_;
  Planner planner_;
  Placement smallest_;
};

void check(const Module& module, const Function& original, const Function& planned,
           const Options& options, int64_t budget) {
  try {
    check_memory(module, planned, options.threads, budget);
    check_computation(module, original, planned, options.invert);
  } catch (const UserError& error) {
    GRADC_CHECK(false, "the plan is wrong: {}", error.message());
  }
}

// Recipes that nobody wants, and what views stand for.
void drop_unused_kernels(Module& module) {
  std::set<std::string> called;
  for (const Function& function : module.functions)
    for (const Op& op : function.ops)
      called.insert(op.callee);
  std::erase_if(module.functions, [&](const Function& function) {
    return function.kind == FunctionKind::kernel && !called.contains(function.name);
  });
}

}  // namespace

Module plan(const Module& module, const Options& options) {
  check_wishes(module, options);
  Module planned = module;
  // What is said to be enough is so for all entries: those behind a refused one are planned as if
  // it had been allowed.
  std::optional<UserError> refusal;
  int64_t more = 0;
  for (size_t i = 0; i < module.functions.size(); ++i) {
    const Function& entry = module.functions[i];
    if (entry.kind != FunctionKind::entry)
      continue;
    int64_t allowed = budget_of(module, entry, options), budget = allowed + more;
    Function shown = with_views(module, entry, options);
    EntryPlanner planner(module, shown, options);
    if (std::optional<Function> within = planner.run(budget)) {
      check(module, entry, *within, options, budget);
      planned.functions[i] = *std::move(within);
    } else {
      more = planner.enough_bytes() - allowed;
      refusal = planner.refusal(allowed);
    }
  }
  if (refusal)
    throw *std::move(refusal);
  drop_unused_kernels(planned);
  return planned;
}

double least_overhead(const Module& module, const Function& entry, const Options& options,
                      int64_t budget) {
  Function shown = with_views(module, entry, options);
  EntryProblem problem = wished_problem(module, with_copies(module, shown, options), options);
  int64_t base = make_problem(module, shown, options).base_cost(),
          copies = problem.base_cost() - base;
  Bound bound = BoundSearch(problem, order_kernels(problem)).bound(budget);
  return static_cast<double>(bound.overhead + copies) /
         static_cast<double>(std::max<int64_t>(1, base));
}

void check_planned(const Module& module, const Options& options) {
  for (const Function& entry : module.functions) {
    if (entry.kind != FunctionKind::entry)
      continue;
    check_memory(module, entry, options.threads, std::nullopt);
    if (options.has_wishes())
      throw UserError(
          "",
          fmt::format("@{} is planned already, too late for --keep and --recompute", entry.name),
          Fault::command_line)
          .with_help("they hold when the module goes on from a stage before `plan`");
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
