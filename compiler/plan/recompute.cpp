#include "compiler/plan/recompute.h"

#include <vector>

#include "compiler/plan/core/order.h"
#include "compiler/plan/peak_cutter.h"
#include "compiler/plan/segments.h"

namespace gradc {
namespace {

class Fitter {
 public:
  Fitter(const Problem& problem, int64_t budget) : problem_(problem), budget_(budget) {}

  void try_from(const Schedule& start, CostWeight cost_weight) {
    CutOptions options{.budget = budget_, .cost_weight = cost_weight};
    if (best_)
      options.cost_limit = best_cost_;
    if (std::optional<Schedule> cut = cut_peaks(problem_, start, options))
      keep(undo_needless(problem_, std::move(*cut), budget_));
  }

  std::optional<Schedule> best() && { return std::move(best_); }

 private:
  void keep(Schedule schedule) {
    int64_t cost = evaluate(problem_, schedule).cost;
    if (best_ && cost >= best_cost_)
      return;
    best_ = std::move(schedule);
    best_cost_ = cost;
  }

  const Problem& problem_;
  int64_t budget_;
  std::optional<Schedule> best_;
  int64_t best_cost_ = 0;
};

}  // namespace

std::optional<Schedule> fit_into(const Problem& problem, const Schedule& order, int64_t budget) {
  if (evaluate(problem, order).peak <= budget)
    return order;
  if (kernel_floor(problem).bytes > budget)
    return std::nullopt;
  Fitter fitter(problem, budget);
  // An order with the lowest peak may put off what reads many values to the end, such as a sum of
  // weight gradients: good while all fits, and a second peak where the first one is cut.
  std::vector<Schedule> orders = {order};
  if (Schedule given = given_order(problem); given != order)
    orders.push_back(std::move(given));
  for (const Schedule& start : orders) {
    for (CostWeight cost_weight : {CostWeight::linear, CostWeight::root, CostWeight::steep})
      fitter.try_from(start, cost_weight);
    for (int segments : {2, 3, 4, 5, 6, 8, 11, 16, 23, 32})
      if (std::optional<Schedule> pieces = checkpoint_segments(problem, start, segments))
        fitter.try_from(*pieces, CostWeight::linear);
  }
  return std::move(fitter).best();
}

}  // namespace gradc
