#include "compiler/plan/wishes.h"

#include <fnmatch.h>

#include <algorithm>
#include <optional>

#include "compiler/kernel.h"
#include "compiler/plan/report.h"
#include "compiler/plan/views.h"
#include "ir/diagnostic.h"
#include "ir/print.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

using Patterns = std::vector<std::string>;

// The values of an entry's arena by name, and what can be wished of them.
class Wishes {
 public:
  Wishes(const Module& module, const Function& entry, const Options& options)
      : module_(module),
        entry_(entry),
        names_(unique_names(entry)),
        problem_(make_problem(module, entry, options)),
        made_(problem_.values.size()),
        read_behind_(problem_.values.size()),
        keep_(matched(options.keep)),
        again_(matched(options.recompute)) {
    for (auto i = static_cast<uint32_t>(entry.values.size()); i-- > 0;)
      if (problem_.value_of[i] >= 0)
        made_[problem_.value_of[i]] = {i};
    for (const Op& op : entry.ops)
      if (op.phase != Phase::forward)
        for (ValueId operand : op.operands)
          if (int value = problem_.value_of[operand.index]; value >= 0)
            read_behind_[value] = true;
  }

  const EntryProblem& problem() const { return problem_; }
  const std::vector<std::string>& names() const { return names_; }
  std::string shown(int value) const { return "%" + names_[made_[value].index]; }
  bool to_keep(int value) const { return keep_[value]; }
  bool to_make_again(int value) const { return again_[value] && obstacle(value).empty(); }

  bool matches(const std::string& pattern, uint32_t id) const {
    const char* glob = pattern.c_str() + (pattern.starts_with('%') ? 1 : 0);
    return fnmatch(glob, names_[id].c_str(), 0) == 0 ||
           fnmatch(glob, entry_.values[id].name.c_str(), 0) == 0;
  }

  // Why a value cannot be made again behind the forward pass; "" if it can.
  std::string obstacle(int value) const {
    int maker = problem_.values[value].producers[0];
    if (!problem_.kernels[maker].forward)
      return shown(value) + " is not made in the forward pass";
    if (!read_behind_[value])
      return shown(value) + " is read in the forward pass only";
    if (!runs_again(maker) && !cheapest_recipe(value))
      return fmt::format("@{}, which makes {}, reads state that the forward pass overwrites",
                         problem_.call(entry_, maker).callee, shown(value));
    return "";
  }

  // The call that makes `value` again at the least cost.
  const Op& call_for(int value) const {
    int maker = problem_.values[value].producers[0];
    std::optional<int> recipe = cheapest_recipe(value);
    bool cheaper = recipe && (!runs_again(maker) ||
                              problem_.kernels[*recipe].cost < problem_.kernels[maker].cost);
    return problem_.call(entry_, cheaper ? *recipe : maker);
  }

 private:
  // By value of the problem.
  std::vector<bool> matched(const Patterns& patterns) const {
    std::vector<bool> matched(problem_.values.size());
    for (uint32_t i = 0; i < entry_.values.size(); ++i)
      if (int value = problem_.value_of[i]; value >= 0 && !matched[value])
        matched[value] =
            std::any_of(patterns.begin(), patterns.end(),
                        [&](const std::string& pattern) { return matches(pattern, i); });
    return matched;
  }

  bool runs_again(int number) const {
    const PlanKernel& kernel = problem_.kernels[number];
    return !kernel.once &&
           std::none_of(kernel.overwriters.begin(), kernel.overwriters.end(),
                        [&](int writer) { return problem_.kernels[writer].forward; });
  }

  std::optional<int> cheapest_recipe(int value) const {
    std::optional<int> best;
    for (int producer : problem_.values[value].producers)
      if (!problem_.kernels[producer].required && serves(producer, value) &&
          (!best || problem_.kernels[producer].cost < problem_.kernels[*best].cost))
        best = producer;
    return best;
  }

  // Whether a recipe gives the same bits from values that the forward pass makes. Of those that are
  // made again as well, it may only read earlier ones.
  bool serves(int recipe, int value) const {
    const std::vector<int>& reads = problem_.kernels[recipe].reads;
    return !module_.function(problem_.call(entry_, recipe).callee).attrs.flag("rounds") &&
           std::all_of(reads.begin(), reads.end(), [&](int read) {
             int maker = problem_.values[read].producers[0];
             return problem_.kernels[maker].forward &&
                    (!again_[read] || maker < problem_.values[value].producers[0]);
           });
  }

  const Module& module_;
  const Function& entry_;
  std::vector<std::string> names_;
  EntryProblem problem_;
  std::vector<ValueId> made_;  // by value of the problem, as all below: what is no view
  std::vector<bool> read_behind_;  // by a kernel of another phase
  std::vector<bool> keep_, again_;  // as patterns say
};

class CopyWriter {
 public:
  CopyWriter(const Wishes& wishes, const Function& entry)
      : wishes_(wishes),
        entry_(entry),
        copied_(wishes.problem().values.size()),
        rewrite_(entry),
        views_(entry, rewrite_) {}

  Function run() {
    for (const Op& op : entry_.ops) {
      if (op.phase != Phase::forward)
        for (ValueId operand : op.operands)
          provide(operand);
      rewrite_.copy(op);
    }
    return rewrite_.finish();
  }

 private:
  // For a reader behind the forward pass.
  void provide(ValueId id) {
    int value = wishes_.problem().value_of[id.index];
    if (value >= 0 && !copied_[value] && wishes_.to_make_again(value))
      make_again(value);
    views_.show(id);
  }

  void make_again(int value) {
    Op call = wishes_.call_for(value);
    call.phase = Phase::backward;
    for (ValueId operand : call.operands)
      provide(operand);
    std::vector<ValueId> before = rewrite_(call.results);
    rewrite_.copy(call);
    for (size_t i = 0; i < call.results.size(); ++i) {
      ValueId result = call.results[i];
      rewrite_.to()[rewrite_(result)].name += ".re";
      int written = wishes_.problem().value_of[result.index];
      if (written < 0 || !wishes_.to_make_again(written)) {
        rewrite_.map(result, before[i]);
        continue;
      }
      copied_[written] = true;
      views_.forget(result);
    }
  }

  const Wishes& wishes_;
  const Function& entry_;
  std::vector<bool> copied_;  // by value of the problem
  Rewrite rewrite_;
  Views views_;
};

// What a pattern met in all entries.
struct Met {
  bool value = false, possible = false;
  std::string obstacle;  // of the first value
};

void check_pattern(const std::string& flag, const std::string& pattern, const Met& met,
                   const std::vector<std::string>& names) {
  if (met.possible)
    return;
  if (met.value)
    throw UserError("", fmt::format("{} {}: {}", flag, pattern, met.obstacle), Fault::command_line)
        .with_help("it takes values that the forward pass makes and the backward pass reads");
  std::string near = nearest_name(pattern, names);
  throw UserError("", fmt::format("{}: no value of the arena is named `{}`", flag, pattern),
                  Fault::command_line)
      .with_help(near.empty() ? "`gradc dump MODEL --train --after schedule` has the names"
                              : fmt::format("did you mean `{}`", near));
}

void check_conflicts(const Wishes& wishes) {
  for (int value = 0; value < wishes.problem().value_count(); ++value)
    if (wishes.to_keep(value) && wishes.to_make_again(value))
      throw UserError(
          "", fmt::format("{} is matched by --keep and by --recompute", wishes.shown(value)),
          Fault::command_line);
}

}  // namespace

void check_wishes(const Module& module, const Options& options) {
  if (!options.has_wishes())
    return;
  std::vector<Met> keep(options.keep.size()), again(options.recompute.size());
  std::vector<std::string> names;
  for (const Function& entry : module.functions) {
    if (entry.kind != FunctionKind::entry)
      continue;
    Wishes wishes(module, entry, options);
    check_conflicts(wishes);
    for (uint32_t i = 0; i < entry.values.size(); ++i) {
      int value = wishes.problem().value_of[i];
      if (value < 0)
        continue;
      names.push_back(wishes.names()[i]);
      for (size_t p = 0; p < keep.size(); ++p)
        keep[p].possible |= wishes.matches(options.keep[p], i);
      for (size_t p = 0; p < again.size(); ++p) {
        if (!wishes.matches(options.recompute[p], i))
          continue;
        std::string obstacle = wishes.obstacle(value);
        again[p].possible |= obstacle.empty();
        if (!again[p].value)
          again[p].obstacle = obstacle;
        again[p].value = true;
      }
    }
  }
  for (size_t p = 0; p < keep.size(); ++p)
    check_pattern("--keep", options.keep[p], keep[p], names);
  for (size_t p = 0; p < again.size(); ++p)
    check_pattern("--recompute", options.recompute[p], again[p], names);
}

Function with_copies(const Module& module, const Function& entry, const Options& options) {
  if (options.recompute.empty())
    return entry;
  return CopyWriter(Wishes(module, entry, options), entry).run();
}

EntryProblem wished_problem(const Module& module, const Function& entry, const Options& options) {
  if (!options.has_wishes())
    return make_problem(module, entry, options);
  Wishes wishes(module, entry, options);
  EntryProblem problem = wishes.problem();
  for (int value = 0; value < problem.value_count(); ++value)
    if (wishes.to_keep(value)) {
      problem.kernels[problem.values[value].producers[0]].once = true;
      problem.values[value].producers.resize(1);
    }
  if (options.recompute.empty())
    return problem;
  // Copies are not made before the forward pass is over, even if there are bytes for it.
  std::vector<bool> again = recomputed_ops(module, entry);
  int last_forward = -1;
  for (int k = 0; k < static_cast<int>(problem.op_of.size()); ++k)
    if (problem.kernels[k].forward)
      last_forward = k;
    else if (again[problem.op_of[k].index])
      problem.kernels[k].after.push_back(last_forward);
  return problem;
}

}  // namespace gradc
