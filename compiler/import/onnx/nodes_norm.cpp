// Normalisation, each node one composite of ours.
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// --- Batch normalisation.

struct Moments {
  ValueId mean, variance;  // of shape without the axes
};

Moments moments(NodeContext& c, ValueId x, const std::vector<int64_t>& axes) {
  ValueId mean = c.b.op(Opcode::reduce_mean, {x}, {{"axes", axes}});
  ValueId centered = c.b.sub(x, c.b.broadcast_over(mean, axes, c.b.dims(x)));
  ValueId squares = c.b.mul(centered, centered);
  return {mean, c.b.op(Opcode::reduce_mean, {squares}, {{"axes", axes}})};
}

// A running statistic: state where the file holds it, also in entries that only read it.
ValueId statistic(NodeContext& c, size_t i) {
  ValueId state = c.buffer(i);
  return state.valid() ? state : c.tensor(i);
}

// The batch's statistics, those of all axes but the channels'. ONNX's `momentum` is the weight of
// the old value, ours that of the new one. Ours takes the unbiased variance, n / (n - 1) of the
// batch's; with p = n - 1 over n, old variance v and ONNX's momentum m,
//     m v + (1 - m) batch = p (m v + (1 - m) batch / p) + (1 - p) m v
void train_batch_norm(NodeContext& c, double epsilon, double momentum, bool saves_statistics) {
  DType dtype = c.dtype(0);
  ValueId x = c.tensor(0), mean = statistic(c, 3), variance = statistic(c, 4);
  DType kept = c.b.type(mean).dtype;
  std::vector<ValueId> operands{x};
  for (ValueId value : {c.tensor(1), c.tensor(2), mean, variance})
    operands.push_back(cast(c, value, dtype));
  std::vector<ValueId> results =
      c.b.op_multi(Opcode::batch_norm, operands,
                   {{"axis", int64_t{1}}, {"epsilon", epsilon}, {"momentum", 1 - momentum}});
  auto count = static_cast<double>(c.type(0).elements() / c.dims(0)[1]);
  ValueId unbiased = c.b.scale(results[2], (count - 1) / count);
  ValueId old = c.b.scale(operands[4], momentum / count);
  ValueId new_mean = cast(c, results[1], kept);
  ValueId new_variance = cast(c, c.b.add(unbiased, old), kept);
  c.update(mean, new_mean);
  c.update(variance, new_variance);
  c.result(0, results[0]);
  c.result(1, new_mean);
  c.result(2, new_variance);
  if (!saves_statistics || !(c.wants(3) || c.wants(4)))
    return;
  std::vector<int64_t> axes{0};
  for (int64_t axis = 2; axis < c.rank(0); ++axis)
    axes.push_back(axis);
  Moments batch = moments(c, x, axes);
  c.result(3, batch.mean);
  c.result(4, batch.variance);
}

void batch_norm(NodeContext& c, bool trains, bool saves_statistics) {
  require_float(c, 0);
  if (c.rank(0) < 2)
    fail("{} must be [batch, channels, ...]", to_string(c.type(0)));
  double epsilon = c.real("epsilon", 1e-5), momentum = c.real("momentum", 0.9);
  if (trains)
    return train_batch_norm(c, epsilon, momentum, saves_statistics);
  std::vector<ValueId> operands{c.tensor(0)};
  for (ValueId value : {c.tensor(1), c.tensor(2), statistic(c, 3), statistic(c, 4)})
    operands.push_back(cast(c, value, c.dtype(0)));
  c.result(
      c.b.op(Opcode::batch_norm_inference, operands, {{"axis", int64_t{1}}, {"epsilon", epsilon}}));
  // A file for training names them; a model in inference leaves them as they are.
  c.result(1, c.value(3));
  c.result(2, c.value(4));
  if (saves_statistics && (c.wants(3) || c.wants(4))) {
    c.result(3, c.value(3));
    c.result(4, c.value(4));
  }
}

void require_spatial(NodeContext& c) {
  if (!c.flag("spatial", true))
    fail("attribute `spatial` is 0: statistics of each element are not supported");
}

void batch_norm_1(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  require_spatial(c);
  batch_norm(c, c.trains(!c.flag("is_test")), true);
}

// Until opset 14 a node that names more than one result trains.
void batch_norm_7(NodeContext& c) {
  require_spatial(c);
  bool trains = false;
  for (size_t i = 1; i < c.result_count(); ++i)
    trains |= c.wants(i);
  batch_norm(c, c.trains(trains), true);
}

void batch_norm_14(NodeContext& c) {
  batch_norm(c, c.trains(c.flag("training_mode")), false);
}

// --- Normalisation over the last axes.

// Attribute stash_type: in which type the statistics are computed; f32 unless the input has more.
DType stash_type(NodeContext& c) {
  std::optional<DType> named = c.find_dtype("stash_type");
  DType stash = named.value_or(DType::f32);
  if (!is_float(stash))
    fail("attribute `stash_type` must name a type of floats, it names {}", name_of(stash));
  return c.dtype(0) == DType::f64 ? DType::f64 : stash;
}

struct LastAxes {
  std::vector<int64_t> axes;
  Dims dims;  // of x along them
};

LastAxes last_axes(NodeContext& c) {
  require_float(c, 0);
  LastAxes last;
  for (int64_t i = normalized_axis(c.attribute("axis", -1), c.rank(0)); i < c.rank(0); ++i) {
    last.axes.push_back(i);
    last.dims.push_back(c.dims(0)[static_cast<size_t>(i)]);
  }
  return last;
}

// Input i, a scale or bias, with the sizes of the axes that are normalised.
ValueId along(NodeContext& c, size_t i, const LastAxes& last, DType dtype) {
  if (broadcast_dims(c.dims(i), last.dims) != last.dims)
    fail("input {} is {}, it must broadcast to {}, the sizes of axes {}", i, to_string(c.type(i)),
         to_string(last.dims), to_string(last.axes));
  return cast(c, c.b.broadcast_to(c.tensor(i), last.dims), dtype);
}

void layer_norm_node(NodeContext& c) {
  LastAxes last = last_axes(c);
  DType stash = stash_type(c);
  double epsilon = c.real("epsilon", 1e-5);
  ValueId x = cast(c, c.tensor(0), stash);
  ValueId scale = along(c, 1, last, stash);
  ValueId bias = c.has(2) ? along(c, 2, last, stash) : c.b.constant({stash, last.dims}, 0);
  ValueId y =
      c.b.op(Opcode::layer_norm, {x, scale, bias}, {{"axes", last.axes}, {"epsilon", epsilon}});
  c.result(cast(c, y, c.dtype(0)));
  if (!c.wants(1) && !c.wants(2))
    return;
  Moments m = moments(c, x, last.axes);
  ValueId inverse = c.b.op(Opcode::rsqrt, {c.b.shift(m.variance, epsilon)});
  c.result(1, with_kept_axes(c, m.mean, last.axes, c.dims(0)));
  c.result(2, with_kept_axes(c, inverse, last.axes, c.dims(0)));
}

void rms_norm_node(NodeContext& c) {
  LastAxes last = last_axes(c);
  DType stash = stash_type(c);
  ValueId x = cast(c, c.tensor(0), stash);
  ValueId y = c.b.op(Opcode::rms_norm, {x, along(c, 1, last, stash)},
                     {{"axes", last.axes}, {"epsilon", c.real("epsilon", 1e-5)}});
  c.result(cast(c, y, c.dtype(0)));
}

// --- Normalisation over groups of channels.

ValueId group_norm(NodeContext& c, int64_t groups, DType dtype, ValueId scale, ValueId bias) {
  ValueId y = c.b.op(Opcode::group_norm,
                     {cast(c, c.tensor(0), dtype), cast(c, scale, dtype), cast(c, bias, dtype)},
                     {{"epsilon", c.real("epsilon", 1e-5)}, {"groups", groups}});
  return cast(c, y, c.dtype(0));
}

void instance_norm_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  require_float(c, 0);
  if (c.rank(0) < 3)
    fail("{} must be [batch, channels, spatial...]", to_string(c.type(0)));
  ValueId scale = c.tensor(1);
  c.result(group_norm(c, c.dims(0)[1], c.dtype(0), scale, c.tensor(2)));
}

// In opset 18 scale and bias have one number a group.
ValueId per_channel(NodeContext& c, size_t i, int64_t groups) {
  if (c.rank(0) < 2 || groups < 1 || c.dims(0)[1] % groups != 0)
    fail("{} must be [batch, channels, ...] with a multiple of {} channels", to_string(c.type(0)),
         groups);
  if (c.dims(i) != Dims{groups})
    fail("input {} is {}, it must have one number for each of {} groups", i, to_string(c.type(i)),
         groups);
  int64_t channels = c.dims(0)[1];
  return c.b.reshape(c.b.broadcast(c.tensor(i), {0}, {groups, channels / groups}), {channels});
}

void group_norm_18(NodeContext& c) {
  require_float(c, 0);
  int64_t groups = c.required_integer("num_groups");
  ValueId scale = per_channel(c, 1, groups);
  c.result(group_norm(c, groups, c.dtype(0), scale, per_channel(c, 2, groups)));
}

void group_norm_21(NodeContext& c) {
  require_float(c, 0);
  ValueId scale = c.tensor(1);
  int64_t groups = c.required_integer("num_groups");
  c.result(group_norm(c, groups, stash_type(c), scale, c.tensor(2)));
}

void lrn_node(NodeContext& c) {
  c.result(c.b.op(Opcode::lrn, {c.tensor(0)},
                  {{"alpha", c.real("alpha", 1e-4)},
                   {"beta", c.real("beta", 0.75)},
                   {"bias", c.real("bias", 1)},
                   {"size", c.required_integer("size")}}));
}

// --- Of an axis or of images, without a scale.

// x / |x|, 0 where all is 0
void lp_norm_node(NodeContext& c) {
  require_float(c, 0);
  int64_t p = c.attribute("p", 2), axis = normalized_axis(c.attribute("axis", -1), c.rank(0));
  if (p != 1 && p != 2)
    fail("attribute `p` is {}; it must be 1 or 2", p);
  ValueId x = c.tensor(0);
  ValueId length = p == 2 ? c.b.op(Opcode::reduce_l2, {x}, {{"axes", std::vector{axis}}})
                          : c.b.reduce_sum(c.b.op(Opcode::abs, {x}), {axis});
  ValueId is_zero = c.b.op(Opcode::equal, {length, number_like(c, length, 0)});
  length = c.b.select(is_zero, number_like(c, length, 1), length);
  c.result(c.b.div(x, c.b.broadcast_over(length, {axis}, c.dims(0))));
}

// (x - mean) / (standard deviation + 1e-9)
void mean_variance_node(NodeContext& c) {
  require_float(c, 0);
  std::vector<int64_t> axes =
      normalized_axes(c.attribute("axes", std::vector<int64_t>{0, 2, 3}), c.rank(0));
  ValueId x = c.tensor(0);
  Moments m = moments(c, x, axes);
  ValueId deviation = c.b.shift(c.b.op(Opcode::sqrt, {m.variance}), 1e-9);
  ValueId centered = c.b.sub(x, c.b.broadcast_over(m.mean, axes, c.dims(0)));
  c.result(c.b.div(centered, c.b.broadcast_over(deviation, axes, c.dims(0))));
}

constexpr NodeRule kRules[] = {
    {.op = "BatchNormalization",
     .since = 1,
     .build = batch_norm_1,
     .weights = input_set({1, 2}),
     .folds = false},
    {.op = "BatchNormalization",
     .since = 7,
     .build = batch_norm_7,
     .weights = input_set({1, 2}),
     .folds = false},
    {.op = "BatchNormalization",
     .since = 14,
     .build = batch_norm_14,
     .weights = input_set({1, 2}),
     .folds = false},
    {"GroupNormalization", 18, group_norm_18, input_set({1, 2})},
    {"GroupNormalization", 21, group_norm_21, input_set({1, 2})},
    {"InstanceNormalization", 1, instance_norm_node, input_set({1, 2})},
    {"LRN", 1, lrn_node},
    {"LayerNormalization", 17, layer_norm_node, input_set({1, 2})},
    {"LpNormalization", 1, lp_norm_node},
    {"MeanVarianceNormalization", 9, mean_variance_node},
    {"RMSNormalization", 23, rms_norm_node, input_set({1})},
};

}  // namespace

std::span<const NodeRule> norm_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
