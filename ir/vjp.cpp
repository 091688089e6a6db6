#include "ir/vjp.h"

#include "ir/op_def.h"

namespace gradc {

ValueId Vjp::dy(size_t i) {
  return result_gradients_[i] ? *result_gradients_[i] : b.constant(y_type(i), 0.0);
}

void Vjp::add(size_t i, ValueId gradient) {
  GRADC_CHECK(b.type(gradient) == x_type(i),
              "gradient rule of `{}`: operand {} is {}, its gradient {}", def(op_).name, i,
              to_string(x_type(i)), to_string(b.type(gradient)));
  std::optional<ValueId>& slot = operand_gradients_[i];
  slot = slot ? b.op(Opcode::add, {*slot, gradient}) : gradient;
}

}  // namespace gradc
