// Rules that compute at compile time. A `constant` is one number for all elements, so that folding
// never makes a module larger.
#include <algorithm>
#include <cmath>

#include "compiler/passes/simplify_rules.h"
#include "ir/eval.h"

namespace gradc {
namespace {

constexpr int64_t kMaxFoldedElements = 4096;

// The element that all of `tensor` equals, if there is one and it can be written as a constant.
std::optional<double> uniform(const Tensor& tensor) {
  if (tensor.data.empty() || !std::isfinite(tensor.data[0]))
    return std::nullopt;
  for (double value : tensor.data)
    if (value != tensor.data[0] || std::signbit(value) != std::signbit(tensor.data[0]))
      return std::nullopt;
  return tensor.data[0];
}

std::optional<double> evaluate(const Op& op, std::span<const Type> operands,
                               std::span<const double> numbers, const Type& result) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < operands.size(); ++i)
    tensors.push_back({operands[i], std::vector<double>(static_cast<size_t>(operands[i].elements()),
                                                        numbers[i])});
  return uniform(eval_op(Module{}, op, tensors, {&result, 1})[0]);
}

// Whether each element depends on the elements at its place alone. Ops that tell places apart have
// axes or sizes among their attributes.
bool is_elementwise(const OpDef& record, std::span<const Type> operands, const Type& result) {
  return record.kernel == KernelClass::map &&
         std::all_of(record.attrs.begin(), record.attrs.end(),
                     [](const AttrDef& attr) { return attr.kind == AttrKind::dtype; }) &&
         std::all_of(operands.begin(), operands.end(),
                     [&](const Type& type) { return type.dims == result.dims; });
}

std::optional<ValueId> fold(Site& s) {
  const OpDef& record = def(s.op());
  if (!record.eval || s.op().operands.empty())
    return std::nullopt;
  Types types;
  std::vector<double> numbers;
  int64_t elements = s.result_type().elements();
  for (ValueId operand : s.op().operands) {
    std::optional<double> number = s.number(operand);
    if (!number)
      return std::nullopt;
    numbers.push_back(*number);
    types.push_back(s.type(operand));
    elements += types.back().elements();
  }
  Type result = s.result_type();
  std::optional<double> folded;
  if (is_elementwise(record, types, result)) {
    Type one = scalar_type(result.dtype);
    for (Type& type : types)
      type.dims = {};
    folded = evaluate(s.op(), types, numbers, one);
  } else if (elements <= kMaxFoldedElements) {
    folded = evaluate(s.op(), types, numbers, result);
  }
  return folded ? std::optional(s.constant(result, *folded)) : std::nullopt;
}

std::optional<ValueId> move_constants(Site& s) {
  std::optional<double> first = s.number(s.x());
  for (ValueId operand : s.op().operands)
    if (!first || s.number(operand) != first ||
        std::signbit(*s.number(operand)) != std::signbit(*first))
      return std::nullopt;
  return s.constant(s.result_type(), *first);
}

std::optional<ValueId> pad_constant(Site& s) {
  return s.number(s.x()) == s.attrs().real("value") ? move_constants(s) : std::nullopt;
}

constexpr SimplifyRule kRules[] = {
    {Opcode::broadcast, "broadcast(c) = c, c constant", move_constants},
    {Opcode::concat, "concat(c, c) = c, c constant", move_constants},
    {Opcode::pad, "pad(c) = c, c constant and equal to the padding", pad_constant},
    {Opcode::reshape, "reshape(c) = c, c constant", move_constants},
    {Opcode::reverse, "reverse(c) = c, c constant", move_constants},
    {Opcode::slice, "slice(c) = c, c constant", move_constants},
    {Opcode::transpose, "transpose(c) = c, c constant", move_constants},
    {std::nullopt, "f(c, d) = e, when e is constant and finite", fold},
};

}  // namespace

std::span<const SimplifyRule> constant_rules() {
  return kRules;
}

}  // namespace gradc
