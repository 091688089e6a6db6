#pragma once
// gradc plan --explain: what bytes are worth under a plan, and which budget to take next.
#include <optional>
#include <string>
#include <vector>

#include "compiler/options.h"
#include "compiler/plan/report.h"
#include "ir/module.h"

namespace gradc {

struct BudgetRow {
  int64_t budget = 0;
  MemoryReport report;
  double bound = 0;  // no plan within the budget has less overhead
  std::optional<double> step_ms;  // the least measured
};

// The ten dearest bytes that are held over the peak, the ten dearest recomputations, and the
// cheapest next budget among `rows`, which are below that of `planned`.
void print_explanation(const Module& module, const Function& planned, const MemoryReport& report,
                       const Options& options, const std::vector<BudgetRow>& rows);

// The row that saves bytes at the least time each; nullptr when none saves any.
const BudgetRow* cheapest_next(const MemoryReport& now, const std::vector<BudgetRow>& rows);

}  // namespace gradc
