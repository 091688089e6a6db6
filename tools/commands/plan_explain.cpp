#include "tools/commands/plan_explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "compiler/plan/prices.h"
#include "ir/print.h"
#include "tools/commands/flags.h"

namespace gradc {
namespace {

constexpr size_t kShown = 10;

double percent(int64_t nanoseconds, const MemoryReport& report) {
  int64_t base =
      report.forward.nanoseconds + report.backward.nanoseconds + report.update.nanoseconds;
  return 100 * static_cast<double>(nanoseconds) / static_cast<double>(std::max<int64_t>(base, 1));
}

void print_held(const Module& module, const Function& planned, const MemoryReport& report,
                const Options& options) {
  std::vector<HeldValue> held = held_over_peak(module, planned, options);
  std::erase_if(held, [&](const HeldValue& value) {  // too small to matter
    return value.bytes < report.peak_bytes / 1000;
  });
  std::vector<std::string> names = unique_names(planned);
  fmt::print("\nthe dearest bytes held over the peak, and what making them again would cost:\n");
  if (held.empty())
    fmt::print("  none: all that is live there is used there\n");
  else
    fmt::print("     bytes   more time     per MiB  held over kernels  value\n");
  for (size_t i = 0; i < std::min(kShown, held.size()); ++i) {
    const HeldValue& value = held[i];
    std::string price = "      never           -", name = names[value.value.index];
    if (value.price) {
      double more = percent(*value.price, report);
      price = fmt::format("{:9.3f} %  {:8.3f} %", more,
                          more / (static_cast<double>(value.bytes) / (1 << 20)));
    }
    fmt::print("{:>10} {} {:8} to {:<6}  %{}\n", human_bytes(value.bytes), price, value.made_by,
               value.read_by, name);
  }
}

// Kernels that run again, by what their runs cost together.
void print_recomputed(const Function& planned, const MemoryReport& report) {
  struct Again {
    std::string value;
    int times = 0;
    int64_t bytes = 0, nanoseconds = 0;
  };
  std::map<std::string, Again> by_name;
  for (size_t i = 0; i < planned.ops.size(); ++i) {
    if (!report.recomputed_ops[i])
      continue;
    const Op& op = planned.ops[i];
    Again& again = by_name[planned[op.result()].name];
    again.value = planned[op.result()].name;
    ++again.times;
    again.nanoseconds += report.work[i].nanoseconds;
    again.bytes = 0;
    for (ValueId result : op.results)
      again.bytes += planned.type(result).bytes();
  }
  std::vector<Again> all;
  for (auto& [unused, again] : by_name)
    all.push_back(again);
  std::stable_sort(all.begin(), all.end(),
                   [](const Again& a, const Again& b) { return a.nanoseconds > b.nanoseconds; });
  if (all.empty())
    return;
  fmt::print("\nthe dearest recomputations:\n     bytes   more time  times  value\n");
  for (size_t i = 0; i < std::min(kShown, all.size()); ++i)
    fmt::print("{:>10} {:9.3f} %  {:5}  %{}\n", human_bytes(all[i].bytes),
               percent(all[i].nanoseconds, report), all[i].times, all[i].value);
}

}  // namespace

const BudgetRow* cheapest_next(const MemoryReport& now, const std::vector<BudgetRow>& rows) {
  const BudgetRow* best = nullptr;
  double least = 0;
  for (const BudgetRow& row : rows) {
    if (row.report.arena_bytes >= now.arena_bytes)
      continue;
    double price = (row.report.overhead() - now.overhead()) /
                   static_cast<double>(now.arena_bytes - row.report.arena_bytes);
    if (!best || price < least) {
      best = &row;
      least = price;
    }
  }
  return best;
}

void print_explanation(const Module& module, const Function& planned, const MemoryReport& report,
                       const Options& options, const std::vector<BudgetRow>& rows) {
  print_held(module, planned, report, options);
  print_recomputed(planned, report);
  if (const BudgetRow* next = cheapest_next(report, rows))
    fmt::print("\nthe cheapest next budget: --memory {} saves {} for {:.2f} % more time\n",
               next->report.arena_bytes, human_bytes(report.arena_bytes - next->report.arena_bytes),
               100 * (next->report.overhead() - report.overhead()));
  else
    fmt::print("\nno smaller budget has a plan\n");
}

}  // namespace gradc
