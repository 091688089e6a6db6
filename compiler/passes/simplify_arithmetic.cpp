// Rules on the arithmetic of elements. x + 0 = x maps -0 to -0 where the sum is +0; nothing else
// changes any bit.
#include <cmath>

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

// For functions that are their own inverse.
std::optional<ValueId> undo(Site& s) {
  const Op* inner = s.producer(s.x(), s.op().code);
  return inner ? std::optional(inner->operand(0)) : std::nullopt;
}

std::optional<ValueId> divide_by_one(Site& s) {
  return first_when_second_is(s, 1);
}

// The reciprocal of a power of two is exact, and both forms round the same number.
std::optional<ValueId> divide_by_power_of_two(Site& s) {
  std::optional<double> divisor = s.number(s.x(1));
  int exponent = 0;
  if (!is_float(s.result_type().dtype) || !divisor ||
      std::abs(std::frexp(*divisor, &exponent)) != 0.5 || std::abs(exponent) > 100)
    return std::nullopt;
  ValueId factor = s.constant(s.type(s.x(1)), 1 / *divisor);
  return s.emit(Opcode::mul, {s.x(0), factor}, {});
}

std::optional<ValueId> first_power(Site& s) {
  return first_when_second_is(s, 1);
}

std::optional<ValueId> square(Site& s) {
  if (s.number(s.x(1)) != 2)
    return std::nullopt;
  return s.emit(Opcode::mul, {s.x(0), s.x(0)}, {});
}

std::optional<ValueId> select_known(Site& s) {
  if (s.x(1) == s.x(2))
    return s.x(1);
  std::optional<double> condition = s.number(s.x(0));
  return condition ? std::optional(s.x(*condition != 0 ? 1 : 2)) : std::nullopt;
}

std::optional<ValueId> cast_to_same(Site& s) {
  return s.type(s.x()) == s.result_type() ? std::optional(s.x()) : std::nullopt;
}

// Whether every number of one type is one of the other.
bool widens(DType from, DType to) {
  bool narrow = from == DType::bf16 || from == DType::f16;
  return (to == DType::f32 && narrow) || (to == DType::f64 && (narrow || from == DType::f32));
}

std::optional<ValueId> cast_there_and_back(Site& s) {
  const Op* there = s.producer(s.x(), Opcode::cast);
  if (!there || s.type(there->operand(0)) != s.result_type() ||
      !widens(s.result_type().dtype, s.type(s.x()).dtype))
    return std::nullopt;
  return there->operand(0);
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
    {Opcode::cast, "cast(x) = x, to its own element type", cast_to_same},
    {Opcode::cast, "cast(cast(x)) = x, through a wider type", cast_there_and_back},
    {Opcode::div, "x / 1 = x", divide_by_one},
    {Opcode::div, "x / 2^k = x * 2^-k, floats only", divide_by_power_of_two},
    {Opcode::logical_not, "not not x = x", undo},
    {Opcode::mul, "x * 1 = x", multiply_by_one},
    {Opcode::mul, "x * -1 = -x", multiply_by_minus_one},
    {Opcode::mul, "x * 0 = 0, integers only", multiply_integer_by_zero},
    {Opcode::neg, "-(-x) = x", undo},
    {Opcode::pow, "pow(x, 1) = x", first_power},
    {Opcode::pow, "pow(x, 2) = x * x", square},
    {Opcode::select, "select(c, x, y) = x or y, when c is constant or x is y", select_known},
    {Opcode::sub, "x - 0 = x", subtract_zero},
    {Opcode::sub, "0 - x = -x", subtract_from_zero},
    {Opcode::sub, "x - -y = x + y", subtract_negated},
};

}  // namespace

std::span<const SimplifyRule> arithmetic_rules() {
  return kRules;
}

}  // namespace gradc
