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

// With more rows bringing a weight into order is less than half of a per cent of the work. A weight
// of taps in order allows longer passes, often one, after which no sums wait in memory.
constexpr int64_t kMostRows = 1024;
constexpr int64_t kFewestBytes = 4096;

// Which operand of a kernel, and of its contraction, is packed, and how.
struct Plan {
  size_t operand = 0, side = 0;
  PackedOrder order;
};

std::optional<size_t> parameter_of(const Function& kernel, ValueId value) {
  auto found = std::ranges::find(kernel.parameters, value, &Parameter::value);
  if (found == kernel.parameters.end())
    return std::nullopt;
  return static_cast<size_t>(found - kernel.parameters.begin());
}

// Of the kernel's call, where operands may be weights.
std::optional<Plan> plan_of(const Function& kernel, const std::vector<bool>& weights,
                            const Options& options) {
  if (kernel_class(kernel) != "contract")
    return std::nullopt;
  ContractionNest nest = with_channel_parts(with_joined_loops(contraction_nest(kernel)));
  for (size_t b : {1, 0}) {
    std::optional<size_t> operand = parameter_of(kernel, nest.operands[b]);
    if (!operand || !weights[*operand])
      continue;
    ContractSchedule s =
        choose_contract_schedule(kernel, options.target, options.threads,
                                 {.panels = false, .packed_operand = static_cast<int64_t>(b)});
    const Type& weight = kernel.type(nest.operands[b]);
    if (s.method != ContractMethod::tile || s.vector_operand != static_cast<int64_t>(b) ||
        !s.stage_b || use_counts(kernel)[nest.operands[b].index] != 1 ||
        weight.dtype != nest.sum_dtype() || weight.bytes() < kFewestBytes ||
        (nest.rows_sharing(b) > kMostRows && !nest.has_channel_parts))
      continue;
    std::optional<PackedOrder> order =
        packed_order(kernel, nest, b, static_cast<size_t>(s.vector_loop),
                     s.vectors * options.target.lanes_f32());
    if (order)
      return Plan{*operand, b, *order};
  }
  return std::nullopt;
}

Function with_packed_operand(const Function& kernel, const Plan& plan) {
  Function packed{.kind = kernel.kind, .name = kernel.name, .attrs = kernel.attrs};
  packed.attrs.set("packed_operand", static_cast<int64_t>(plan.side));
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
    const Function* infer = to_.find_function(kInfer);
    if (!infer || to_.find_function(kPrepare))
      return std::move(to_);
    infer_ = *infer;
    makers_ = defining_ops(infer_);
    find_weights();
    find_plans();
    for (Function& function : to_.functions)
      if (auto plan = plans_.find(function.name); plan != plans_.end())
        function = with_packed_operand(function, plan->second);
    *to_.find_function(kInfer) = rewritten();
    if (derived_.empty())
      return std::move(to_);
    to_.states.insert(to_.states.end(), derived_.begin(), derived_.end());
    to_.functions.insert(to_.functions.begin(), kernels_.begin(), kernels_.end());
    to_.functions.push_back(std::move(prepare_));
    return std::move(to_);
  }

 private:
  // What @infer reads of the state and never writes, and what it computes of that alone.
  void find_weights() {
    is_weight_.resize(infer_.values.size());
    for (const Parameter& parameter : infer_.parameters)
      is_weight_[parameter.value.index] =
          !parameter.state.empty() &&
          std::ranges::count(infer_.results, parameter.state, &Result::state) == 0;
    for (const Op& op : infer_.ops)
      if (is_of_weights(op))
        for (ValueId result : op.results)
          is_weight_[result.index] = true;
  }

  bool is_of_weights(const Op& op) const {
    int64_t read = kFewestBytes, made = 0;
    for (ValueId operand : op.operands) {
      if (!is_weight_[operand.index])
        return false;
      read += infer_.type(operand).bytes();
    }
    for (ValueId result : op.results) {
      if (std::ranges::count(infer_.results, result, &Result::value) > 0)
        return false;
      made += infer_.type(result).bytes();
    }
    return made <= 2 * read;  // what is larger is soon made again
  }

  bool is_made_once(const Op& op) const {
    return !op.callee.empty() && is_weight_[op.result().index];
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
        if (entry.name == kInfer && !is_made_once(op)) {
          std::vector<bool> weights;
          for (ValueId operand : op.operands)
            weights.push_back(is_weight_[operand.index]);
          if (plan == plans_.end())
            if (std::optional<Plan> made = plan_of(to_.function(op.callee), weights, options_))
              plan = plans_.emplace(op.callee, *made).first;
          if (plan != plans_.end() && weights[plan->second.operand])
            continue;
        }
        plans_.erase(op.callee);
        others.insert(op.callee);
      }
    }
  }

  // @infer without what is made once.
  Function rewritten() {
    Function infer = infer_;
    infer.ops.clear();
    for (const Op& op : infer_.ops) {
      if (is_made_once(op))
        continue;
      Op& copy = infer.ops.emplace_back(op);
      auto plan = plans_.find(op.callee);
      for (size_t i = 0; i < op.operands.size(); ++i)
        if (plan != plans_.end() && i == plan->second.operand)
          copy.operands[i] = packed(infer, op.operand(i), plan->second.order, op.loc);
        else
          copy.operands[i] = made_before(infer, op.operand(i));
    }
    infer = without_dead_ops(infer);
    std::vector<int> uses = use_counts(infer);
    std::erase_if(infer.parameters, [&](const Parameter& parameter) {
      return !parameter.state.empty() && uses[parameter.value.index] == 0;
    });
    return infer;
  }

  // The value as @infer has it now: of what is made once, the parameter that holds it.
  ValueId made_before(Function& infer, ValueId value) {
    std::optional<OpId> maker = makers_[value.index];
    if (!maker || !is_made_once(infer_.ops[maker->index]))
      return value;
    ValueId& known = kept_[value];
    if (!known.valid()) {
      std::string name = infer_[value].name;
      known = derive(infer, in_prepare(value), name.empty() ? "derived" : name,
                     infer_.ops[maker->index].loc);
    }
    return known;
  }

  // The parameter of @infer that holds the weight in this order.
  ValueId packed(Function& infer, ValueId weight, const PackedOrder& order,
                 const std::string& loc) {
    ValueId& known = packed_[{weight, order.split, order.permutation}];
    if (known.valid())
      return known;
    Builder b(prepare_);
    b.loc = loc;
    const Type& type = infer_.type(weight);
    Type packed_type{type.dtype, order.packed()};
    ValueId made =
        b.call(Opcode::call, packing(type, order), {in_prepare(weight)}, {&packed_type, 1})[0];
    known = derive(infer, made, infer_[weight].name + ".packed", loc);
    return known;
  }

  // What @prepare has for a weight of @infer: a state tensor, or a copy of the ops that make it.
  ValueId in_prepare(ValueId weight) {
    if (ValueId known = prepared_[weight]; known.valid())
      return known;
    if (std::optional<OpId> maker = makers_[weight.index]) {
      const Op& op = infer_.ops[maker->index];
      for (ValueId operand : op.operands)
        in_prepare(operand);
      std::vector<ValueId> map(infer_.values.size());
      for (ValueId operand : op.operands)
        map[operand.index] = prepared_[operand];
      append_copy(prepare_, infer_, op, map);
      for (ValueId result : op.results)
        prepared_[result] = map[result.index];
    } else {
      auto parameter = std::ranges::find(infer_.parameters, weight, &Parameter::value);
      prepared_[weight] =
          Builder(prepare_).parameter(infer_.type(weight), infer_[weight].name, parameter->state);
    }
    return prepared_[weight];
  }

  // Makes a value of @prepare state, and a parameter of @infer.
  ValueId derive(Function& infer, ValueId made, const std::string& name, const std::string& loc) {
    StateTensor derived{
        .name = unused_state(name), .type = prepare_.type(made), .role = Role::derived, .loc = loc};
    Builder b(prepare_);
    b.set_name(made, derived.name);
    b.result(made, "", derived.name);
    ValueId parameter = Builder(infer).parameter(derived.type, derived.name, derived.name);
    derived_.push_back(std::move(derived));
    return parameter;
  }

  // The name of the kernel that packs a weight of that type.
  std::string packing(const Type& weight, const PackedOrder& order) {
    Function kernel{.kind = FunctionKind::kernel};
    kernel.attrs.set("class", std::string(name_of(KernelClass::map)));
    Builder b(kernel);
    b.result(pack_weight(b, b.parameter(weight, "w"), order));
    auto [known, is_new] = packings_.try_emplace(print(without_names(kernel)));
    if (is_new) {
      known->second = kernel.name = fmt::format("pack_{}", packings_.size());
      kernels_.push_back(std::move(kernel));
    }
    return known->second;
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
  Function infer_;  // as it was
  Function prepare_;
  std::vector<StateTensor> derived_;
  std::vector<Function> kernels_;  // that pack
  std::map<std::string, std::string> packings_;  // their names by their text without names
  // By value of @infer: whether only weights matter to it, and the op that makes it.
  std::vector<bool> is_weight_;
  std::vector<std::optional<OpId>> makers_;
  std::map<std::string, Plan> plans_;  // by kernel
  std::map<ValueId, ValueId> prepared_;  // of @infer -> of @prepare
  // Parameters of @infer: by value, and by weight and order.
  std::map<ValueId, ValueId> kept_;
  std::map<std::tuple<ValueId, Dims, std::vector<int64_t>>, ValueId> packed_;
};

}  // namespace

Module prepack(const Module& module, const Options& options) {
  return Prepacking(module, options).run();
}

}  // namespace gradc
