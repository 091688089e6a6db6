// Arithmetic on each element. A gradient reads the result where the formula allows, so that the
// operand can be freed early.
#include "ir/ops/rules.h"

namespace gradc::ops {

using loop::Code;

extern constexpr OpDef add = {
    .name = "add",
    .doc = "Sum of two tensors of one type, element by element.",
    .examples = "add(f32[2,3], f32[2,3])\nadd(i32[4], i32[4])",
    .operands = 2,
    .commutative = true,
    .infer = same_type,
    .eval = eval_binary<[](double x, double y) { return x + y; }>,
    .vjp = [](Vjp& g) { g.add(0, g.dy()), g.add(1, g.dy()); },
    .element = element_binary<Code::add>,
};

extern constexpr OpDef sub = {
    .name = "sub",
    .doc = "Difference of two tensors of one type, element by element.",
    .examples = "sub(f32[2,3], f32[2,3])",
    .operands = 2,
    .infer = same_type,
    .eval = eval_binary<[](double x, double y) { return x - y; }>,
    .vjp = [](Vjp& g) { g.add(0, g.dy()), g.add(1, g.b.op(Opcode::neg, {g.dy()})); },
    .element = element_binary<Code::sub>,
};

// da = dy * b, db = dy * a
extern constexpr OpDef mul = {
    .name = "mul",
    .doc = "Product of two tensors of one type, element by element.",
    .examples = "mul(f32[2,3], f32[2,3])",
    .operands = 2,
    .commutative = true,
    .infer = same_type,
    .eval = eval_binary<[](double x, double y) { return x * y; }>,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.op(Opcode::mul, {g.dy(), g.x(1)}));
          g.add(1, g.b.op(Opcode::mul, {g.dy(), g.x(0)}));
        },
    .element = element_binary<Code::mul>,
};

extern constexpr OpDef neg = {
    .name = "neg",
    .doc = "Each element with its sign changed.",
    .examples = "neg(f32[5])",
    .infer = same_type,
    .eval = eval_unary<[](double x) { return -x; }>,
    .vjp = [](Vjp& g) { g.add(0, g.b.op(Opcode::neg, {g.dy()})); },
    .element = element_unary<Code::neg>,
};

// dx = dy * (1 - y^2)
extern constexpr OpDef tanh = {
    .name = "tanh",
    .doc = "Hyperbolic tangent of each element.",
    .examples = "tanh(f32[3,5])",
    .infer = same_type,
    .eval = eval_unary<[](double x) { return std::tanh(x); }>,
    .vjp =
        [](Vjp& g) {
          ValueId square = g.b.op(Opcode::mul, {g.y(), g.y()});
          ValueId slope = g.b.op(Opcode::sub, {g.b.constant_like(square, 1.0), square});
          g.add(0, g.b.op(Opcode::mul, {g.dy(), slope}));
        },
    .element = element_unary<Code::tanh>,
};

}  // namespace gradc::ops
