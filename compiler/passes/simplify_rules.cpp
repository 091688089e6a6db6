#include "compiler/passes/simplify_rules.h"

namespace gradc {

std::optional<double> Site::number(ValueId value) const {
  const Op* op = producer(value, Opcode::constant);
  return op ? std::optional(op->attrs.real("value")) : std::nullopt;
}

ValueId Site::constant(const Type& type, double value) {
  return emit(Opcode::constant, {},
              {{"dtype", type.dtype}, {"shape", type.dims}, {"value", value}});
}

ValueId Site::reshape(ValueId x, const Dims& dims) {
  return type(x).dims == dims ? x : emit(Opcode::reshape, {x}, {{"shape", dims}});
}

ValueId Site::transpose(ValueId x, const std::vector<int64_t>& permutation) {
  for (size_t i = 0; i < permutation.size(); ++i)
    if (permutation[i] != static_cast<int64_t>(i))
      return emit(Opcode::transpose, {x}, {{"permutation", permutation}});
  return x;
}

std::vector<SimplifyRule> all_simplify_rules() {
  std::vector<SimplifyRule> rules;
  for (auto topic :
       {constant_rules(), arithmetic_rules(), shape_rules(), slice_rules(), dot_rules()})
    rules.insert(rules.end(), topic.begin(), topic.end());
  return rules;
}

}  // namespace gradc
