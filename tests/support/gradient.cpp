#include "tests/support/gradient.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"
#include "ir/vjp.h"

namespace gradc::test {
namespace {

constexpr double kStep = 1e-6;
constexpr int kDirections = 3;

// d result 0 / d (arguments along `direction`), by central differences. `direction` has a tensor
// per argument.
double slope(const Function& function, std::span<const Tensor> arguments,
             std::span<const Tensor> direction) {
  auto value_at = [&](double step) {
    std::vector<Tensor> moved(arguments.begin(), arguments.end());
    for (size_t i = 0; i < moved.size(); ++i)
      for (size_t k = 0; k < moved[i].data.size(); ++k)
        moved[i].data[k] += step * direction[i].data[k];
    return eval_closed(Module{}, function, moved)[0].data[0];
  };
  return (value_at(kStep) - value_at(-kStep)) / (2 * kStep);
}

}  // namespace

std::vector<ValueId> append_gradients(Function& function, ValueId of,
                                      std::span<const ValueId> wrt) {
  Builder b(function);
  b.phase = Phase::backward;
  size_t count = function.ops.size();
  std::map<ValueId, ValueId> gradients = {{of, b.constant(function.type(of), 1.0)}};
  for (size_t i = count; i-- > 0;) {
    Op op = function.ops[i];
    std::vector<std::optional<ValueId>> result_gradients;
    for (ValueId result : op.results)
      result_gradients.push_back(gradients.contains(result) ? std::optional(gradients[result])
                                                            : std::nullopt);
    if (std::none_of(result_gradients.begin(), result_gradients.end(),
                     [](const auto& dy) { return dy.has_value(); }))
      continue;
    if (!def(op).vjp)
      fail("`{}` is not differentiable", def(op).name);
    Vjp rule(b, op, result_gradients);
    def(op).vjp(rule);
    for (size_t k = 0; k < op.operands.size(); ++k) {
      std::optional<ValueId> gradient = rule.operand_gradients()[k];
      if (!gradient)
        continue;
      auto [slot, is_first] = gradients.emplace(op.operands[k], *gradient);
      if (!is_first)
        slot->second = b.add(slot->second, *gradient);
    }
  }
  std::vector<ValueId> results;
  for (ValueId value : wrt)
    results.push_back(gradients.contains(value) ? gradients[value]
                                                : b.constant(function.type(value), 0.0));
  return results;
}

Function expanded(const Function& function, bool all) {
  bool again = false;
  Rewrite rewrite(function);
  for (const Op& op : function.ops) {
    if (!def(op).expand || (!all && def(op).vjp)) {
      rewrite.copy(op);
      continue;
    }
    Op mapped = op;
    mapped.operands = rewrite(op.operands);
    std::vector<ValueId> values = def(op).expand(rewrite.at(op), mapped);
    for (size_t i = 0; i < op.results.size(); ++i)
      rewrite.map(op.results[i], values.at(i));
    again = true;
  }
  Function result = rewrite.finish();
  return again ? expanded(result, all) : result;
}

Function gradient_function(const Function& function) {
  Function gradient = expanded(function, false);
  std::vector<ValueId> wrt;
  for (const Parameter& parameter : gradient.parameters)
    if (is_float(gradient.type(parameter.value).dtype))
      wrt.push_back(parameter.value);
  std::vector<ValueId> values = append_gradients(gradient, gradient.results[0].value, wrt);
  gradient.results.clear();
  for (ValueId value : values)
    gradient.results.push_back({value, "", ""});
  return gradient;
}

double gradient_error(const Function& function, std::span<const Tensor> arguments, Feed& feed) {
  std::vector<Tensor> gradients = eval_closed(Module{}, gradient_function(function), arguments);
  double error = 0;
  for (int i = 0; i < kDirections; ++i) {
    std::vector<Tensor> direction;
    double expected = 0;
    size_t next = 0;
    for (const Tensor& argument : arguments) {
      direction.push_back({argument.type, std::vector<double>(argument.data.size(), 0.0)});
      if (!is_float(argument.type.dtype))
        continue;
      for (size_t k = 0; k < argument.data.size(); ++k) {
        direction.back().data[k] = 2 * feed.uniform() - 1;
        expected += gradients[next].data[k] * direction.back().data[k];
      }
      ++next;
    }
    error = std::max(error, difference(expected, slope(function, arguments, direction)));
  }
  return error;
}

double difference(double a, double b) {
  return std::abs(a - b) / std::max({1.0, std::abs(a), std::abs(b)});
}

}  // namespace gradc::test
