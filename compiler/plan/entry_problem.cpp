#include "compiler/plan/entry_problem.h"

#include <algorithm>
#include <map>

#include "compiler/kernel.h"
#include "compiler/plan/cost.h"
#include "compiler/plan/storage.h"
#include "compiler/plan/views.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

constexpr double kLossOfInverse = 64;  // of each for itself, in roundings

void add_once(std::vector<int>& list, int item) {
  if (std::find(list.begin(), list.end(), item) == list.end())
    list.push_back(item);
}

class ProblemMaker {
 public:
  ProblemMaker(const Module& module, const Function& entry, const Options& options)
      : module_(module),
        entry_(entry),
        threads_(options.threads),
        costs_(cost_table(options.cpu)),
        storage_(storage_of(module, entry)),
        definitions_(defining_ops(entry)),
        maker_(entry.values.size(), -1),
        state_writer_(module.states.size(), -1) {
    problem_.value_of.assign(entry.values.size(), -1);
  }

  EntryProblem run() {
    find_values();
    add_recipes();
    for (int k = 0; k < problem_.kernel_count(); ++k)
      find_uses(k);
    return std::move(problem_);
  }

 private:
  const Storage& storage(ValueId id) const { return storage_[id.index]; }
  int& value_of(ValueId id) { return problem_.value_of[id.index]; }

  void find_values() {
    for (uint32_t i = 0; i < entry_.ops.size(); ++i) {
      const Op& op = entry_.ops[i];
      if (is_view(op)) {
        maker_[op.result().index] = maker_[op.operand(0).index];
        value_of(op.result()) = value_of(op.operand(0));
        continue;
      }
      PlanKernel kernel = kernel_of(op);
      kernel.forward = op.phase == Phase::forward;
      int number = problem_.kernel_count();
      for (ValueId result : op.results)
        define(result, number, kernel);
      problem_.kernels.push_back(std::move(kernel));
      problem_.op_of.push_back({i});
    }
  }

  PlanKernel kernel_of(const Op& call) const {
    PlanKernel kernel;
    kernel.cost = cost_of_call(module_, entry_, call, costs_);
    kernel.workspace = scratch_bytes(module_.function(call.callee), threads_);
    return kernel;
  }

  // From the last call to the first, so that it is known what is lost by then of what an inverse
  // begins with.
  void add_recipes() {
    std::map<std::string, std::vector<const Function*>> recipes;  // by what they are of
    for (const Function& function : module_.functions)
      if (const Attr* of = function.attrs.find("recipe_of"))
        recipes[std::get<std::string>(*of)].push_back(&function);
    std::vector<double> lost(problem_.values.size());
    for (size_t i = recipes.empty() ? 0 : problem_.op_of.size(); i-- > 0;)
      if (const Op& op = entry_.ops[problem_.op_of[i].index]; recipes.contains(op.callee))
        for (const Function* recipe : recipes.at(op.callee))
          add_recipe(op, *recipe, lost);
  }

  void add_recipe(const Op& op, const Function& recipe, std::vector<double>& lost) {
    ValueId given = numbered(op, recipe.attrs.integer("gives"));
    int value = value_of(given);
    if (value < 0 || is_view(entry_.ops[definitions_[given.index]->index]))
      return;
    bool inverts = static_cast<size_t>(recipe.attrs.integer("gives")) < op.operands.size();
    Op call{.code = Opcode::call,
            .results = {given},
            .callee = recipe.name,
            .phase = Phase::backward,
            .loc = op.loc};
    double lost_before = 0;
    for (int64_t number : recipe.attrs.integers("takes")) {
      call.operands.push_back(numbered(op, number));
      bool is_result = static_cast<size_t>(number) >= op.operands.size();
      if (!is_result)
        continue;
      int read = value_of(call.operands.back());
      if (read >= 0)
        lost_before = std::max(lost_before, lost[read]);
      else if (inverts)
        return;  // outside of the arena: nothing would say that it is not there yet
    }
    if (recipe.attrs.flag("rounds")) {
      double loses = kLossOfInverse + lost_before * recipe.attrs.real_or("growth", 1);
      if (loses > most_lost(entry_.type(given).dtype))
        return;
      lost[value] = std::max(lost[value], loses);
    }
    PlanKernel kernel = kernel_of(call);
    kernel.forward = kernel.required = false;
    kernel.writes = {value};
    problem_.values[value].producers.push_back(problem_.kernel_count());
    problem_.kernels.push_back(std::move(kernel));
    problem_.recipes.push_back({std::move(call), inverts || recipe.attrs.flag("rounds")});
  }

  // In roundings: those in a row lose no more than 1e-3 together.
  static double most_lost(DType dtype) {
    double rounding = dtype == DType::f64 ? 0x1p-53 : dtype == DType::f32 ? 0x1p-24 : 0x1p-8;
    return 1e-3 / rounding;
  }

  void define(ValueId result, int number, PlanKernel& kernel) {
    maker_[result.index] = number;
    int64_t bytes = aligned(entry_.type(result).bytes());
    if (storage(result).region == Region::arena) {
      value_of(result) = problem_.value_count();
      kernel.writes.push_back(value_of(result));
      problem_.values.push_back({bytes, {number}});
      return;
    }
    kernel.rerun_bytes += bytes;
    if (storage(result).region == Region::state)
      state_writer_[storage(result).index] = number;
  }

  void find_uses(int number) {
    PlanKernel& kernel = problem_.kernels[number];
    const Op& op = problem_.call(entry_, number);
    for (ValueId operand : op.operands) {
      if (int value = value_of(operand); value >= 0)
        add_once(kernel.reads, value);
      if (int maker = maker_[operand.index]; maker >= 0)
        add_once(kernel.after, maker);
      else if (storage(operand).region == Region::state)
        read_old_state(number, op, storage(operand));
    }
    for (ValueId result : op.results)
      if (storage(result).region == Region::arena)
        for (ValueId operand : op.operands)
          add_inplace(kernel, op, operand, result);
  }

  void add_inplace(PlanKernel& kernel, const Op& op, ValueId operand, ValueId result) {
    std::pair<int, int> pair{value_of(operand), value_of(result)};
    bool known =
        std::find(kernel.inplace.begin(), kernel.inplace.end(), pair) != kernel.inplace.end();
    if (pair.first < 0 || known || entry_.type(operand).bytes() != entry_.type(result).bytes())
      return;
    bool is_whole = problem_.values[pair.first].bytes == problem_.values[pair.second].bytes;
    if (is_whole && may_share(op, operand, result))
      kernel.inplace.push_back(pair);
  }

  void read_old_state(int number, const Op& op, const Storage& state) {
    PlanKernel& kernel = problem_.kernels[number];
    int writer = state_writer_[state.index];
    if (writer < 0)
      return;
    if (writer != number) {
      add_once(kernel.overwriters, writer);
      return;
    }
    kernel.once = true;
    for (ValueId result : op.results)
      for (ValueId operand : op.operands)
        if (storage(result) == state && storage(operand) == state &&
            !may_share(op, operand, result))
          fail("@{}: @{} overwrites @{} in place, but its attribute `inplace` does not allow that",
               entry_.name, op.callee, module_.states[state.index].name);
  }

  // Whether `result` may have the bytes of `operand`: every operand that has these bytes must be
  // listed as a pair with the result.
  bool may_share(const Op& op, ValueId operand, ValueId result) const {
    const Function& kernel = module_.function(op.callee);
    auto same_bytes = [&](ValueId other) {
      return problem_.value_of[operand.index] >= 0
                 ? problem_.value_of[other.index] == problem_.value_of[operand.index]
                 : storage(other) == storage(operand);
    };
    auto number = static_cast<size_t>(std::ranges::find(op.results, result) - op.results.begin());
    for (size_t i = 0; i < op.operands.size(); ++i)
      if (same_bytes(op.operands[i]) && !may_overwrite(kernel, i, number))
        return false;
    return true;
  }

  const Module& module_;
  const Function& entry_;
  int threads_;
  const CostTable& costs_;
  std::vector<Storage> storage_;
  std::vector<std::optional<OpId>> definitions_;
  std::vector<int> maker_;  // by ValueId: the kernel that made it or what it views, or -1
  std::vector<int> state_writer_;  // by state tensor: the kernel that overwrites it, or -1
  EntryProblem problem_;
};

}  // namespace

EntryProblem make_problem(const Module& module, const Function& entry, const Options& options) {
  return ProblemMaker(module, entry, options).run();
}

}  // namespace gradc
