#include "ir/builder.h"

#include <algorithm>

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

namespace {

// The sizes before the last two axes; a vector has none.
Dims batch_of(const Dims& dims) {
  return dims.size() <= 2 ? Dims{} : Dims(dims.begin(), dims.end() - 2);
}

// NumPy's rule: aligned at the end, equal or 1.
Dims broadcast_batch(const Dims& a, const Dims& b, const Type& a_type, const Type& b_type) {
  Dims batch(std::max(a.size(), b.size()), 1);
  for (const Dims* side : {&a, &b})
    for (size_t i = 0; i < side->size(); ++i) {
      int64_t& size = batch[batch.size() - side->size() + i];
      int64_t own = (*side)[i];
      if (own != 1 && size != 1 && own != size)
        fail("batch sizes of the product of {} and {} do not match: {} and {}", to_string(a_type),
             to_string(b_type), to_string(a), to_string(b));
      size = std::max(size, own);
    }
  return batch;
}

}  // namespace

ValueId Builder::matmul(ValueId a, ValueId b, bool transpose_a, bool transpose_b) {
  Type a_type = type(a), b_type = type(b);
  if (a_type.rank() == 0 || b_type.rank() == 0)
    fail("cannot multiply {} and {} as matrices: a scalar has no axes", to_string(a_type),
         to_string(b_type));
  Dims a_batch = batch_of(a_type.dims), b_batch = batch_of(b_type.dims);
  Dims batch = broadcast_batch(a_batch, b_batch, a_type, b_type);
  // Without a batch of its own, b multiplies all rows of a alike.
  size_t shared = b_batch.empty() ? 0 : batch.size();
  auto with_batch = [&](ValueId x, const Dims& own) {
    if (shared == 0 || own == batch)
      return x;
    Dims whole = batch, dims = this->dims(x);
    whole.insert(whole.end(), dims.begin() + static_cast<ptrdiff_t>(own.size()), dims.end());
    return broadcast_to(x, whole);
  };
  ValueId left = with_batch(a, a_batch), right = with_batch(b, b_batch);
  std::vector<int64_t> axes;
  for (size_t i = 0; i < shared; ++i)
    axes.push_back(static_cast<int64_t>(i));
  // The summed axis: the last of a and the one before the last of b, or the other one if
  // transposed.
  int64_t a_rank = this->type(left).rank(), b_rank = this->type(right).rank();
  int64_t sum_a = transpose_a && a_type.rank() > 1 ? a_rank - 2 : a_rank - 1;
  int64_t sum_b = transpose_b || b_type.rank() == 1 ? b_rank - 1 : b_rank - 2;
  return op(Opcode::dot, {left, right},
            {{"batch_a", axes},
             {"batch_b", axes},
             {"sum_a", std::vector<int64_t>{sum_a}},
             {"sum_b", std::vector<int64_t>{sum_b}}});
}

}  // namespace gradc
