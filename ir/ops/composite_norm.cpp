// Normalisation of each sample by its own statistics. The gradients recompute mean and variance
// from the operand: two folds over data that the rule reads anyway, where `simplify` does not find
// those of the forward part.
#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

// Naive: (x - mean) / sqrt(variance + epsilon) along each line.
Tensor normalized_lines(const Tensor& x, const std::vector<int64_t>& axes, double epsilon) {
  Tensor y = x;
  for (const std::vector<size_t>& line : lines(x.type.dims, axes)) {
    double mean = 0, variance = 0;
    for (size_t i : line)
      mean += x.data[i] / static_cast<double>(line.size());
    for (size_t i : line)
      variance += (x.data[i] - mean) * (x.data[i] - mean) / static_cast<double>(line.size());
    for (size_t i : line)
      y.data[i] = (x.data[i] - mean) / std::sqrt(variance + epsilon);
  }
  return y;
}

ValueId repeated_mean(Builder& b, ValueId x, const std::vector<int64_t>& axes) {
  ValueId mean = b.scale(b.reduce_sum(x, axes), 1 / count_along(b, x, axes));
  return b.broadcast_over(mean, axes, b.dims(x));
}

// 1 / sqrt(mean(x^2) + epsilon), repeated to x's shape.
ValueId repeated_inverse_rms(Builder& b, ValueId x, const std::vector<int64_t>& axes,
                             double epsilon) {
  ValueId mean = b.scale(b.reduce_sum(b.mul(x, x), axes), 1 / count_along(b, x, axes));
  ValueId inverse = b.op(Opcode::rsqrt, {b.shift(mean, epsilon)});
  return b.broadcast_over(inverse, axes, b.dims(x));
}

struct Normalized {
  ValueId value;  // (x - mean) * inverse_deviation
  ValueId inverse_deviation;  // repeated to x's shape
};

Normalized normalize(Builder& b, ValueId x, const std::vector<int64_t>& axes, double epsilon) {
  ValueId centered = b.sub(x, repeated_mean(b, x, axes));
  ValueId inverse = repeated_inverse_rms(b, centered, axes, epsilon);
  return {b.mul(centered, inverse), inverse};
}

// dx = inverse_deviation * (dn - mean(dn) - n * mean(dn * n)), with dn the gradient of the
// normalised n.
ValueId normalize_gradient(Builder& b, ValueId dn, const Normalized& n,
                           const std::vector<int64_t>& axes) {
  ValueId slope = repeated_mean(b, b.mul(dn, n.value), axes);
  ValueId centered = b.sub(dn, repeated_mean(b, dn, axes));
  return b.mul(n.inverse_deviation, b.sub(centered, b.mul(n.value, slope)));
}

// scale and bias have x's sizes along `axes`.
Types infer_layer_norm(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x);
  Dims expected = sizes_along(x[0], axes_of(x[0], attrs));
  for (const Type& type : x.subspan(1))
    if (type.dims != expected)
      fail("scale and bias of {} along axes {} must be {}, got {}", to_string(x[0]),
           to_string(attrs.integers("axes")), to_string(expected), to_string(type));
  return one(x[0]);
}

std::vector<Tensor> eval_layer_norm(std::span<const Tensor> x, const Op& op,
                                    std::span<const Type>) {
  Tensor y = normalized_lines(x[0], op.attrs.integers("axes"), op.attrs.real("epsilon"));
  for (const std::vector<size_t>& line : lines(y.type.dims, op.attrs.integers("axes")))
    for (size_t i = 0; i < line.size(); ++i)
      y.data[line[i]] = y.data[line[i]] * x[1].data[i] + x[2].data[i];
  return {y};
}

void vjp_layer_norm(Vjp& g) {
  Builder& b = g.b;
  const std::vector<int64_t>& axes = g.attrs().integers("axes");
  std::vector<int64_t> others = other_axes(axes, g.x_type().rank());
  Normalized n = normalize(b, g.x(0), axes, g.attrs().real("epsilon"));
  ValueId dy = g.dy();
  ValueId dn = b.mul(dy, b.broadcast(g.x(1), axes, g.x_type().dims));
  g.add(0, normalize_gradient(b, dn, n, axes));
  g.add(1, b.reduce_sum(b.mul(dy, n.value), others));
  g.add(2, b.reduce_sum(dy, others));
}

std::vector<Tensor> eval_rms_norm(std::span<const Tensor> x, const Op& op, std::span<const Type>) {
  Tensor y = x[0];
  for (const std::vector<size_t>& line : lines(y.type.dims, op.attrs.integers("axes"))) {
    double mean = 0;
    for (size_t i : line)
      mean += x[0].data[i] * x[0].data[i] / static_cast<double>(line.size());
    for (size_t i = 0; i < line.size(); ++i)
      y.data[line[i]] *= x[1].data[i] / std::sqrt(mean + op.attrs.real("epsilon"));
  }
  return {y};
}

// With r = 1 / rms and n = x * r: dx = r * (dn - n * mean(dn * n))
void vjp_rms_norm(Vjp& g) {
  Builder& b = g.b;
  const std::vector<int64_t>& axes = g.attrs().integers("axes");
  ValueId inverse = repeated_inverse_rms(b, g.x(0), axes, g.attrs().real("epsilon"));
  ValueId n = b.mul(g.x(0), inverse);
  ValueId dy = g.dy();
  ValueId dn = b.mul(dy, b.broadcast(g.x(1), axes, g.x_type().dims));
  ValueId slope = repeated_mean(b, b.mul(dn, n), axes);
  g.add(0, b.mul(inverse, b.sub(dn, b.mul(n, slope))));
  g.add(1, b.reduce_sum(b.mul(dy, n), other_axes(axes, g.x_type().rank())));
}

Types infer_group_norm(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x);
  int64_t groups = attrs.integer("groups");
  if (x[0].rank() < 2)
    fail("{} has no channel axis: expected [batch, channels, ...]", to_string(x[0]));
  int64_t channels = x[0].dims[1];
  if (groups < 1 || channels % groups != 0)
    fail("{} has {} channels, not a multiple of {} groups", to_string(x[0]), channels, groups);
  for (const Type& type : x.subspan(1))
    if (type.dims != Dims{channels})
      fail("scale and bias of {} must be [{}], got {}", to_string(x[0]), channels, to_string(type));
  return one(x[0]);
}

// [batch, groups, channels of a group and the rest]
Dims grouped_dims(const Type& x, const Attrs& attrs) {
  int64_t groups = attrs.integer("groups");
  return {x.dims[0], groups, x.elements() / x.dims[0] / groups};
}

std::vector<Tensor> eval_group_norm(std::span<const Tensor> x, const Op& op,
                                    std::span<const Type> types) {
  Tensor grouped{{types[0].dtype, grouped_dims(types[0], op.attrs)}, x[0].data};
  Tensor y = normalized_lines(grouped, {2}, op.attrs.real("epsilon"));
  y.type = types[0];
  auto next = y.data.begin();
  for_each_index(y.type.dims, [&](const Dims& at) {
    auto channel = static_cast<size_t>(at[1]);
    *next = *next * x[1].data[channel] + x[2].data[channel];
    ++next;
  });
  return {y};
}

Normalized normalize_groups(Builder& b, ValueId x, const Attrs& attrs) {
  ValueId grouped = b.reshape(x, grouped_dims(b.type(x), attrs));
  return normalize(b, grouped, {2}, attrs.real("epsilon"));
}

void vjp_group_norm(Vjp& g) {
  Builder& b = g.b;
  const Dims dims = g.x_type().dims;
  std::vector<int64_t> others = other_axes({1}, g.x_type().rank());
  Normalized n = normalize_groups(b, g.x(0), g.attrs());
  ValueId dy = g.dy();
  ValueId dn = b.mul(dy, b.broadcast(g.x(1), {1}, dims));
  ValueId grouped = b.reshape(dn, b.dims(n.value));
  g.add(0, b.reshape(normalize_gradient(b, grouped, n, {2}), dims));
  g.add(1, b.reduce_sum(b.mul(dy, b.reshape(n.value, dims)), others));
  g.add(2, b.reduce_sum(dy, others));
}

}  // namespace

extern constexpr OpDef layer_norm = {
    .name = "layer_norm",
    .doc =
        "x less its mean over `axes`, divided by sqrt(variance + epsilon), times scale, plus bias, "
        "which have x's sizes along `axes`.",
    .examples =
        "layer_norm(f32[3,5], f32[5], f32[5]) {axes=[1], epsilon=1e-05}\n"
        "layer_norm(f32[2,3,4], f32[3,4], f32[3,4]) {axes=[1,2], epsilon=0.1}",
    .kernel = KernelClass::composite,
    .operands = 3,
    .attrs = {{"axes", AttrKind::integers}, {"epsilon", AttrKind::real}},
    .infer = infer_layer_norm,
    .eval = eval_layer_norm,
    .vjp = vjp_layer_norm,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      const std::vector<int64_t>& axes = op.attrs.integers("axes");
      const Dims dims = b.dims(op.operand(0));
      Normalized n = normalize(b, op.operand(0), axes, op.attrs.real("epsilon"));
      ValueId scaled = b.mul(n.value, b.broadcast(op.operand(1), axes, dims));
      return {b.add(scaled, b.broadcast(op.operand(2), axes, dims))};
    },
};

extern constexpr OpDef rms_norm = {
    .name = "rms_norm",
    .doc =
        "x divided by sqrt(mean of x^2 over `axes` + epsilon), times scale, which has x's sizes "
        "along `axes`.",
    .examples = "rms_norm(f32[3,5], f32[5]) {axes=[1], epsilon=1e-05}",
    .kernel = KernelClass::composite,
    .operands = 2,
    .attrs = {{"axes", AttrKind::integers}, {"epsilon", AttrKind::real}},
    .infer = infer_layer_norm,
    .eval = eval_rms_norm,
    .vjp = vjp_rms_norm,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      const std::vector<int64_t>& axes = op.attrs.integers("axes");
      ValueId x = op.operand(0);
      ValueId n = b.mul(x, repeated_inverse_rms(b, x, axes, op.attrs.real("epsilon")));
      return {b.mul(n, b.broadcast(op.operand(1), axes, b.dims(x)))};
    },
};

extern constexpr OpDef group_norm = {
    .name = "group_norm",
    .doc =
        "x [batch, channels, ...] normalised over each group of channels of each sample, times "
        "scale, plus bias, one number a channel. As many groups as channels: instance norm.",
    .examples =
        "group_norm(f32[2,4,3], f32[4], f32[4]) {epsilon=1e-05, groups=2}\n"
        "group_norm(f32[2,3,2,2], f32[3], f32[3]) {epsilon=0.1, groups=3}",
    .kernel = KernelClass::composite,
    .operands = 3,
    .attrs = {{"epsilon", AttrKind::real}, {"groups", AttrKind::integer}},
    .infer = infer_group_norm,
    .eval = eval_group_norm,
    .vjp = vjp_group_norm,
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      const Dims dims = b.dims(op.operand(0));
      ValueId n = b.reshape(normalize_groups(b, op.operand(0), op.attrs).value, dims);
      ValueId scaled = b.mul(n, b.broadcast(op.operand(1), {1}, dims));
      return {b.add(scaled, b.broadcast(op.operand(2), {1}, dims))};
    },
};

}  // namespace gradc::ops
