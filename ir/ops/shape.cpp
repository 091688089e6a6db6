// Ops that move or repeat elements, and constants.
#include "ir/builder.h"
#include "ir/ops/rules.h"

namespace gradc::ops {

extern constexpr OpDef constant = {
    .name = "constant",
    .doc = "A tensor whose elements all equal `value`.",
    .examples =
        "constant() {dtype=f32, shape=[2,3], value=1.5}\nconstant() {dtype=i32, shape=[], "
        "value=3.0}",
    .operands = 0,
    .attrs = {{"dtype", AttrKind::dtype}, {"shape", AttrKind::integers}, {"value", AttrKind::real}},
    .infer = [](std::span<const Type>,
                const Attrs& a) { return one({a.dtype("dtype"), a.integers("shape")}); },
    .eval =
        [](std::span<const Tensor>, const Op& op, std::span<const Type> types) {
          return std::vector{tensor_of(types[0], [&](const Dims&) {
            return converted(types[0].dtype, op.attrs.real("value"));
          })};
        },
    .flops = no_flops,
    .vjp = zero_gradient,
    .element =
        [](loop::ElementContext& c) {
          return c.b.constant(c.result_type().dtype, c.attrs().real("value"));
        },
    .magnitude =
        [](const Op& op, std::span<const Magnitude>) {
          double value = op.attrs.real("value");
          return Magnitude{std::abs(value), value >= 0};
        },
};

extern constexpr OpDef reshape = {
    .name = "reshape",
    .doc = "The same elements in row-major order under another shape.",
    .examples = "reshape(f32[2,6]) {shape=[3,4]}\nreshape(f32[1]) {shape=[]}",
    .kernel = KernelClass::view,
    .attrs = {{"shape", AttrKind::integers}},
    .exact = true,
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          const Dims& shape = a.integers("shape");
          if (element_count(shape) != x[0].elements())
            fail("cannot reshape {} ({} elements) to {} ({})", to_string(x[0].dims),
                 x[0].elements(), to_string(shape), element_count(shape));
          return one({x[0].dtype, shape});
        },
    .eval = [](std::span<const Tensor> x, const Op&,
               std::span<const Type> types) { return std::vector<Tensor>{{types[0], x[0].data}}; },
    .flops = no_flops,
    .vjp = [](Vjp& g) { g.add(0, g.b.reshape(g.dy(), g.x_type().dims)); },
    .element = [](loop::ElementContext& c) { return c.at_linear(0, c.linear()); },
    .inverse = [](Builder& b, const Op&, std::span<const Type> types, size_t,
                  ValueId y) { return b.reshape(y, types[0].dims); },
    .magnitude = of_operand,
};

// axes[i] is the result's axis that axis i of x becomes. The dual of reduce_sum.
extern constexpr OpDef broadcast = {
    .name = "broadcast",
    .doc =
        "Repeats x along the axes of `shape` that are not in `axes`; axis i of x becomes axis "
        "axes[i].",
    .examples =
        "broadcast(f32[3]) {axes=[1], shape=[2,3]}\nbroadcast(f32[2,3]) {axes=[0,2], "
        "shape=[2,4,3]}\n"
        "broadcast(f32[]) {axes=[], shape=[2,2]}",
    .attrs = {{"axes", AttrKind::integers}, {"shape", AttrKind::integers}},
    .exact = true,
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          const auto& axes = a.integers("axes");
          const Dims& shape = a.integers("shape");
          if (axes.size() != x[0].dims.size())
            fail("`axes` names {} axes, the operand has {}", axes.size(), x[0].dims.size());
          for (size_t i = 0; i < axes.size(); ++i) {
            if (axes[i] < 0 || axes[i] >= static_cast<int64_t>(shape.size()) ||
                (i && axes[i] <= axes[i - 1]))
              fail("`axes` must rise and lie in [0, {}), got {}", shape.size(), to_string(axes));
            if (shape[static_cast<size_t>(axes[i])] != x[0].dims[i])
              fail("axis {} of the operand has size {}, axis {} of `shape` {}", i, x[0].dims[i],
                   axes[i], shape[static_cast<size_t>(axes[i])]);
          }
          return one({x[0].dtype, shape});
        },
    .eval =
        [](std::span<const Tensor> x, const Op& op, std::span<const Type> types) {
          return std::vector{tensor_of(types[0], [&](const Dims& to) {
            Dims from;
            for (int64_t axis : op.attrs.integers("axes"))
              from.push_back(to[static_cast<size_t>(axis)]);
            return element(x[0], from);
          })};
        },
    .flops = no_flops,
    .vjp =
        [](Vjp& g) {
          g.add(0,
                g.b.reduce_sum(g.dy(), other_axes(g.attrs().integers("axes"), g.y_type().rank())));
        },
    .element =
        [](loop::ElementContext& c) {
          std::vector<loop::Scalar> from;
          for (int64_t axis : c.attrs().integers("axes"))
            from.push_back(c.position()[static_cast<size_t>(axis)]);
          return c.at(0, from);
        },
    .magnitude = of_operand,
};

namespace {

std::vector<int64_t> inverse_order(const std::vector<int64_t>& order) {
  std::vector<int64_t> inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    inverse[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
  return inverse;
}

}  // namespace

extern constexpr OpDef transpose = {
    .name = "transpose",
    .doc = "Reorders axes: axis i of the result is axis permutation[i] of x.",
    .examples =
        "transpose(f32[2,3]) {permutation=[1,0]}\ntranspose(f32[2,3,4]) {permutation=[2,0,1]}",
    .attrs = {{"permutation", AttrKind::integers}},
    .exact = true,
    .infer =
        [](std::span<const Type> x, const Attrs& a) {
          const auto& order = a.integers("permutation");
          for (int64_t axis = 0; axis < x[0].rank(); ++axis)
            if (!contains(order, axis) || order.size() != x[0].dims.size())
              fail("`permutation` must hold each of 0..{} once, got {}", x[0].rank() - 1,
                   to_string(order));
          Dims dims;
          for (int64_t axis : order)
            dims.push_back(x[0].dims[static_cast<size_t>(axis)]);
          return one({x[0].dtype, dims});
        },
    .eval =
        [](std::span<const Tensor> x, const Op& op, std::span<const Type> types) {
          return std::vector{tensor_of(types[0], [&](const Dims& to) {
            Dims from(to.size());
            for (size_t axis = 0; axis < to.size(); ++axis)
              from[static_cast<size_t>(op.attrs.integers("permutation")[axis])] = to[axis];
            return element(x[0], from);
          })};
        },
    .flops = no_flops,
    .vjp =
        [](Vjp& g) {
          g.add(0, g.b.transpose(g.dy(), inverse_order(g.attrs().integers("permutation"))));
        },
    .element =
        [](loop::ElementContext& c) {
          const auto& order = c.attrs().integers("permutation");
          std::vector<loop::Scalar> from(order.size());
          for (size_t axis = 0; axis < order.size(); ++axis)
            from[static_cast<size_t>(order[axis])] = c.position()[axis];
          return c.at(0, from);
        },
    .inverse =
        [](Builder& b, const Op& op, std::span<const Type>, size_t, ValueId y) {
          return b.transpose(y, inverse_order(op.attrs.integers("permutation")));
        },
    .magnitude = of_operand,
};

}  // namespace gradc::ops
