#include "compiler/passes/raise_match.h"

#include <cmath>

namespace gradc {

bool is_near(const Site& s, ValueId value, double number, double expected) {
  double digits = byte_size(s.type(value).dtype) < 4 ? 4e-3 : 1e-6;
  return std::abs(number - expected) <= digits * std::abs(expected);
}

Scaled scaled(const Site& s, ValueId value) {
  if (const Op* op = s.producer(value, Opcode::mul))
    for (size_t i : {0, 1})
      if (std::optional<double> number = s.number(op->operand(i))) {
        Scaled rest = scaled(s, op->operand(1 - i));
        return {*number * rest.number, rest.value};
      }
  if (const Op* op = s.producer(value, Opcode::div))
    if (std::optional<double> number = s.number(op->operand(1)); number && *number != 0) {
      Scaled rest = scaled(s, op->operand(0));
      return {rest.number / *number, rest.value};
    }
  if (const Op* op = s.producer(value, Opcode::neg)) {
    Scaled rest = scaled(s, op->operand(0));
    return {-rest.number, rest.value};
  }
  return {1, value};
}

std::optional<Shifted> shifted(const Site& s, ValueId value) {
  if (const Op* op = s.producer(value, Opcode::add))
    for (size_t i : {0, 1})
      if (std::optional<double> number = s.number(op->operand(i)))
        return Shifted{op->operand(1 - i), *number};
  if (const Op* op = s.producer(value, Opcode::sub))
    if (std::optional<double> number = s.number(op->operand(1)))
      return Shifted{op->operand(0), -*number};
  return std::nullopt;
}

std::optional<ValueId> one_more(const Site& s, ValueId value) {
  std::optional<Shifted> sum = shifted(s, value);
  return sum && sum->number == 1 ? std::optional(sum->value) : std::nullopt;
}

std::optional<Product> product(const Site& s) {
  double number = 1;
  ValueId a = s.x(0), b = s.x(1);
  if (s.op().code == Opcode::mul && s.number(a))
    std::swap(a, b);
  if (std::optional<double> factor = s.number(b)) {  // of a product made before
    bool divides = s.op().code == Opcode::div;
    if (divides && *factor == 0)
      return std::nullopt;
    Scaled rest = scaled(s, a);
    number = (divides ? 1 / *factor : *factor) * rest.number;
    const Op* inner = s.producer(rest.value, Opcode::mul);
    if (!inner)
      return std::nullopt;
    a = inner->operand(0), b = inner->operand(1);
  } else if (s.op().code == Opcode::div) {
    return std::nullopt;
  }
  Scaled left = scaled(s, a), right = scaled(s, b);
  return Product{number * left.number * right.number, left.value, right.value};
}

ValueId operand_of(const Site& s, ValueId value, Opcode code) {
  const Op* op = s.producer(value, code);
  return op ? op->operand(0) : ValueId{};
}

ValueId root_of_square(const Site& s, ValueId value) {
  if (const Op* op = s.producer(value, Opcode::mul); op && op->operand(0) == op->operand(1))
    return op->operand(0);
  const Op* op = s.producer(value, Opcode::pow);
  return op && s.number(op->operand(1)) == 2.0 ? op->operand(0) : ValueId{};
}

ValueId unreshaped(const Site& s, ValueId value) {
  while (const Op* op = s.producer(value, Opcode::reshape))
    value = op->operand(0);
  return value;
}

std::optional<Repeated> repeated(const Site& s, ValueId value) {
  const Op* op = s.producer(value, Opcode::broadcast);
  if (!op)
    return std::nullopt;
  return Repeated{op->operand(0), other_axes(op->attrs.integers("axes"), s.type(value).rank())};
}

std::optional<Folded> folded(const Site& s, ValueId value, Opcode code) {
  const Op* op = s.producer(unreshaped(s, value), code);
  return op ? std::optional(Folded{op->operand(0), op->attrs.integers("axes")}) : std::nullopt;
}

std::optional<Folded> mean(const Site& s, ValueId value) {
  if (std::optional<Folded> found = folded(s, value, Opcode::reduce_mean))
    return found;
  Scaled part = scaled(s, unreshaped(s, value));
  std::optional<Folded> sum = folded(s, part.value, Opcode::reduce_sum);
  if (!sum)
    return std::nullopt;
  auto count = static_cast<double>(s.type(sum->value).elements() / s.type(part.value).elements());
  return is_near(s, part.value, part.number, 1 / count) ? sum : std::nullopt;
}

}  // namespace gradc
