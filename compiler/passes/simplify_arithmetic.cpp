// Rules on the arithmetic of elements. x + 0 = x maps -0 to -0 where the sum is +0; nothing else
// changes any bit.
#include "compiler/passes/simplify_rules.h"

namespace gradc {
namespace {

// The operand that is not the number `neutral`, for a commutative op.
std::optional<ValueId> other_than(Site& s, double neutral) {
  if (s.number(s.x(1)) == neutral)
    return s.x(0);
  if (s.number(s.x(0)) == neutral)
    return s.x(1);
  return std::nullopt;
}

std::optional<ValueId> first_when_second_is(Site& s, double neutral) {
  return s.number(s.x(1)) == neutral ? std::optional(s.x(0)) : std::nullopt;
}

std::optional<ValueId> add_zero(Site& s) {
  return other_than(s, 0);
}

std::optional<ValueId> subtract_zero(Site& s) {
  return first_when_second_is(s, 0);
}

std::optional<ValueId> subtract_from_zero(Site& s) {
  if (s.number(s.x(0)) != 0)
    return std::nullopt;
  return s.emit(Opcode::neg, {s.x(1)}, {});
}

std::optional<ValueId> multiply_by_one(Site& s) {
  return other_than(s, 1);
}

// In floating point 0 * x is NaN when x is infinite or NaN.
std::optional<ValueId> multiply_integer_by_zero(Site& s) {
  if (is_float(s.result_type().dtype))
    return std::nullopt;
  for (ValueId operand : s.op().operands)
    if (s.number(operand) == 0)
      return operand;
  return std::nullopt;
}

std::optional<ValueId> multiply_by_minus_one(Site& s) {
  std::optional<ValueId> x = other_than(s, -1);
  return x ? std::optional(s.emit(Opcode::neg, {*x}, {})) : std::nullopt;
}

std::optional<ValueId> negate_twice(Site& s) {
  const Op* inner = s.producer(s.x(), Opcode::neg);
  return inner ? std::optional(inner->operand(0)) : std::nullopt;
}

std::optional<ValueId> add_negated(Site& s) {
  for (size_t i : {1, 0})
    if (const Op* negated = s.producer(s.x(i), Opcode::neg)) {
      ValueId y = negated->operand(0);
      return s.emit(Opcode::sub, {s.x(1 - i), y}, {});
    }
  return std::nullopt;
}

std::optional<ValueId> subtract_negated(Site& s) {
  const Op* negated = s.producer(s.x(1), Opcode::neg);
  if (!negated)
    return std::nullopt;
  ValueId y = negated->operand(0);
  return s.emit(Opcode::add, {s.x(0), y}, {});
}

constexpr SimplifyRule kRules[] = {
    {Opcode::add, "x + 0 = x", add_zero},
    {Opcode::add, "x + -y = x - y", add_negated},
    {Opcode::sub, "x - 0 = x", subtract_zero},
    {Opcode::sub, "0 - x = -x", subtract_from_zero},
    {Opcode::sub, "x - -y = x + y", subtract_negated},
    {Opcode::mul, "x * 1 = x", multiply_by_one},
    {Opcode::mul, "x * -1 = -x", multiply_by_minus_one},
    {Opcode::mul, "x * 0 = 0, integers only", multiply_integer_by_zero},
    {Opcode::neg, "-(-x) = x", negate_twice},
};

}  // namespace

std::span<const SimplifyRule> arithmetic_rules() {
  return kRules;
}

}  // namespace gradc
