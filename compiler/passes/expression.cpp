#include "compiler/passes/expression.h"

#include <numeric>

namespace gradc {

Expr apply(Opcode code, Expr x) {
  return {x.builder, x.builder->op(code, {x.id})};
}

Expr apply(Opcode code, Expr x, Expr y) {
  Builder& b = *x.builder;
  Dims dims = x.type().rank() == 0 ? y.type().dims : x.type().dims;
  auto fit = [&](Expr e) { return e.type().rank() == 0 ? b.broadcast(e.id, {}, dims) : e.id; };
  ValueId left = fit(x), right = fit(y);
  return {&b, b.op(code, {left, right})};
}

Expr number(Expr like, double value) {
  return {like.builder, like.builder->constant(like.type(), value)};
}

Expr cast(Expr x, DType dtype) {
  if (x.type().dtype == dtype)
    return x;
  return {x.builder, x.builder->op(Opcode::cast, {x.id}, {{"dtype", dtype}})};
}

Expr sum_of_squares(Expr x) {
  std::vector<int64_t> axes(x.type().dims.size());
  std::iota(axes.begin(), axes.end(), 0);
  Expr square = x * x;
  return {x.builder, x.builder->reduce_sum(square.id, axes)};
}

}  // namespace gradc
