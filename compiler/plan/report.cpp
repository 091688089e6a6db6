#include "compiler/plan/report.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <tuple>

#include "compiler/kernel.h"
#include "compiler/plan/cost.h"
#include "compiler/plan/entry_problem.h"
#include "compiler/plan/views.h"
#include "ir/op_def.h"
#include "ir/print.h"

namespace gradc {
namespace {

std::vector<Lifetime> lifetimes_of(const Module& module, const Function& entry, int threads) {
  constexpr int kNone = Lifetime::kNone;
  std::vector<Storage> storage = storage_of(module, entry);
  std::vector<std::string> names = unique_names(entry);
  std::vector<Lifetime> lifetimes;
  std::vector<int> of_value(entry.values.size(), kNone);  // views have that of their operand
  for (int i = 0; i < static_cast<int>(entry.ops.size()); ++i) {
    const Op& op = entry.ops[i];
    if (is_view(op)) {
      of_value[op.result().index] = of_value[op.operand(0).index];
      continue;
    }
    for (ValueId operand : op.operands)
      if (int lifetime = of_value[operand.index]; lifetime != kNone)
        lifetimes[lifetime].last = i;
    for (ValueId result : op.results)
      if (storage[result.index].region == Region::arena) {
        of_value[result.index] = static_cast<int>(lifetimes.size());
        lifetimes.push_back({"%" + names[result.index], aligned(entry.type(result).bytes()),
                             entry[result].offset.value_or(0), i, i, result});
      }
    if (int64_t bytes = scratch_bytes(module.function(op.callee), threads))
      lifetimes.push_back({"scratch of @" + op.callee, bytes, op.attrs.integer_or("scratch_at", 0),
                           i, i, ValueId{}});
  }
  return lifetimes;
}

// A result that starts at the bytes of an operand that is read for the last time is made in place.
void find_in_place(std::vector<Lifetime>& lifetimes, size_t ops) {
  std::vector<std::vector<int>> ending(ops);
  for (size_t i = 0; i < lifetimes.size(); ++i)
    ending[lifetimes[i].last].push_back(static_cast<int>(i));
  for (Lifetime& made : lifetimes)
    for (int operand : ending[made.first])
      if (lifetimes[operand].first < made.first && lifetimes[operand].offset == made.offset)
        made.in_place_of = operand;
}

int64_t bytes_in_place(const std::vector<Lifetime>& lifetimes, const Lifetime& made) {
  return made.in_place_of == Lifetime::kNone
             ? 0
             : std::min(made.bytes, lifetimes[made.in_place_of].bytes);
}

// What is made in place counts once.
std::vector<int64_t> live_bytes_of(const std::vector<Lifetime>& lifetimes, size_t ops) {
  std::vector<int64_t> live(ops + 1);
  for (const Lifetime& made : lifetimes) {
    live[made.first] += made.bytes;
    live[made.last + 1] -= made.bytes;
    int64_t shared = bytes_in_place(lifetimes, made);
    live[made.first] -= shared;
    live[made.first + 1] += shared;
  }
  std::partial_sum(live.begin(), live.end(), live.begin());
  live.pop_back();
  return live;
}

void add_work(MemoryReport& report, const Module& module, const Function& entry,
              const CostTable& costs) {
  report.recomputed_ops = recomputed_ops(module, entry);
  report.work.resize(entry.ops.size());
  for (size_t i = 0; i < entry.ops.size(); ++i) {
    const Op& op = entry.ops[i];
    if (is_view(op))
      continue;
    Work& work = report.work[i];
    const Function& kernel = module.function(op.callee);
    for (const Op& inner : kernel.ops)
      work.flops += flops_of(kernel, inner);
    work.nanoseconds = cost_of_call(module, entry, op, costs);
    Work& sum = report.recomputed_ops[i]      ? report.recomputed
                : op.phase == Phase::forward  ? report.forward
                : op.phase == Phase::backward ? report.backward
                                              : report.update;
    sum.flops += work.flops;
    sum.nanoseconds += work.nanoseconds;
  }
}

class RepeatFinder {
 public:
  RepeatFinder(const Module& module, const Function& entry)
      : module_(module),
        entry_(entry),
        first_made_(entry.values.size()),
        returned_(entry.values.size()) {
    for (uint32_t i = 0; i < entry.values.size(); ++i)
      first_made_[i] = {i};
    for (const Result& result : entry.results)
      returned_[result.value.index] = true;
  }

  void run() {
    for (const Op& op : entry_.ops)
      recomputed_.push_back(is_recipe(op) || is_repeat(op));
  }

  const std::vector<bool>& recomputed() const { return recomputed_; }  // by op
  const std::vector<ValueId>& first_made() const { return first_made_; }  // by value

 private:
  using Key = std::tuple<Opcode, std::string, std::vector<ValueId>, Attrs>;

  Key key_of(const Op& op) const {
    Key key{op.code, op.callee, {}, is_view(op) ? op.attrs : Attrs{}};
    for (ValueId operand : op.operands)
      std::get<2>(key).push_back(first_made_[operand.index]);
    return key;
  }

  bool is_repeat(const Op& op) {
    bool view = is_view(op);
    bool kept = std::any_of(op.results.begin(), op.results.end(),
                            [&](ValueId result) { return returned_[result.index]; });
    auto [first, fresh] = first_runs_.try_emplace(key_of(op), &op);
    bool again = !fresh && !kept;
    if (fresh) {
      calls_[op.callee].push_back(&op);
      for (const Op* early : early_[op.callee])
        if (takes_of(*early, op))
          first_made_[given(*early, op).index] = first_made_[early->result().index];
    }
    for (size_t r = 0; again && r < op.results.size(); ++r)
      first_made_[op.results[r].index] = first_made_[first->second->results[r].index];
    return again && !view;
  }

  bool is_recipe(const Op& op) {
    const Function* recipe = op.callee.empty() ? nullptr : module_.find_function(op.callee);
    if (!recipe || !recipe->attrs.has("recipe_of"))
      return false;
    const std::string& kernel = recipe->attrs.string("recipe_of");
    ValueId& made = first_made_[op.result().index];
    bool found = false;
    for (const Op* call : calls_[kernel])
      if (takes_of(op, *call)) {
        made = first_made_[given(op, *call).index];
        found = true;
      }
    std::vector<const Op*>& early = early_[kernel];
    for (size_t i = 0; !found && i < early.size(); ++i)
      if (key_of(*early[i]) == key_of(op)) {
        made = first_made_[early[i]->result().index];
        found = true;
      }
    if (!found)
      early.push_back(&op);
    return true;
  }

  // Whether a recipe's run takes what this run of its kernel has there.
  bool takes_of(const Op& run, const Op& call) const {
    const std::vector<int64_t>& takes = module_.function(run.callee).attrs.integers("takes");
    for (size_t i = 0; i < takes.size(); ++i)
      if (first_made_[run.operand(i).index] != first_made_[numbered(call, takes[i]).index])
        return false;
    return true;
  }

  // What it gives, of that run of its kernel.
  ValueId given(const Op& run, const Op& call) const {
    return numbered(call, module_.function(run.callee).attrs.integer("gives"));
  }

  const Module& module_;
  const Function& entry_;
  std::vector<bool> recomputed_;
  std::vector<ValueId> first_made_;
  std::vector<bool> returned_;  // by value
  std::map<Key, const Op*> first_runs_;
  std::map<std::string, std::vector<const Op*>> calls_;  // first runs, by kernel
  std::map<std::string, std::vector<const Op*>> early_;  // of recipes, before their kernel's
};

}  // namespace

double MemoryReport::overhead() const {
  int64_t base = forward.nanoseconds + backward.nanoseconds + update.nanoseconds;
  return base == 0 ? 0 : static_cast<double>(recomputed.nanoseconds) / static_cast<double>(base);
}

MemoryReport memory_report(const Module& module, const Function& planned, const Options& options) {
  MemoryReport report;
  report.arena_bytes = planned.arena_bytes.value_or(0);
  report.lifetimes = lifetimes_of(module, planned, options.threads);
  find_in_place(report.lifetimes, planned.ops.size());
  report.live_bytes = live_bytes_of(report.lifetimes, planned.ops.size());
  if (!report.live_bytes.empty()) {
    auto most = std::max_element(report.live_bytes.begin(), report.live_bytes.end());
    report.peak_bytes = *most;
    report.peak_op = static_cast<int>(most - report.live_bytes.begin());
  }
  report.floor_bytes = kernel_floor(make_problem(module, planned, options)).bytes;
  report.others = region_bytes(module, planned);
  add_work(report, module, planned, cost_table(options.cpu));
  return report;
}

std::vector<Lifetime> holders_at(const MemoryReport& report, int op) {
  std::vector<Lifetime> holders = report.lifetimes;
  for (const Lifetime& made : report.lifetimes)
    if (made.first == op && made.in_place_of != Lifetime::kNone)
      holders[made.in_place_of].bytes -= bytes_in_place(report.lifetimes, made);
  std::erase_if(holders, [&](const Lifetime& lifetime) {
    return op < lifetime.first || lifetime.last < op || lifetime.bytes == 0;
  });
  std::stable_sort(holders.begin(), holders.end(),
                   [](const Lifetime& a, const Lifetime& b) { return a.bytes > b.bytes; });
  return holders;
}

std::vector<bool> recomputed_ops(const Module& module, const Function& entry) {
  RepeatFinder finder(module, entry);
  finder.run();
  return finder.recomputed();
}

std::vector<ValueId> first_made(const Module& module, const Function& entry) {
  RepeatFinder finder(module, entry);
  finder.run();
  return finder.first_made();
}

}  // namespace gradc
