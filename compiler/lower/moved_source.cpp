#include "compiler/lower/moved_source.h"

#include <algorithm>

#include "ir/op_def.h"

namespace gradc {
namespace {

// Steps along other dims of the same elements; none if an index is no sum of steps.
std::optional<std::vector<int64_t>> reshaped_steps(const Dims& from, std::vector<int64_t> steps,
                                                   const Dims& to) {
  std::vector<int64_t> result(to.size());
  int64_t left = 1, step = 0;  // of the axis of `from` that is being split
  size_t axis = from.size();
  for (size_t i = to.size(); i-- > 0;) {
    for (int64_t dim = to[i], covered = 1; covered < dim;) {
      while (left == 1) {
        left = from[--axis];
        step = steps[axis];
      }
      if (covered == 1)
        result[i] = step;
      else if (step != covered * result[i])
        return std::nullopt;
      int64_t part = std::min(left, dim / covered);
      if (left % part != 0 || dim % (covered * part) != 0)
        return std::nullopt;
      covered *= part;
      left /= part;
      step *= part;
    }
  }
  return result;
}

}  // namespace

std::optional<MovedSource> moved_source(const Function& function,
                                        const std::vector<std::optional<OpId>>& definitions,
                                        ValueId value) {
  std::optional<OpId> id = definitions[value.index];
  if (!id)
    return MovedSource{value, 0, row_major_strides(function.type(value).dims)};
  const Op& op = function.ops[id->index];
  if (op.operands.size() != 1)
    return std::nullopt;
  std::optional<MovedSource> source = moved_source(function, definitions, op.operand(0));
  if (!source)
    return std::nullopt;
  std::vector<int64_t>& steps = source->steps;
  if (op.code == Opcode::copy)
    return source;
  if (op.code == Opcode::transpose) {
    std::vector<int64_t> before = steps;
    for (size_t i = 0; i < steps.size(); ++i)
      steps[i] = before[static_cast<size_t>(op.attrs.integers("permutation")[i])];
    return source;
  }
  if (op.code == Opcode::slice) {
    for (size_t i = 0; i < steps.size(); ++i) {
      source->offset += op.attrs.integers("begin")[i] * steps[i];
      steps[i] *= op.attrs.integers("step")[i];
    }
    return source;
  }
  if (op.code != Opcode::reshape)
    return std::nullopt;
  std::optional<std::vector<int64_t>> other =
      reshaped_steps(function.type(op.operand(0)).dims, steps, function.type(op.result()).dims);
  if (!other)
    return std::nullopt;
  steps = std::move(*other);
  return source;
}

}  // namespace gradc
