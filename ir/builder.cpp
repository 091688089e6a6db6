#include "ir/builder.h"

#include "ir/op_def.h"

namespace gradc {

ValueId Builder::new_value(Type type, std::string name) {
  function_.values.push_back({std::move(type), std::move(name), std::nullopt});
  return ValueId{static_cast<uint32_t>(function_.values.size() - 1)};
}

ValueId Builder::parameter(Type type, std::string name, std::string state) {
  ValueId value = new_value(std::move(type), std::move(name));
  function_.parameters.push_back({value, std::move(state)});
  return value;
}

void Builder::result(ValueId value, std::string name, std::string state) {
  function_.results.push_back({value, std::move(name), std::move(state)});
}

std::vector<ValueId> Builder::op_multi(Opcode code, std::vector<ValueId> operands, Attrs attrs,
                                       std::string name) {
  Types operand_types;
  for (ValueId operand : operands)
    operand_types.push_back(type(operand));
  Types result_types;
  try {
    result_types = infer_types(code, operand_types, attrs);
  } catch (const UserError& error) {
    if (error.place().empty() && !loc.empty())
      throw error.at(loc);
    throw;
  }
  std::vector<ValueId> results;
  for (Type& result_type : result_types)
    results.push_back(
        new_value(std::move(result_type), name.empty() ? std::string(def(code).name) : name));
  function_.ops.push_back({code, std::move(operands), results, std::move(attrs), "", phase, loc});
  return results;
}

ValueId Builder::op(Opcode code, std::vector<ValueId> operands, Attrs attrs, std::string name) {
  std::vector<ValueId> results =
      op_multi(code, std::move(operands), std::move(attrs), std::move(name));
  GRADC_CHECK(results.size() == 1, "`{}` has {} results", def(code).name, results.size());
  return results[0];
}

std::vector<ValueId> Builder::call(Opcode code, const std::string& callee,
                                   std::vector<ValueId> operands,
                                   std::span<const Type> result_types, Attrs attrs) {
  std::vector<ValueId> results;
  for (const Type& result_type : result_types)
    results.push_back(new_value(result_type, callee));
  function_.ops.push_back(
      {code, std::move(operands), results, std::move(attrs), callee, phase, loc});
  return results;
}

ValueId Builder::constant(const Type& type, double value) {
  return op(Opcode::constant, {}, {{"shape", type.dims}, {"value", value}, {"dtype", type.dtype}});
}

ValueId Builder::broadcast(ValueId x, std::vector<int64_t> axes, Dims dims) {
  if (dims == this->dims(x))
    return x;
  return op(Opcode::broadcast, {x}, {{"axes", std::move(axes)}, {"shape", std::move(dims)}});
}

ValueId Builder::broadcast_over(ValueId x, const std::vector<int64_t>& axes, const Dims& dims) {
  return broadcast(x, other_axes(axes, static_cast<int64_t>(dims.size())), dims);
}

ValueId Builder::broadcast_to(ValueId x, const Dims& dims) {
  Dims from = this->dims(x);
  if (from == dims)
    return x;
  if (from.size() > dims.size())
    fail("cannot broadcast {} to {}", to_string(from), to_string(dims));
  size_t missing = dims.size() - from.size();
  Dims kept;
  std::vector<int64_t> axes;
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] != dims[missing + i] && from[i] != 1)
      fail("cannot broadcast {} to {}", to_string(from), to_string(dims));
    if (from[i] == dims[missing + i]) {
      kept.push_back(from[i]);
      axes.push_back(static_cast<int64_t>(missing + i));
    }
  }
  return broadcast(reshape(x, kept), axes, dims);
}

ValueId Builder::reshape(ValueId x, Dims dims) {
  if (dims == this->dims(x))
    return x;
  return op(Opcode::reshape, {x}, {{"shape", std::move(dims)}});
}

ValueId Builder::transpose(ValueId x, std::vector<int64_t> permutation) {
  bool moves = false;
  for (size_t i = 0; i < permutation.size(); ++i)
    moves |= permutation[i] != static_cast<int64_t>(i);
  return moves ? op(Opcode::transpose, {x}, {{"permutation", std::move(permutation)}}) : x;
}

ValueId Builder::reduce_sum(ValueId x, std::vector<int64_t> axes) {
  return axes.empty() ? x : op(Opcode::reduce_sum, {x}, {{"axes", std::move(axes)}});
}

}  // namespace gradc
