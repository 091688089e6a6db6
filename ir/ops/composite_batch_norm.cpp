// Batch normalisation in PyTorch's convention: the running variance takes the unbiased estimate,
// and `momentum` is the weight of the new value.
#include <algorithm>
#include <array>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

// Everything but the channel axis.
std::vector<int64_t> sample_axes(const Type& x, const Attrs& attrs) {
  return other_axes({attrs.integer("axis")}, x.rank());
}

void check_batch_norm(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x);
  int64_t channels = x[0].dims[static_cast<size_t>(axis_of(attrs, x[0].rank()))];
  for (const Type& type : x.subspan(1))
    if (type.dims != Dims{channels})
      fail("{} has {} channels on axis {}: scale, bias, mean and variance must be [{}], got {}",
           to_string(x[0]), channels, attrs.integer("axis"), channels, to_string(type));
}

Types infer_batch_norm(std::span<const Type> x, const Attrs& attrs) {
  check_batch_norm(x, attrs);
  if (element_count(sizes_along(x[0], sample_axes(x[0], attrs))) < 2)
    fail("{} has one value per channel, training needs two or more for a variance",
         to_string(x[0]));
  return {x[0], x[3], x[4]};
}

// y = (x - mean) / sqrt(variance + epsilon) * scale + bias for one channel, naively.
void apply(Tensor& y, const std::vector<size_t>& line, double mean, double variance, double epsilon,
           double scale, double bias) {
  for (size_t i : line)
    y.data[i] = (y.data[i] - mean) / std::sqrt(variance + epsilon) * scale + bias;
}

std::vector<Tensor> eval_batch_norm(std::span<const Tensor> x, const Op& op,
                                    std::span<const Type>) {
  double momentum = op.attrs.real("momentum"), epsilon = op.attrs.real("epsilon");
  Tensor y = x[0], running_mean = x[3], running_variance = x[4];
  std::vector<std::vector<size_t>> channels = lines(y.type.dims, sample_axes(y.type, op.attrs));
  for (size_t c = 0; c < channels.size(); ++c) {
    auto count = static_cast<double>(channels[c].size());
    double mean = 0, squares = 0;
    for (size_t i : channels[c])
      mean += x[0].data[i] / count;
    for (size_t i : channels[c])
      squares += (x[0].data[i] - mean) * (x[0].data[i] - mean);
    apply(y, channels[c], mean, squares / count, epsilon, x[1].data[c], x[2].data[c]);
    running_mean.data[c] = (1 - momentum) * x[3].data[c] + momentum * mean;
    running_variance.data[c] = (1 - momentum) * x[4].data[c] + momentum * squares / (count - 1);
  }
  return {y, running_mean, running_variance};
}

std::vector<Tensor> eval_inference(std::span<const Tensor> x, const Op& op, std::span<const Type>) {
  Tensor y = x[0];
  std::vector<std::vector<size_t>> channels = lines(y.type.dims, sample_axes(y.type, op.attrs));
  for (size_t c = 0; c < channels.size(); ++c)
    apply(y, channels[c], x[3].data[c], x[4].data[c], op.attrs.real("epsilon"), x[1].data[c],
          x[2].data[c]);
  return {y};
}

// The statistics of a batch, [channels] unless said otherwise.
struct Statistics {
  ValueId mean;
  ValueId centered;  // x - mean, in x's shape
  ValueId variance;  // divided by count
  ValueId inverse_deviation;  // 1 / sqrt(variance + epsilon)
  double count;  // values per channel
};

struct Moments {
  ValueId mean;
  ValueId centered;  // x - mean
  ValueId squares;  // sum of centered^2
};

Moments moments(Builder& b, ValueId x, const std::vector<int64_t>& axes) {
  Moments m;
  m.mean = b.scale(b.reduce_sum(x, axes), 1 / count_along(b, x, axes));
  m.centered = b.sub(x, b.broadcast_over(m.mean, axes, b.dims(x)));
  m.squares = b.reduce_sum(b.mul(m.centered, m.centered), axes);
  return m;
}

// Of these axes the last ones, whose values of all channels stay in a cache; nothing where all do
// or where too few are left.
std::vector<int64_t> axes_in_cache(const Type& x, int64_t channel_axis,
                                   const std::vector<int64_t>& axes) {
  constexpr int64_t kFewBytes = 512 << 10, kFewValues = 16;
  std::vector<int64_t> inner;
  int64_t values = 1, bytes = x.dims[static_cast<size_t>(channel_axis)] * byte_size(x.dtype);
  if (x.bytes() <= kFewBytes)
    return {};
  for (size_t i = axes.size(); i-- > 1;) {
    int64_t size = x.dims[static_cast<size_t>(axes[i])];
    if (values >= kFewValues && values * bytes * size > kFewBytes)
      break;
    values *= size;
    inner.insert(inner.begin(), axes[i]);
  }
  return values >= kFewValues ? inner : std::vector<int64_t>{};
}

// The mean, then the squares of what is left, which takes two passes over x. Where x is in no cache
// these are over a part of it at a time, of `n` values with mean m and squares q each:
// mean = mean(m), squares = sum(q + n * (m - mean)^2)
Statistics statistics(Builder& b, ValueId x, const Attrs& attrs) {
  int64_t axis = attrs.integer("axis");
  std::vector<int64_t> axes = sample_axes(b.type(x), attrs);
  std::vector<int64_t> inner = axes_in_cache(b.type(x), axis, axes);
  Moments all;
  if (inner.empty()) {
    all = moments(b, x, axes);
  } else {
    Moments part = moments(b, x, inner);
    std::vector<int64_t> outer =
        other_axes({axis - std::ranges::count_if(inner, [&](int64_t i) { return i < axis; })},
                   b.type(part.mean).rank());
    all.mean = b.scale(b.reduce_sum(part.mean, outer), 1 / count_along(b, part.mean, outer));
    ValueId away = b.sub(part.mean, b.broadcast_over(all.mean, outer, b.dims(part.mean)));
    ValueId between = b.scale(b.mul(away, away), count_along(b, x, inner));
    all.squares = b.reduce_sum(b.add(part.squares, between), outer);
    all.centered = b.sub(x, b.broadcast_over(all.mean, axes, b.dims(x)));
  }
  Statistics s;
  s.mean = all.mean;
  s.centered = all.centered;
  s.count = count_along(b, x, axes);
  s.variance = b.scale(all.squares, 1 / s.count);
  s.inverse_deviation = b.op(Opcode::rsqrt, {b.shift(s.variance, attrs.real("epsilon"))});
  return s;
}

// (1 - momentum) * old + momentum * fresh
ValueId blend(Builder& b, ValueId old, ValueId fresh, double momentum) {
  ValueId kept = b.scale(old, 1 - momentum);
  return b.add(kept, b.scale(fresh, momentum));
}

std::vector<ValueId> expand_batch_norm(Builder& b, const Op& op) {
  ValueId x = op.operand(0);
  double momentum = op.attrs.real("momentum");
  std::vector<int64_t> axes = sample_axes(b.type(x), op.attrs);
  Statistics s = statistics(b, x, op.attrs);
  ValueId slope = b.mul(s.inverse_deviation, op.operand(1));
  ValueId scaled = b.mul(s.centered, b.broadcast_over(slope, axes, b.dims(x)));
  ValueId y = b.add(scaled, b.broadcast_over(op.operand(2), axes, b.dims(x)));
  ValueId unbiased = b.scale(s.variance, s.count / (s.count - 1));
  ValueId running_mean = blend(b, op.operand(3), s.mean, momentum);
  return {y, running_mean, blend(b, op.operand(4), unbiased, momentum)};
}

// With n = (x - mean) * r, r = 1 / deviation, dbias = sum(dy) and dscale = sum(dy * n):
// dx = scale * r * (dy - dbias / count - n * dscale / count)
// The sums serve both: one pass over x and dy, then one for dx.
void vjp_batch_norm(Vjp& g) {
  Builder& b = g.b;
  const Dims dims = g.x_type().dims;
  std::vector<int64_t> axes = sample_axes(g.x_type(), g.attrs());
  auto repeat = [&](ValueId channels) { return b.broadcast_over(channels, axes, dims); };
  Statistics s = statistics(b, g.x(0), g.attrs());
  if (g.has_dy(0)) {
    ValueId dy = g.dy(0);
    ValueId dbias = b.reduce_sum(dy, axes);
    ValueId products = b.reduce_sum(b.mul(dy, s.centered), axes);
    ValueId dscale = b.mul(products, s.inverse_deviation);
    ValueId shared = repeat(b.scale(dbias, 1 / s.count));
    ValueId slope = repeat(b.mul(b.scale(dscale, 1 / s.count), s.inverse_deviation));
    ValueId rest = b.sub(b.sub(dy, shared), b.mul(s.centered, slope));
    ValueId factor = repeat(b.mul(g.x(1), s.inverse_deviation));
    g.add(0, b.mul(rest, factor));
    g.add(1, dscale);
    g.add(2, dbias);
  }
  double momentum = g.attrs().real("momentum");
  if (g.has_dy(1)) {
    g.add(0, repeat(b.scale(g.dy(1), momentum / s.count)));
    g.add(3, b.scale(g.dy(1), 1 - momentum));
  }
  if (g.has_dy(2)) {
    ValueId slope = repeat(b.scale(g.dy(2), 2 * momentum / (s.count - 1)));
    g.add(0, b.mul(s.centered, slope));
    g.add(4, b.scale(g.dy(2), 1 - momentum));
  }
}

std::vector<ValueId> expand_inference(Builder& b, const Op& op) {
  ValueId x = op.operand(0);
  std::vector<int64_t> axes = sample_axes(b.type(x), op.attrs);
  auto repeat = [&](ValueId channels) { return b.broadcast_over(channels, axes, b.dims(x)); };
  ValueId inverse = b.op(Opcode::rsqrt, {b.shift(op.operand(4), op.attrs.real("epsilon"))});
  ValueId slope = repeat(b.mul(inverse, op.operand(1)));
  ValueId centered = b.sub(x, repeat(op.operand(3)));
  ValueId scaled = b.mul(centered, slope);
  return {b.add(scaled, repeat(op.operand(2)))};
}

}  // namespace

extern constexpr OpDef batch_norm = {
    .name = "batch_norm",
    .doc =
        "Training form: x normalised per channel (axis `axis`) by the batch's mean and variance, "
        "times scale, plus bias; then the running mean and the running (unbiased) variance, moved "
        "toward the batch's by the weight `momentum`.",
    .examples =
        "batch_norm(f32[4,3,2,2], f32[3], f32[3], f32[3], f32[3]) {axis=1, epsilon=1e-05, "
        "momentum=0.1}\n"
        "batch_norm(f32[5,3], f32[3], f32[3], f32[3], f32[3]) {axis=1, epsilon=0.1, momentum=0.5}",
    .kernel = KernelClass::composite,
    .operands = 5,
    .results = 3,
    .attrs = {{"axis", AttrKind::integer},
              {"epsilon", AttrKind::real},
              {"momentum", AttrKind::real}},
    .domains = {Domain::real, Domain::real, Domain::real, Domain::real, Domain::positive},
    .infer = infer_batch_norm,
    .eval = eval_batch_norm,
    .vjp = vjp_batch_norm,
    .expand = expand_batch_norm,
};

extern constexpr OpDef batch_norm_inference = {
    .name = "batch_norm_inference",
    .doc =
        "x normalised per channel (axis `axis`) by the given mean and variance, times scale, plus "
        "bias. Operands: x, scale, bias, mean, variance.",
    .examples =
        "batch_norm_inference(f32[2,3,2,2], f32[3], f32[3], f32[3], f32[3]) {axis=1, "
        "epsilon=1e-05}",
    .kernel = KernelClass::composite,
    .operands = 5,
    .attrs = {{"axis", AttrKind::integer}, {"epsilon", AttrKind::real}},
    .domains = {Domain::real, Domain::real, Domain::real, Domain::real, Domain::positive},
    .infer =
        [](std::span<const Type> x, const Attrs& attrs) {
          check_batch_norm(x, attrs);
          return one(x[0]);
        },
    .eval = eval_inference,
    .expand = expand_inference,
};

}  // namespace gradc::ops
