#include "tools/commands/plan_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "compiler/plan/core/order.h"
#include "compiler/plan/core/placement.h"
#include "compiler/plan/core/planner.h"
#include "ir/diagnostic.h"
#include "tools/commands/flags.h"
#include "tools/commands/output.h"
#include "tools/plan/instance.h"

namespace gradc {
namespace {

// "0.5x" is that share of `peak`; all else is a size.
int64_t budget_within(const std::string& text, int64_t peak) {
  double share = 0;
  const char* end = text.data() + text.size();
  auto [rest, status] = std::from_chars(text.data(), end, share);
  if (status != std::errc() || std::string_view(rest, end) != "x")
    return parse_bytes(text, "--budget");
  if (!(share > 0) || share > 1000)
    throw UserError("", fmt::format("--budget: got `{}`; a share of the peak is above 0", text),
                    Fault::command_line)
        .with_help("--budget 0.5x is half of the peak without recomputation");
  return static_cast<int64_t>(static_cast<double>(peak) * share);
}

class GraphPlan {
 public:
  explicit GraphPlan(const PlanGraphFlags& flags)
      : flags_(flags),
        instance_(read_instance(flags.graph)),
        order_(order()),
        base_(evaluate(instance_.problem, order_)),
        budget_(flags.budget.empty() ? base_.peak : budget_within(flags.budget, base_.peak)),
        planner_(instance_.problem, order_) {}

  void run() {
    check_can_write(flags_.plan_out);
    PlanOutcome outcome = planner_.plan(budget_, plan_effort(flags_.effort, flags_.seconds));
    if (!outcome.schedule)
      refuse();
    Placement placed = place(*outcome.schedule);
    if (!flags_.plan_out.empty())
      write_text(flags_.plan_out, nlohmann::json(placed.schedule).dump() + "\n");
    GRADC_CHECK(placed.peak <= budget_, "the plan is above its budget");
    if (flags_.json)
      print_json(placed, outcome.bound);
    else
      print(placed, outcome.bound);
  }

 private:
  Schedule order() const {
    try {
      return plain_order(instance_.problem);
    } catch (const UserError& error) {
      throw error.at(flags_.graph);
    }
  }

  Placement place(const Schedule& schedule) const {
    constexpr int64_t kWork = 20'000'000, kWorkOfKernel = 80'000;
    return place_schedule(instance_.problem, schedule, budget_,
                          kWork + kWorkOfKernel * instance_.problem.kernel_count());
  }

  double percent(int64_t overhead) const {
    return 100 * static_cast<double>(overhead) /
           static_cast<double>(std::max<int64_t>(1, base_.cost));
  }

  void print(const Placement& placed, const Bound& bound) const {
    double overhead = percent(placed.cost - base_.cost), least = percent(bound.overhead);
    double share =
        static_cast<double>(budget_) / static_cast<double>(std::max<int64_t>(1, base_.peak));
    fmt::print("{}: {} kernels\n", instance_.name, instance_.problem.kernels.size());
    fmt::print("without recomputation  peak {} bytes, cost {} ns\n", base_.peak, base_.cost);
    fmt::print("budget                 {} bytes, {:.3f} of that\n", budget_, share);
    fmt::print("plan                   peak {} bytes, cost {} ns, {} runs\n", placed.peak,
               placed.cost, placed.schedule.size());
    fmt::print("arena                  {} bytes\n", placed.offsets.bytes);
    fmt::print("overhead               {:.3f} %\n", overhead);
    fmt::print("bound                  {:.3f} %: no plan within the budget has less\n", least);
    fmt::print("gap                    {:.3f} points\n", overhead - least);
  }

  void print_json(const Placement& placed, const Bound& bound) const {
    double overhead = percent(placed.cost - base_.cost), least = percent(bound.overhead);
    nlohmann::ordered_json json;
    json["name"] = instance_.name;
    json["kernels"] = instance_.problem.kernels.size();
    json["base_peak"] = base_.peak;
    json["base_cost"] = base_.cost;
    json["budget"] = budget_;
    json["peak"] = placed.peak;
    json["arena"] = placed.offsets.bytes;
    json["cost"] = placed.cost;
    json["runs"] = placed.schedule.size();
    json["overhead_percent"] = overhead;
    json["bound_percent"] = least;
    json["gap_points"] = overhead - least;
    fmt::print("{}\n", json.dump(2));
  }

  [[noreturn]] void refuse() {
    BoundSearch::Floor floor = planner_.floor();
    Usage smallest =
        evaluate(instance_.problem, planner_.smallest({.steps = flags_.effort, .spent = {}}));
    throw UserError(flags_.graph,
                    fmt::format("needs {} bytes, but {} are allowed", smallest.peak, budget_),
                    Fault::impossible_budget)
        .with_note(
            fmt::format("{} bytes are the smallest budget that a plan was found for; recomputation "
                        "adds {:.1f} % to its time",
                        smallest.peak, percent(smallest.cost - base_.cost)))
        .with_note(fmt::format("no plan can do with less than {} bytes, because of kernel {}, `{}`",
                               floor.bytes, floor.kernel,
                               instance_.kernel_names[static_cast<size_t>(floor.kernel)]))
        .with_help(fmt::format("allow --budget {}", smallest.peak));
  }

  const PlanGraphFlags& flags_;
  PlanInstance instance_;
  Schedule order_;
  Usage base_;
  int64_t budget_;
  Planner planner_;
};

}  // namespace

void plan_graph(const PlanGraphFlags& flags) {
  GraphPlan(flags).run();
}

}  // namespace gradc
