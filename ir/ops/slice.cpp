// Parts of tensors and their composition: each one's gradient is made of the others.
#include <algorithm>

#include "ir/builder.h"
#include "ir/ops/rules.h"

namespace gradc::ops {

using loop::Code;
using loop::Scalar;

namespace {

Types infer_slice(std::span<const Type> x, const Attrs& a) {
  for (std::string_view key : {"begin", "end", "step"})
    check_one_per_axis(a, key, x[0].rank());
  Type y{x[0].dtype, {}};
  for (size_t i = 0; i < x[0].dims.size(); ++i) {
    int64_t begin = a.integers("begin")[i], end = a.integers("end")[i];
    int64_t step = a.integers("step")[i];
    if (begin < 0 || begin >= end || end > x[0].dims[i] || step < 1)
      fail(
          "axis {} of {} cannot be sliced from {} to {} by {}: needs 0 <= begin < end <= {}, "
          "step >= 1",
          i, to_string(x[0]), begin, end, step, x[0].dims[i]);
    y.dims.push_back((end - begin - 1) / step + 1);
  }
  return one(y);
}

// The zeros before, after and between the elements of dy.
void vjp_slice(Vjp& g) {
  const Dims &from = g.x_type().dims, &to = g.y_type().dims;
  const auto &begin = g.attrs().integers("begin"), &step = g.attrs().integers("step");
  std::vector<int64_t> high, interior;
  for (size_t i = 0; i < from.size(); ++i) {
    int64_t last = begin[i] + (to[i] - 1) * step[i];
    high.push_back(from[i] - 1 - last);
    interior.push_back(step[i] - 1);
  }
  g.add(0, g.b.op(Opcode::pad, {g.dy()},
                  {{"low", begin}, {"high", high}, {"interior", interior}, {"value", 0.0}}));
}

std::vector<int64_t> interior_of(const Attrs& a) {
  return a.has("interior") ? a.integers("interior")
                           : std::vector<int64_t>(a.integers("low").size(), 0);
}

// Size along an axis after padding between elements, before padding at the ends.
int64_t spread_size(int64_t size, int64_t interior) {
  return (size - 1) * (interior + 1) + 1;
}

Types infer_pad(std::span<const Type> x, const Attrs& a) {
  check_one_per_axis(a, "low", x[0].rank());
  check_one_per_axis(a, "high", x[0].rank());
  if (a.has("interior"))
    check_one_per_axis(a, "interior", x[0].rank());
  std::vector<int64_t> interior = interior_of(a);
  Type y{x[0].dtype, {}};
  for (size_t i = 0; i < x[0].dims.size(); ++i) {
    int64_t low = a.integers("low")[i], high = a.integers("high")[i];
    if (low < 0 || high < 0 || interior[i] < 0)
      fail("axis {} is padded by {}, {} and {} between: paddings cannot be negative", i, low, high,
           interior[i]);
    y.dims.push_back(low + spread_size(x[0].dims[i], interior[i]) + high);
  }
  return one(y);
}

std::vector<Tensor> eval_pad(std::span<const Tensor> x, const Op& op, std::span<const Type> types) {
  double around = converted(types[0].dtype, op.attrs.real("value"));
  Tensor y = tensor_of(types[0], [&](const Dims&) { return around; });
  std::vector<int64_t> low = op.attrs.integers("low"), interior = interior_of(op.attrs);
  auto next = x[0].data.begin();
  for_each_index(x[0].type.dims, [&](Dims at) {
    for (size_t axis = 0; axis < at.size(); ++axis)
      at[axis] = low[axis] + at[axis] * (interior[axis] + 1);
    y.data[static_cast<size_t>(ravel(at, types[0].dims))] = *next++;
  });
  return {y};
}

// The elements of y, made by a pad of these attributes, that came from an operand of these dims.
ValueId without_padding(Builder& b, const Attrs& attrs, const Dims& dims, ValueId y) {
  std::vector<int64_t> begin = attrs.integers("low"), end, step;
  std::vector<int64_t> interior = interior_of(attrs);
  for (size_t i = 0; i < begin.size(); ++i) {
    end.push_back(begin[i] + spread_size(dims[i], interior[i]));
    step.push_back(interior[i] + 1);
  }
  return b.op(Opcode::slice, {y}, {{"begin", begin}, {"end", end}, {"step", step}});
}

void vjp_pad(Vjp& g) {
  g.add(0, without_padding(g.b, g.attrs(), g.x_type().dims, g.dy()));
}

// x where all axes hit an element of x, `value` elsewhere. Axes without padding are not tested.
Scalar element_pad(loop::ElementContext& c) {
  loop::Builder& b = c.b;
  const Dims& dims = c.operand_type(0).dims;
  std::vector<int64_t> interior = interior_of(c.attrs());
  std::vector<Scalar> from(c.position().begin(), c.position().end());
  Guard inside(c);
  for (size_t i = 0; i < dims.size(); ++i) {
    int64_t low = c.attrs().integers("low")[i], high = c.attrs().integers("high")[i];
    from[i] = b.sub(from[i], b.index(low));
    int64_t spread = spread_size(dims[i], interior[i]);
    inside.require_range(from[i], 0, spread, -low, spread + high - 1);
    if (interior[i] > 0) {
      Scalar step = b.index(interior[i] + 1);
      inside.require(b.compare(Code::equal, b.rem(from[i], step), b.index(0)));
      from[i] = b.div(from[i], step);
    }
  }
  return inside.read(0, from, b.constant(c.result_type().dtype, c.attrs().real("value")));
}

Types infer_concat(std::span<const Type> x, const Attrs& a) {
  auto axis = static_cast<size_t>(axis_of(a, x[0].rank()));
  Type y = x[0];
  for (const Type& type : x.subspan(1)) {
    Type expected = x[0];
    if (type.rank() == expected.rank())
      expected.dims[axis] = type.dims[axis];
    if (type != expected)
      fail("cannot concatenate {} and {} along axis {}: all else must be equal", to_string(x[0]),
           to_string(type), axis);
    y.dims[axis] += type.dims[axis];
  }
  return one(y);
}

std::vector<Tensor> eval_concat(std::span<const Tensor> x, const Op& op,
                                std::span<const Type> types) {
  auto axis = static_cast<size_t>(op.attrs.integer("axis"));
  return {tensor_of(types[0], [&](Dims at) {
    size_t i = 0;
    while (at[axis] >= x[i].type.dims[axis])
      at[axis] -= x[i++].type.dims[axis];
    return element(x[i], at);
  })};
}

void vjp_concat(Vjp& g) {
  auto axis = static_cast<size_t>(g.attrs().integer("axis"));
  std::vector<int64_t> begin = g.y_type().dims, step = begin;
  std::fill(begin.begin(), begin.end(), 0);
  std::fill(step.begin(), step.end(), 1);
  for (size_t i = 0; i < g.operand_count(); ++i) {
    std::vector<int64_t> end = g.y_type().dims;
    end[axis] = begin[axis] + g.x_type(i).dims[axis];
    g.add(i, g.b.op(Opcode::slice, {g.dy()}, {{"begin", begin}, {"end", end}, {"step", step}}));
    begin[axis] = end[axis];
  }
}

ValueId inverse_concat(Builder& b, const Op& op, std::span<const Type> types, size_t sought,
                       ValueId y) {
  auto axis = static_cast<size_t>(op.attrs.integer("axis"));
  std::vector<int64_t> end = types[sought].dims, begin(end.size(), 0), step(end.size(), 1);
  for (size_t i = 0; i < sought; ++i)
    begin[axis] += types[i].dims[axis];
  end[axis] += begin[axis];
  return b.op(Opcode::slice, {y}, {{"begin", begin}, {"end", end}, {"step", step}});
}

Scalar element_concat(loop::ElementContext& c) {
  auto axis = static_cast<size_t>(c.attrs().integer("axis"));
  std::vector<Scalar> from(c.position().begin(), c.position().end());
  Scalar along = from[axis], value = c.b.constant(c.result_type().dtype, 0);
  int64_t begin = 0, size = c.result_type().dims[axis];
  for (size_t i = 0; i < c.op().operands.size(); ++i) {
    int64_t end = begin + c.operand_type(i).dims[axis];
    Guard inside(c);
    inside.require_range(along, begin, end, 0, size - 1);
    from[axis] = c.b.sub(along, c.b.index(begin));
    value = inside.read(i, from, value);
    begin = end;
  }
  return value;
}

Types infer_reverse(std::span<const Type> x, const Attrs& a) {
  const auto& axes = a.integers("axes");
  for (size_t i = 0; i < axes.size(); ++i)
    if (axes[i] < 0 || axes[i] >= x[0].rank() || (i && axes[i] <= axes[i - 1]))
      fail("`axes` must rise and lie in [0, {}), got {}", x[0].rank(), to_string(axes));
  return one(x[0]);
}

}  // namespace

extern constexpr OpDef slice = {
    .name = "slice",
    .doc =
        "Along each axis the elements begin, begin + step, ... below end. The gradient of the "
        "others is 0.",
    .examples =
        "slice(f32[4,5]) {begin=[1,0], end=[3,5], step=[1,1]}\n"
        "slice(f32[4,6]) {begin=[0,1], end=[4,5], step=[2,3]}",
    .attrs = {{"begin", AttrKind::integers},
              {"end", AttrKind::integers},
              {"step", AttrKind::integers}},
    .exact = true,
    .infer = infer_slice,
    .eval =
        [](std::span<const Tensor> x, const Op& op, std::span<const Type> types) {
          return std::vector{tensor_of(types[0], [&](Dims at) {
            for (size_t i = 0; i < at.size(); ++i)
              at[i] = op.attrs.integers("begin")[i] + at[i] * op.attrs.integers("step")[i];
            return element(x[0], at);
          })};
        },
    .flops = no_flops,
    .vjp = vjp_slice,
    .element =
        [](loop::ElementContext& c) {
          std::vector<Scalar> from;
          for (size_t i = 0; i < c.position().size(); ++i) {
            Scalar scaled = c.b.mul(c.position()[i], c.b.index(c.attrs().integers("step")[i]));
            from.push_back(c.b.add(scaled, c.b.index(c.attrs().integers("begin")[i])));
          }
          return c.at(0, from);
        },
};

extern constexpr OpDef pad = {
    .name = "pad",
    .doc =
        "x with `value` around it: low[i] times before and high[i] times after the elements of "
        "axis i, and interior[i] times (0 when absent) between each two.",
    .examples =
        "pad(f32[2,3]) {high=[0,2], low=[1,1], value=0.0}\n"
        "pad(f32[2,3]) {high=[1,0], interior=[0,2], low=[0,1], value=1.5}\n"
        "pad(i32[2]) {high=[1], low=[0], value=-1.0}",
    .attrs = {{"high", AttrKind::integers},
              {"interior", AttrKind::integers, false},
              {"low", AttrKind::integers},
              {"value", AttrKind::real}},
    .exact = true,
    .infer = infer_pad,
    .eval = eval_pad,
    .flops = no_flops,
    .vjp = vjp_pad,
    .element = element_pad,
    .inverse = [](Builder& b, const Op& op, std::span<const Type> types, size_t,
                  ValueId y) { return without_padding(b, op.attrs, types[0].dims, y); },
};

extern constexpr OpDef concat = {
    .name = "concat",
    .doc = "The operands one after the other along `axis`; their other sizes are equal.",
    .examples =
        "concat(f32[2,3], f32[2,1]) {axis=1}\nconcat(f32[1,2], f32[2,2], f32[3,2]) {axis=0}\n"
        "concat(i32[2], i32[3]) {axis=0}",
    .operands = -1,
    .attrs = {{"axis", AttrKind::integer}},
    .exact = true,
    .infer = infer_concat,
    .eval = eval_concat,
    .flops = no_flops,
    .vjp = vjp_concat,
    .element = element_concat,
    .inverse = inverse_concat,
};

extern constexpr OpDef reverse = {
    .name = "reverse",
    .doc = "The elements in the opposite order along each of `axes`.",
    .examples = "reverse(f32[2,3]) {axes=[1]}\nreverse(f32[2,3,2]) {axes=[0,2]}",
    .attrs = {{"axes", AttrKind::integers}},
    .exact = true,
    .infer = infer_reverse,
    .eval =
        [](std::span<const Tensor> x, const Op& op, std::span<const Type> types) {
          return std::vector{tensor_of(types[0], [&](Dims at) {
            for (int64_t axis : op.attrs.integers("axes")) {
              int64_t& i = at[static_cast<size_t>(axis)];
              i = types[0].dims[static_cast<size_t>(axis)] - 1 - i;
            }
            return element(x[0], at);
          })};
        },
    .flops = no_flops,
    .vjp = [](Vjp& g) { g.add(0, g.b.op(Opcode::reverse, {g.dy()}, g.attrs())); },
    .element =
        [](loop::ElementContext& c) {
          std::vector<Scalar> from(c.position().begin(), c.position().end());
          for (int64_t axis : c.attrs().integers("axes")) {
            Scalar& i = from[static_cast<size_t>(axis)];
            i = c.b.sub(c.b.index(c.result_type().dims[static_cast<size_t>(axis)] - 1), i);
          }
          return c.at(0, from);
        },
    .inverse = [](Builder& b, const Op& op, std::span<const Type>, size_t,
                  ValueId y) { return b.op(Opcode::reverse, {y}, op.attrs); },
};

}  // namespace gradc::ops
