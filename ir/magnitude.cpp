#include "ir/magnitude.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace gradc {
namespace {

std::string key_of(ValueId parameter) {
  return fmt::format("least_{}", parameter.index);
}

const Op* producer(const Function& function, ValueId value) {
  auto op = std::ranges::find_if(
      function.ops, [&](const Op& o) { return std::ranges::count(o.results, value) > 0; });
  return op == function.ops.end() ? nullptr : &*op;
}

bool moves_elements(const Op& op) {
  return op.code == Opcode::broadcast || op.code == Opcode::reshape || op.code == Opcode::transpose;
}

bool is_never_negative(const Function& function, ValueId value) {
  const Op* op = producer(function, value);
  if (!op)
    return false;
  switch (op->code) {
    case Opcode::abs:
    case Opcode::exp:
    case Opcode::relu:
    case Opcode::rsqrt:
    case Opcode::sigmoid:
    case Opcode::sqrt:
      return true;
    case Opcode::constant:
      return op->attrs.real("value") >= 0;
    case Opcode::mul:
      if (op->operand(0) == op->operand(1))
        return true;
      [[fallthrough]];
    case Opcode::add:
      return is_never_negative(function, op->operand(0)) &&
             is_never_negative(function, op->operand(1));
    default:
      return moves_elements(*op) && is_never_negative(function, op->operand(0));
  }
}

}  // namespace

double least_magnitude(const Function& function, ValueId value) {
  const Op* op = producer(function, value);
  if (!op)
    return function.attrs.real_or(key_of(value), 0);
  auto least = [&](size_t i) { return least_magnitude(function, op->operand(i)); };
  switch (op->code) {
    case Opcode::constant:
      return std::abs(op->attrs.real("value"));
    case Opcode::exp:
    case Opcode::rsqrt:
    case Opcode::sigmoid:
      return 1;
    case Opcode::abs:
    case Opcode::neg:
      return least(0);
    case Opcode::mul:
      return least(0) * least(1);
    case Opcode::add:
      return is_never_negative(function, value) ? std::max(least(0), least(1)) : 0;
    default:
      return moves_elements(*op) ? least(0) : 0;
  }
}

void set_least_magnitude(Function& function, ValueId parameter, double magnitude) {
  function.attrs.set(key_of(parameter), magnitude);
}

// What all elements are divided by alike is nothing to the relative error.
double growth_of_quotient(const Function& function, ValueId factor) {
  double least = least_magnitude(function, factor);
  const Op* op = producer(function, factor);
  while (op && moves_elements(*op))
    op = producer(function, op->operand(0));
  bool is_alike = op && op->code == Opcode::constant && least > 0;
  return is_alike ? 1 : std::max(1.0, 1 / least);
}

double error_growth(const Function& function, const Op& op) {
  if (op.code == Opcode::leaky_relu)
    return std::max(1.0, std::abs(op.attrs.real("slope")));
  return op.code == Opcode::div ? growth_of_quotient(function, op.operand(1)) : 1;
}

}  // namespace gradc
