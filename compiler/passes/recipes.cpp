#include "compiler/passes/recipes.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "compiler/kernel.h"
#include "compiler/passes/fuse.h"
#include "compiler/passes/recipe_maker.h"
#include "ir/magnitude.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

constexpr int64_t kSmallBytes = 4096;  // not worth a kernel

// Operands and results of forward kernels that are read again later, by kernel and number: what
// might be dropped in between.
class Candidates {
 public:
  explicit Candidates(const Module& module) {
    for (const Function& entry : module.functions)
      if (entry.kind == FunctionKind::entry)
        visit(entry);
  }

  // Operand i as i, result i as i after all operands.
  const std::map<std::string, std::set<size_t>>& all() const { return found_; }

 private:
  void visit(const Function& entry) {
    std::vector<ValueId> root(entry.values.size());  // what it is a view of, or itself
    std::vector<std::set<size_t>> readers(entry.values.size());  // by root
    std::vector<bool> in_arena(entry.values.size()), read_later(entry.values.size());
    for (uint32_t i = 0; i < root.size(); ++i)
      root[i] = {i};
    for (size_t i = 0; i < entry.ops.size(); ++i) {
      const Op& op = entry.ops[i];
      if (def(op).kernel == KernelClass::view) {
        root[op.result().index] = root[op.operand(0).index];
        continue;
      }
      for (ValueId result : op.results)
        in_arena[result.index] = true;
      for (ValueId operand : op.operands) {
        ValueId value = root[operand.index];
        readers[value.index].insert(i);
        if (op.phase == Phase::backward || readers[value.index].size() > 1)
          read_later[value.index] = true;
      }
    }
    for (const Result& result : entry.results)
      in_arena[result.value.index] = false;
    for (const Op& op : entry.ops) {
      if (op.callee.empty() || op.phase != Phase::forward)
        continue;
      size_t number = 0;
      for (const auto* values : {&op.operands, &op.results})
        for (ValueId value : *values) {
          if (in_arena[value.index] && read_later[value.index] &&
              entry.type(value).bytes() >= kSmallBytes)
            found_[op.callee].insert(number);
          ++number;
        }
    }
  }

  std::map<std::string, std::set<size_t>> found_;
};

// What no operand of a kernel's calls is nearer to 0 than, by kernel and parameter, from the
// kernels that make it: a batch norm's factor comes from where its statistics are put together.
class LeastOperands {
 public:
  explicit LeastOperands(const Module& module) : module_(module) {
    for (const Function& entry : module.functions)
      if (entry.kind == FunctionKind::entry)
        visit(entry);
  }

  void tell(Function& kernel) const {
    auto found = least_.find(kernel.name);
    for (size_t i = 0; found != least_.end() && i < found->second.size(); ++i)
      if (found->second[i] > 0)
        set_least_magnitude(kernel, kernel.parameters[i].value, found->second[i]);
  }

 private:
  void visit(const Function& entry) {
    std::vector<double> known(entry.values.size());
    for (const Op& op : entry.ops) {
      if (def(op).kernel == KernelClass::view)
        known[op.result().index] = known[op.operand(0).index];
      if (op.callee.empty())
        continue;
      auto [place, is_new] = least_.try_emplace(op.callee);
      for (size_t i = 0; i < op.operands.size(); ++i) {
        double least = known[op.operands[i].index];
        if (is_new)
          place->second.push_back(least);
        else
          place->second[i] = std::min(place->second[i], least);
      }
      const std::vector<double>& results = results_of(op.callee);
      for (size_t i = 0; i < op.results.size(); ++i)
        known[op.results[i].index] = results[i];
    }
  }

  const std::vector<double>& results_of(const std::string& callee) {
    auto [place, is_new] = results_.try_emplace(callee);
    const Function& kernel = module_.function(callee);
    for (size_t i = 0; is_new && i < kernel.results.size(); ++i)
      place->second.push_back(least_magnitude(kernel, kernel.results[i].value));
    return place->second;
  }

  const Module& module_;
  std::map<std::string, std::vector<double>> least_, results_;
};

class RecipeAdder {
 public:
  RecipeAdder(const Module& module, const Options& options) : options_(options), to_(module) {
    options_.explain = nullptr;
  }

  Module run() {
    Candidates candidates(to_);
    std::optional<LeastOperands> least;
    if (options_.invert)
      least.emplace(to_);
    for (const auto& [name, numbers] : candidates.all()) {
      Function kernel = to_.function(name);
      if (least)
        least->tell(kernel);
      for (size_t number : numbers)
        add(kernel, number);
    }
    to_.functions.insert(to_.functions.begin(), made_.begin(), made_.end());
    return std::move(to_);
  }

 private:
  void add(const Function& kernel, size_t number) {
    if (kernel_class(kernel) == name_of(KernelClass::custom))
      return;
    std::optional<Recipe> inverse = inverse_recipe(kernel, number);
    if (inverse && (inverse->exact || options_.invert))
      add(kernel, *inverse, "_inverse");
    size_t operands = kernel.parameters.size();
    if (number < operands)
      return;
    // What is a map already is run again as it is.
    if (kernel.results.size() > 1 || kernel_class(kernel) != name_of(KernelClass::map))
      for (const Recipe& part : part_recipes(kernel, number - operands))
        add(kernel, part, "_part");
  }

  void add(const Function& kernel, const Recipe& recipe, std::string_view suffix) {
    std::optional<Function> made = as_one_kernel(recipe);
    if (!made)
      return;
    std::string name = kernel.name + std::string(suffix);
    made->name = fmt::format("{}_{}", name, ++ordinals_[name]);
    made->attrs.set("recipe_of", kernel.name);
    made->attrs.set("gives", recipe.gives);
    if (!recipe.exact)
      made->attrs.set("rounds", true);
    if (recipe.growth > 1)
      made->attrs.set("growth", recipe.growth);
    made_.push_back(std::move(*made));
  }

  // What would take two kernels is left out: the planner chains recipes itself.
  std::optional<Function> as_one_kernel(const Recipe& recipe) const {
    Module fused = fuse({.name = "recipe", .functions = {recipe.function}}, options_);
    const Function& entry = fused.function(recipe.function.name);
    if (entry.ops.size() != 1)
      return std::nullopt;
    Function kernel = fused.function(entry.ops[0].callee);
    std::vector<int64_t> takes;
    for (ValueId operand : entry.ops[0].operands)
      for (size_t i = 0; i < entry.parameters.size(); ++i)
        if (entry.parameters[i].value == operand)
          takes.push_back(recipe.takes[i]);
    kernel.attrs.set("takes", takes);
    return kernel;
  }

  Options options_;
  Module to_;
  std::vector<Function> made_;
  std::map<std::string, int> ordinals_;  // by the name without it
};

}  // namespace

Module recipes(const Module& module, const Options& options) {
  return RecipeAdder(module, options).run();
}

}  // namespace gradc
