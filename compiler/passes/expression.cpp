#include "compiler/passes/expression.h"

namespace gradc {

Expr apply(Opcode code, Expr x) {
  return {x.builder, x.builder->op(code, {x.id})};
}

Expr apply(Opcode code, Expr x, Expr y) {
  Builder& b = *x.builder;
  Dims dims = x.type().rank() == 0 ? y.type().dims : x.type().dims;
  auto spread = [&](Expr scalar) {
    return scalar.type().rank() == 0 ? b.broadcast(scalar.id, {}, dims) : scalar.id;
  };
  ValueId left = spread(x), right = spread(y);
  return {&b, b.op(code, {left, right})};
}

Expr number(Expr like, double value) {
  return {like.builder, like.builder->constant(like.type(), value)};
}

}  // namespace gradc
