#include "ir/eval.h"

#include <cmath>

#include "ir/op_def.h"

namespace gradc {
namespace {

std::vector<Tensor> eval_scan(const Module& module, const Op& op, std::span<const Tensor> operands,
                              std::span<const Type> results);

std::vector<Tensor> eval_control(const Module& module, const Op& op,
                                 std::span<const Tensor> operands, std::span<const Type> results) {
  if (op.attrs.has("trips"))
    return eval_scan(module, op, operands, results);
  return eval_closed(module, module.function(op.callee), operands);
}

// Operands: carries, sequences (sliced along axis 0, one slice a trip), constants. Results: final
// carries, then the body's other results stacked along a new axis 0.
std::vector<Tensor> eval_scan(const Module& module, const Op& op, std::span<const Tensor> operands,
                              std::span<const Type> results) {
  const Function& body = module.function(op.callee);
  int64_t trips = op.attrs.integer("trips");
  bool reverse = op.attrs.flag("reverse");
  auto carries = static_cast<size_t>(op.attrs.integer("carries"));
  auto sequences = static_cast<size_t>(op.attrs.integer("sequences"));
  std::vector<Tensor> all;
  for (const Type& type : results)
    all.push_back({type, {}});
  for (size_t i = 0; i < carries; ++i)
    all[i] = operands[i];
  for (size_t i = carries; i < results.size(); ++i)
    all[i].data.resize(static_cast<size_t>(results[i].elements()));
  for (int64_t trip = 0; trip < trips; ++trip) {
    int64_t row = reverse ? trips - 1 - trip : trip;
    std::vector<Tensor> arguments(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(carries));
    for (size_t i = carries; i < carries + sequences; ++i) {
      Type slice{operands[i].type.dtype,
                 Dims(operands[i].type.dims.begin() + 1, operands[i].type.dims.end())};
      auto begin = operands[i].data.begin() + row * slice.elements();
      arguments.push_back({slice, std::vector<double>(begin, begin + slice.elements())});
    }
    arguments.insert(arguments.end(),
                     operands.begin() + static_cast<std::ptrdiff_t>(carries + sequences),
                     operands.end());
    std::vector<Tensor> step = eval_closed(module, body, arguments);
    for (size_t i = 0; i < step.size(); ++i) {
      if (i < carries)
        all[i] = step[i];
      else
        std::copy(step[i].data.begin(), step[i].data.end(),
                  all[i].data.begin() + row * step[i].type.elements());
    }
  }
  return all;
}

// Whole numbers that an integer type cannot hold keep their low bits.
void wrap(Tensor& tensor) {
  if (!is_integer(tensor.type.dtype) || tensor.type.dtype == DType::i64)
    return;
  double count = std::exp2(static_cast<double>(8 * byte_size(tensor.type.dtype)));
  double lowest = tensor.type.dtype == DType::u8 ? 0 : -count / 2;
  for (double& value : tensor.data)
    value -= count * std::floor((value - lowest) / count);
}

}  // namespace

std::vector<Tensor> eval_op(const Module& module, const Op& op, std::span<const Tensor> operands,
                            std::span<const Type> results) {
  const OpDef& record = def(op);
  std::vector<Tensor> out = record.eval ? record.eval(operands, op, results)
                                        : eval_control(module, op, operands, results);
  GRADC_CHECK(out.size() == results.size(), "`{}` evaluated to {} results", record.name,
              out.size());
  for (size_t i = 0; i < out.size(); ++i)
    GRADC_CHECK(out[i].type == results[i] &&
                    out[i].data.size() == static_cast<size_t>(results[i].elements()),
                "`{}` evaluated to {} where {} was inferred", record.name, to_string(out[i].type),
                to_string(results[i]));
  for (Tensor& tensor : out)
    wrap(tensor);
  return out;
}

std::vector<Tensor> eval_closed(const Module& module, const Function& function,
                                std::span<const Tensor> arguments) {
  GRADC_CHECK(arguments.size() == function.parameters.size(), "@{} takes {} arguments, got {}",
              function.name, function.parameters.size(), arguments.size());
  std::vector<Tensor> values(function.values.size());
  for (size_t i = 0; i < arguments.size(); ++i) {
    ValueId id = function.parameters[i].value;
    if (arguments[i].type != function.type(id))
      fail("%{} of @{} is {}, got {}", function[id].name, function.name,
           to_string(function.type(id)), to_string(arguments[i].type));
    values[id.index] = arguments[i];
  }
  for (const Op& op : function.ops) {
    std::vector<Tensor> operands;
    for (ValueId id : op.operands)
      operands.push_back(values[id.index]);
    std::vector<Type> types;
    for (ValueId id : op.results)
      types.push_back(function.type(id));
    std::vector<Tensor> out = eval_op(module, op, operands, types);
    for (size_t i = 0; i < out.size(); ++i)
      values[op.results[i].index] = std::move(out[i]);
  }
  std::vector<Tensor> results;
  for (const Result& result : function.results)
    results.push_back(values[result.value.index]);
  return results;
}

std::vector<Tensor> eval(const Module& module, const Function& function,
                         std::span<const Tensor> arguments, State& state) {
  std::vector<Tensor> all;
  size_t next = 0;
  for (const Parameter& parameter : function.parameters) {
    if (parameter.state.empty()) {
      GRADC_CHECK(next < arguments.size(), "@{} got {} arguments, needs more", function.name,
                  arguments.size());
      all.push_back(arguments[next++]);
    } else {
      auto tensor = state.find(parameter.state);
      GRADC_CHECK(tensor != state.end(), "state @{} has no content", parameter.state);
      all.push_back(tensor->second);
    }
  }
  GRADC_CHECK(next == arguments.size(), "@{} got {} arguments, takes {}", function.name,
              arguments.size(), next);
  std::vector<Tensor> results = eval_closed(module, function, all);
  for (size_t i = 0; i < results.size(); ++i)
    if (!function.results[i].state.empty())
      state[function.results[i].state] = results[i];
  return results;
}

}  // namespace gradc
