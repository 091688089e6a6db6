#pragma once
// Plans within a budget: the cheapest schedule that is found, and how much better one could be.
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "compiler/plan/core/bound.h"
#include "compiler/plan/core/schedule.h"
#include "compiler/plan/core/search.h"

namespace gradc {

struct PlanEffort {
  // Multiplies the steps of the search. They are counted, not timed: the same problem and effort
  // give the same schedule on every machine.
  double steps = 1;
  // Instead: the share of the time that is gone, asked now and then.
  std::function<double()> spent;
};

// With `seconds`, which count from now on, the search ends then and plans differ from run to run.
PlanEffort plan_effort(double steps, const std::optional<double>& seconds);

struct PlanOutcome {
  std::optional<Schedule> schedule;  // nullopt: none was found within the budget
  Bound bound;
};

class Planner {
 public:
  // `order` runs every required kernel once; others are tried as well.
  Planner(const Problem& problem, Schedule order);

  PlanOutcome plan(int64_t budget, const PlanEffort& effort);
  // A schedule with as low a peak as is found. Looked for once.
  const Schedule& smallest(const PlanEffort& effort);
  // No schedule has a lower peak.
  BoundSearch::Floor floor();

 private:
  class Pool;
  // With what is cut from the orders, beginning with one, and from keeping the bound's choice of
  // values.
  void fill(Pool& pool, const Bound& bound, size_t first = 0);
  bool is_below_floor(int64_t budget);
  // Gives the number of the order whose chains fit, or 0.
  size_t try_chains(Pool& pool, const Bound& bound, int64_t budget, const PlanEffort& effort);
  Schedule find_smallest(const PlanEffort& effort);
  Schedule delayed(const Schedule& start, const PlanEffort& effort);
  Schedule squeezed_towards(int64_t least, const PlanEffort& effort);
  void try_smaller(Pool& pool, const Bound& bound, SearchSettings settings, int64_t work);

  const Problem& problem_;
  Schedule order_;
  std::vector<Schedule> orders_;  // order_ first
  BoundSearch bounds_;
  std::optional<BoundSearch::Floor> floor_;
  std::optional<int64_t> quick_floor_;
  std::optional<Schedule> smallest_;
};

}  // namespace gradc
