#include "compiler/passes/prepack.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "compiler/entries.h"
#include "compiler/kernel.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/packed_weight.h"
#include "ir/op_def.h"
#include "ir/print.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// With more rows bringing a weight into order is less than half of a per cent of the work.
constexpr int64_t kMostRows = 1024;
constexpr int64_t kFewestBytes = 4096;

// Which operand of a kernel is packed, and how.
struct Plan {
  size_t operand = 0;
  PackedOrder order;
};

int64_t rows_of(const ContractionNest& nest, size_t a, size_t b) {
  int64_t rows = 1;
  for (size_t l = 0; l < nest.result_loops; ++l)
    if (nest.loops[l].moves[a] && !nest.loops[l].moves[b])
      rows *= nest.loops[l].extent;
  return rows;
}

std::optional<size_t> parameter_of(const Function& kernel, ValueId value) {
  auto found = std::ranges::find(kernel.parameters, value, &Parameter::value);
  if (found == kernel.parameters.end())
    return std::nullopt;
  return static_cast<size_t>(found - kernel.parameters.begin());
}

std::optional<Plan> plan_of(const Function& kernel, const Options& options) {
  if (kernel_class(kernel) != "contract")
    return std::nullopt;
  ContractSchedule s =
      choose_contract_schedule(kernel, options.target, options.threads, {.panels = false});
  if (s.method != ContractMethod::tile || !s.stage_b)
    return std::nullopt;
  ContractionNest nest = with_channel_parts(with_joined_loops(contraction_nest(kernel)));
  auto b = static_cast<size_t>(s.vector_operand);
  const Type& weight = kernel.type(nest.operands[b]);
  std::optional<size_t> operand = parameter_of(kernel, nest.operands[b]);
  if (!operand || use_counts(kernel)[nest.operands[b].index] != 1 ||
      weight.dtype != nest.sum_dtype() || weight.bytes() < kFewestBytes ||
      rows_of(nest, 1 - b, b) > kMostRows)
    return std::nullopt;
  std::optional<PackedOrder> order = packed_order(
      kernel, nest, b, static_cast<size_t>(s.vector_loop), s.vectors * options.target.lanes_f32());
  return order ? std::optional(Plan{*operand, *order}) : std::nullopt;
}

Function with_packed_operand(const Function& kernel, const Plan& plan) {
  Function packed{.kind = kernel.kind, .name = kernel.name, .attrs = kernel.attrs};
  packed.attrs.set("packed_columns", plan.order.columns);
  Builder b(packed);
  std::vector<ValueId> map(kernel.values.size());
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    ValueId value = kernel.parameters[i].value;
    Type type = kernel.type(value);
    if (i == plan.operand)
      type.dims = plan.order.packed();
    map[value.index] = b.parameter(type, kernel[value].name);
  }
  ValueId weight = kernel.parameters[plan.operand].value;
  map[weight.index] = unpack_weight(b, map[weight.index], plan.order);
  for (const Op& op : kernel.ops)
    append_copy(packed, kernel, op, map);
  for (const Result& result : kernel.results)
    packed.results.push_back({map[result.value.index], result.name, result.state});
  return packed;
}

class Prepacking {
 public:
  Prepacking(const Module& module, const Options& options)
      : options_(options), to_(module), prepare_{.name = std::string(kPrepare)} {}

  Module run() {
    Function* infer = to_.find_function(kInfer);
    if (!infer)
      return std::move(to_);
    find_weights(*infer);
    find_plans();
    if (plans_.empty())
      return std::move(to_);
    for (Function& function : to_.functions)
      if (auto plan = plans_.find(function.name); plan != plans_.end())
        function = with_packed_operand(function, plan->second);
    rewrite(*infer);
    to_.states.insert(to_.states.end(), derived_.begin(), derived_.end());
    to_.functions.insert(to_.functions.begin(), kernels_.begin(), kernels_.end());
    to_.functions.push_back(std::move(prepare_));
    return std::move(to_);
  }

 private:
  // What @infer reads of the state and never writes, by its value there.
  void find_weights(const Function& infer) {
    for (const Parameter& parameter : infer.parameters) {
      bool is_written = std::ranges::count(infer.results, parameter.state, &Result::state) > 0;
      if (!parameter.state.empty() && !is_written)
        weights_[parameter.value] = to_.find_state(parameter.state);
    }
  }

  // Of kernels whose operand is a weight in all calls.
  void find_plans() {
    std::set<std::string> others;
    for (const Function& entry : to_.functions) {
      if (entry.kind != FunctionKind::entry)
        continue;
      for (const Op& op : entry.ops) {
        if (op.callee.empty() || others.contains(op.callee))
          continue;
        auto plan = plans_.find(op.callee);
        if (plan == plans_.end())
          if (std::optional<Plan> made = plan_of(to_.function(op.callee), options_))
            plan = plans_.emplace(op.callee, *made).first;
        if (plan != plans_.end() && entry.name == kInfer &&
            weights_.contains(op.operand(plan->second.operand)))
          continue;
        plans_.erase(op.callee);
        others.insert(op.callee);
      }
    }
  }

  void rewrite(Function& infer) {
    for (Op& op : infer.ops)
      if (auto plan = plans_.find(op.callee); plan != plans_.end()) {
        ValueId& operand = op.operands[plan->second.operand];
        operand = packed(infer, operand, plan->second.order, op.loc);
      }
    std::vector<int> uses = use_counts(infer);
    std::erase_if(infer.parameters, [&](const Parameter& parameter) {
      return !parameter.state.empty() && uses[parameter.value.index] == 0;
    });
  }

  // The parameter of @infer that holds the weight in this order.
  ValueId packed(Function& infer, ValueId weight, const PackedOrder& order,
                 const std::string& loc) {
    ValueId& known = packed_[{weight, order.split, order.permutation}];
    if (known.valid())
      return known;
    const StateTensor& state = *weights_.at(weight);
    StateTensor derived{.name = unused_state(state.name + ".packed"),
                        .type = {state.type.dtype, order.packed()},
                        .role = Role::derived,
                        .loc = loc};
    Builder b(prepare_);
    b.loc = loc;
    ValueId from = b.parameter(state.type, state.name, state.name);
    ValueId made = b.call(Opcode::call, packing(state.type, order), {from}, {&derived.type, 1})[0];
    b.set_name(made, derived.name);
    b.result(made, "", derived.name);
    known = Builder(infer).parameter(derived.type, derived.name, derived.name);
    derived_.push_back(std::move(derived));
    return known;
  }

  // The name of the kernel that packs a weight of that type.
  std::string packing(const Type& weight, const PackedOrder& order) {
    Function kernel{.kind = FunctionKind::kernel};
    kernel.attrs.set("class", std::string(name_of(KernelClass::map)));
    Builder b(kernel);
    b.result(pack_weight(b, b.parameter(weight, "w"), order));
    for (const Function& known : kernels_)
      if (print(without_names(known)) == print(without_names(kernel)))
        return known.name;
    kernel.name = fmt::format("pack_{}", kernels_.size() + 1);
    kernels_.push_back(kernel);
    return kernel.name;
  }

  std::string unused_state(const std::string& name) const {
    auto is_used = [&](const std::string& tried) {
      return to_.find_state(tried) || std::ranges::count(derived_, tried, &StateTensor::name) > 0;
    };
    std::string unused = name;
    for (int i = 2; is_used(unused); ++i)
      unused = fmt::format("{}.{}", name, i);
    return unused;
  }

  const Options& options_;
  Module to_;
  Function prepare_;
  std::vector<StateTensor> derived_;
  std::vector<Function> kernels_;  // that pack
  std::map<ValueId, const StateTensor*> weights_;  // by their parameter of @infer
  std::map<std::string, Plan> plans_;  // by kernel
  // By weight and order: the parameter of @infer.
  std::map<std::tuple<ValueId, Dims, std::vector<int64_t>>, ValueId> packed_;
};

}  // namespace

Module prepack(const Module& module, const Options& options) {
  return Prepacking(module, options).run();
}

}  // namespace gradc
