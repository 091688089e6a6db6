#include "ir/magnitude.h"

#include <fmt/core.h>

#include <algorithm>
#include <vector>

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

// Of all values up to the one that is sought, as ops follow what they read.
Magnitude magnitude_of(const Function& function, ValueId sought) {
  std::vector<Magnitude> known(function.values.size());
  for (const Parameter& parameter : function.parameters)
    known[parameter.value.index].least = function.attrs.real_or(key_of(parameter.value), 0);
  for (const Op& op : function.ops) {
    if (!def(op).magnitude)
      continue;
    std::vector<Magnitude> operands;
    for (ValueId operand : op.operands)
      operands.push_back(known[operand.index]);
    known[op.result().index] = def(op).magnitude(op, operands);
    if (op.result() == sought)
      break;
  }
  return known[sought.index];
}

}  // namespace

double least_magnitude(const Function& function, ValueId value) {
  return magnitude_of(function, value).least;
}

void set_least_magnitude(Function& function, ValueId parameter, double magnitude) {
  function.attrs.set(key_of(parameter), magnitude);
}

// What all elements are divided by alike is nothing to the relative error.
double growth_of_quotient(const Function& function, ValueId factor) {
  double least = least_magnitude(function, factor);
  const Op* op = producer(function, factor);
  while (op && def(*op).exact && op->operands.size() == 1)
    op = producer(function, op->operand(0));
  bool is_alike = op && op->code == Opcode::constant && least > 0;
  return is_alike ? 1 : std::max(1.0, 1 / least);
}

double error_growth(const Function& function, const Op& op) {
  return def(op).error_growth ? def(op).error_growth(function, op) : 1;
}

}  // namespace gradc
