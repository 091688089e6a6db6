// Dropout. The mask is a function of seed, step and stream: no budget need hold it for the
// gradient, which says how to compute it.
#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

Attrs random_attrs(const Attrs& attrs, const Type& x) {
  return {{"shape", x.dims}, {"stream", attrs.integer("stream")}};
}

Types infer_dropout(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x.first(1));
  infer_types(Opcode::random_uniform, x.subspan(1), random_attrs(attrs, x[0]));
  double rate = attrs.real("rate");
  if (!(rate >= 0 && rate < 1))
    fail("`rate` is {}, it must lie in [0, 1)", rate);
  return one(x[0]);
}

std::vector<Tensor> eval_dropout(std::span<const Tensor> x, const Op& op,
                                 std::span<const Type> types) {
  Op random{.code = Opcode::random_uniform, .attrs = random_attrs(op.attrs, x[0].type)};
  Type type{DType::f32, x[0].type.dims};
  Tensor uniform = def(random).eval(x.subspan(1), random, std::span(&type, 1))[0];
  double rate = op.attrs.real("rate");
  Tensor y{types[0], x[0].data};
  for (size_t i = 0; i < y.data.size(); ++i)
    y.data[i] = uniform.data[i] < rate ? 0 : y.data[i] / (1 - rate);
  return {y};
}

// x / (1 - rate) where the random number of the element is at least `rate`, else 0.
ValueId drop(Builder& b, ValueId x, const Op& op) {
  double rate = op.attrs.real("rate");
  ValueId uniform = b.op(Opcode::random_uniform, {op.operand(1), op.operand(2)},
                         random_attrs(op.attrs, b.type(x)));
  ValueId kept = b.op(Opcode::less_equal, {b.constant_like(uniform, rate), uniform});
  return b.select(kept, b.scale(x, 1 / (1 - rate)), b.constant_like(x, 0.0));
}

}  // namespace

// dx = dropout of dy with the same mask
extern constexpr OpDef dropout = {
    .name = "dropout",
    .doc =
        "x with each element set to 0 with probability `rate`, the others divided by 1 - rate. "
        "Operands: x, seed, step; the elements are those of `random_uniform` with `stream`.",
    .examples = "dropout(f32[4,5], i64[], i64[]) {rate=0.4, stream=3}",
    .kernel = KernelClass::composite,
    .operands = 3,
    .attrs = {{"rate", AttrKind::real}, {"stream", AttrKind::integer}},
    .domains = {Domain::real, Domain::seed},
    .infer = infer_dropout,
    .eval = eval_dropout,
    .vjp = [](Vjp& g) { g.add(0, drop(g.b, g.dy(), g.op())); },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      return {drop(b, op.operand(0), op)};
    },
};

}  // namespace gradc::ops
