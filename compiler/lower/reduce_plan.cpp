#include "compiler/lower/reduce_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "compiler/lower/iteration_space.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

// The largest or least number of an integer type in place of an infinity.
double identity_of(const Fold& fold, DType dtype) {
  if (is_float(dtype) || !std::isinf(fold.identity))
    return fold.identity;
  bool is_least = fold.identity < 0;
  if (dtype == DType::boolean || dtype == DType::u8)
    return is_least ? 0 : std::exp2(8) - 1;
  auto bits = static_cast<double>(8 * byte_size(dtype));
  if (dtype == DType::i64)  // 2^63 - 1 is no double; the next lower one serves for the neutral max
    return is_least ? -std::exp2(63) : std::exp2(63) - 1024;
  return is_least ? -std::exp2(bits - 1) : std::exp2(bits - 1) - 1;
}

// By value: how many folds lie one behind the other before it.
std::vector<int64_t> fold_depths(const Function& kernel) {
  std::vector<int64_t> depth(kernel.values.size());
  for (const Op& op : kernel.ops) {
    int64_t deepest = 0;
    for (ValueId operand : op.operands)
      deepest = std::max(deepest, depth[operand.index]);
    for (ValueId result : op.results)
      depth[result.index] = deepest + (def(op).kernel == KernelClass::reduce);
  }
  return depth;
}

// The passes in which each value is read at points of the domain, through map ops, up to folds.
class Uses {
 public:
  Uses(const Function& kernel, const ReductionPlan& plan)
      : kernel_(kernel), passes_(kernel.values.size()), defining_(defining_ops(kernel)) {
    for (const PlannedFold& fold : plan.folds)
      mark(fold.operand, fold.pass);
    for (const PlannedFold& fold : plan.across)
      mark(fold.operand, plan.last_pass);
    for (size_t r : plan.domain_results)
      mark(kernel.results[r].value, plan.last_pass);
  }

  const std::vector<int64_t>& of(ValueId value) const { return passes_[value.index]; }

 private:
  void mark(ValueId value, int64_t pass) {
    std::vector<int64_t>& passes = passes_[value.index];
    if (contains(passes, pass))
      return;
    passes.push_back(pass);
    if (!defining_[value.index])
      return;
    const Op& op = kernel_.ops[defining_[value.index]->index];
    if (def(op).kernel != KernelClass::reduce)
      for (ValueId operand : op.operands)
        mark(operand, pass);
  }

  const Function& kernel_;
  std::vector<std::vector<int64_t>> passes_;  // by value
  std::vector<std::optional<OpId>> defining_;
};

// Values that cost more to compute than to store and load, and that more than one pass reads.
std::vector<KeptValue> values_to_keep(const Function& kernel, const ReductionPlan& plan,
                                      const Uses& uses) {
  constexpr int64_t kMostBytes = 128 << 10;  // a row that stays in the cache
  std::vector<KeptValue> kept;
  if (plan.tree.chunks > 1 || !plan.tree.lanes_reduce)
    return kept;
  for (const Op& op : kernel.ops) {
    if (!is_dear(kernel, op, plan.domain))
      continue;
    const std::vector<int64_t>& passes = uses.of(op.result());
    int64_t row_bytes = plan.row_elements * byte_size(kernel.type(op.result()).dtype);
    if (passes.size() > 1 && row_bytes <= kMostBytes)
      kept.push_back({op.result(), std::ranges::min(passes), std::ranges::max(passes)});
  }
  return kept;
}

std::vector<std::vector<size_t>> parameters_read(const Function& kernel, const ReductionPlan& plan,
                                                 const Uses& uses) {
  std::vector<std::vector<size_t>> reads(static_cast<size_t>(plan.last_pass + 1));
  for (size_t i = 0; i < kernel.parameters.size(); ++i) {
    ValueId value = kernel.parameters[i].value;
    if (kernel.type(value).dims != plan.domain)
      continue;
    for (int64_t pass : uses.of(value))
      reads[static_cast<size_t>(pass)].push_back(i);
  }
  return reads;
}

}  // namespace

bool is_dear(const Function& kernel, const Op& op, const Dims& domain) {
  constexpr double kDear = 0.3;  // nanoseconds
  return def(op).kernel == KernelClass::map && op.results.size() == 1 &&
         kernel.type(op.result()).dims == domain && element_nanoseconds(kernel, op) > kDear;
}

bool ReductionPlan::visits_domain(int64_t pass) const {
  bool folds_here = std::any_of(folds.begin(), folds.end(),
                                [&](const PlannedFold& fold) { return fold.pass == pass; });
  return folds_here || (pass == last_pass && !(domain_results.empty() && across.empty()));
}

ReductionPlan plan_reduction(const Function& kernel, const Target& target) {
  ReductionPlan plan;
  plan.domain = kernel.attrs.integers("domain");
  plan.axes = kernel.attrs.integers("axes");
  std::vector<int64_t> others = other_axes(plan.axes, static_cast<int64_t>(plan.domain.size()));
  for (int64_t axis : others)
    plan.row_dims.push_back(plan.domain[static_cast<size_t>(axis)]);
  plan.row_elements = element_count(plan.domain) / plan.rows();
  plan.tree = reduction_tree(plan.domain, plan.axes, target);
  std::vector<int64_t> depths = fold_depths(kernel);
  for (const Op& op : kernel.ops) {
    if (def(op).kernel != KernelClass::reduce)
      continue;
    const std::vector<int64_t>& axes = op.attrs.integers("axes");
    GRADC_CHECK(
        kernel.type(op.operand(0)).dims == plan.domain && (axes == plan.axes || axes == others),
        "`{}` in @{} folds another domain", def(op).name, kernel.name);
    DType dtype = kernel.type(op.result()).dtype;
    bool is_half = is_float(dtype) && byte_size(dtype) < 4;
    const Fold& fold = def(op).reduce;
    (axes == plan.axes ? plan.folds : plan.across)
        .push_back({op.operand(0), op.result(), fold.combine, identity_of(fold, dtype),
                    is_half ? DType::f32 : dtype, depths[op.operand(0).index]});
    plan.last_pass = std::max(plan.last_pass, depths[op.operand(0).index]);
  }
  for (const PlannedFold& fold : plan.across)
    plan.across_results.push_back(static_cast<size_t>(
        std::ranges::find(kernel.results, fold.result, &Result::value) - kernel.results.begin()));
  for (size_t r = 0; r < kernel.results.size(); ++r) {
    if (std::ranges::count(plan.across_results, r) > 0)
      continue;
    const Type& type = kernel.type(kernel.results[r].value);
    bool is_row =
        type.dims != plan.domain && (type.dims == plan.row_dims || type.elements() == plan.rows());
    (is_row ? plan.row_results : plan.domain_results).push_back(r);
    if (!is_row)
      plan.last_pass = std::max(plan.last_pass, depths[kernel.results[r].value.index]);
  }
  for (PlannedFold& fold : plan.across)
    fold.pass = plan.last_pass;
  if (!plan.across.empty())
    plan.across_tree = reduction_tree(plan.domain, others, target);
  Uses uses(kernel, plan);
  plan.kept = values_to_keep(kernel, plan, uses);
  plan.reads = parameters_read(kernel, plan, uses);
  return plan;
}

}  // namespace gradc
