// Losses: scalars, averages over their elements.
#include <algorithm>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

Type without_axis(const Type& x, int64_t axis, DType dtype) {
  return {dtype, sizes_along(x, other_axes({axis}, x.rank()))};
}

// Whether the class numbers along `axis` of a tensor of `dims` equal the label at their position.
ValueId is_label(Builder& b, ValueId label, int64_t axis, const Dims& dims) {
  ValueId number =
      b.op(Opcode::iota, {}, {{"axis", axis}, {"dtype", b.type(label).dtype}, {"shape", dims}});
  return b.op(Opcode::equal, {number, b.broadcast_over(label, {axis}, dims)});
}

void check_label(const Type& label, const Type& expected, std::string_view of) {
  if (!is_integer(label.dtype))
    fail("the labels are {}, they must be whole numbers", to_string(label));
  if (label.dims != expected.dims)
    fail("the labels are {}, {} needs {}: one a position, without the class axis", to_string(label),
         of, to_string(expected.dims));
}

Types infer_cross_entropy(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x.first(1));
  int64_t axis = axis_of(attrs, x[0].rank());
  check_label(x[1], without_axis(x[0], axis, x[1].dtype), to_string(x[0]));
  return one(scalar_type(x[0].dtype));
}

std::vector<Tensor> eval_cross_entropy(std::span<const Tensor> x, const Op& op,
                                       std::span<const Type> types) {
  double sum = 0, count = 0;
  std::vector<std::vector<size_t>> classes = lines(x[0].type.dims, {op.attrs.integer("axis")});
  for (size_t position = 0; position < classes.size(); ++position) {
    const std::vector<size_t>& line = classes[position];
    auto label = static_cast<int64_t>(x[1].data[position]);
    const Attr* ignored = op.attrs.find("ignore_index");
    if (ignored && std::get<int64_t>(*ignored) == label)
      continue;
    double top = x[0].data[line[0]], total = 0;
    for (size_t i : line)
      top = std::max(top, x[0].data[i]);
    for (size_t i : line)
      total += std::exp(x[0].data[i] - top);
    sum += top + std::log(total) - x[0].data[line[static_cast<size_t>(label)]];
    count += 1;
  }
  return {{types[0], {sum / std::max(count, 1.0)}}};
}

// The weight of each position in the average: 1 / count, or 0 where the label is ignored. `count`
// is a constant unless labels may be ignored; if all are, the loss is 0.
ValueId position_weights(Builder& b, ValueId label, DType dtype, const Attrs& attrs) {
  Type type{dtype, b.dims(label)};
  if (!attrs.has("ignore_index"))
    return b.constant(type, 1.0 / static_cast<double>(type.elements()));
  auto ignored = static_cast<double>(attrs.integer("ignore_index"));
  ValueId is_ignored = b.op(Opcode::equal, {label, b.constant_like(label, ignored)});
  ValueId is_counted = b.op(Opcode::logical_not, {is_ignored});
  ValueId counted = b.op(Opcode::cast, {is_counted}, {{"dtype", dtype}});
  ValueId count = b.reduce_sum(counted, all_axes(type));
  ValueId divisor = b.op(Opcode::maximum, {count, b.constant_like(count, 1.0)});
  return b.div(counted, b.broadcast(divisor, {}, type.dims));
}

// Per position, the logarithm of the sum of exp less the logit of the label, both less the maximum.
std::vector<ValueId> expand_cross_entropy(Builder& b, const Op& op) {
  ValueId logits = op.operand(0), label = op.operand(1);
  int64_t axis = op.attrs.integer("axis");
  ValueId shifted = b.sub(logits, repeated_max(b, logits, {axis}));
  ValueId sum = b.reduce_sum(b.op(Opcode::exp_normal, {shifted}), {axis});
  ValueId hit = is_label(b, label, axis, b.dims(logits));
  ValueId at_label = b.select(hit, shifted, b.constant_like(shifted, 0.0));
  ValueId log_sum = b.op(Opcode::log, {sum});
  ValueId losses = b.sub(log_sum, b.reduce_sum(at_label, {axis}));
  ValueId weights = position_weights(b, label, b.type(logits).dtype, op.attrs);
  return {b.reduce_sum(b.mul(losses, weights), all_axes(b.type(losses)))};
}

void vjp_cross_entropy(Vjp& g) {
  Builder& b = g.b;
  int64_t axis = g.attrs().integer("axis");
  DType dtype = g.x_type().dtype;
  const Dims dims = g.x_type().dims;
  ValueId share = b.op(Opcode::softmax, {g.x(0)}, {{"axis", axis}});
  ValueId hit = b.op(Opcode::cast, {is_label(b, g.x(1), axis, dims)}, {{"dtype", dtype}});
  ValueId weights = position_weights(b, g.x(1), dtype, g.attrs());
  ValueId scale = b.mul(weights, b.broadcast(g.dy(), {}, b.dims(weights)));
  ValueId difference = b.sub(share, hit);
  g.add(0, b.mul(difference, b.broadcast_over(scale, {axis}, dims)));
}

Types scalar_of_same_floats(std::span<const Type> x, const Attrs& attrs) {
  return one(scalar_type(same_float(x, attrs)[0].dtype));
}

template <auto F>
std::vector<Tensor> eval_mean_of_difference(std::span<const Tensor> x, const Op&,
                                            std::span<const Type> types) {
  double sum = 0;
  for (size_t i = 0; i < x[0].data.size(); ++i)
    sum += F(x[0].data[i] - x[1].data[i]);
  return {{types[0], {sum / static_cast<double>(x[0].data.size())}}};
}

ValueId mean(Builder& b, ValueId x) {
  std::vector<int64_t> axes = all_axes(b.type(x));
  return b.scale(b.reduce_sum(x, axes), 1 / count_along(b, x, axes));
}

// A loss of a - b: the gradient of a is dy * slope / count, that of b the same negated.
void vjp_mean_of_difference(Vjp& g, ValueId slope) {
  double count = count_along(g.b, slope, all_axes(g.x_type()));
  ValueId share = g.b.scale(g.dy(), 1 / count);
  ValueId da = g.b.mul(slope, g.b.broadcast(share, {}, g.x_type().dims));
  g.add(0, da), g.add(1, g.b.neg(da));
}

}  // namespace

// dlogits = dy * (softmax(logits) - one_hot(label)) / count
extern constexpr OpDef cross_entropy = {
    .name = "cross_entropy",
    .doc =
        "The mean of -log(softmax(logits)) at the label's class. Labels have the logits' shape "
        "without `axis`; those equal to `ignore_index` do not count.",
    .examples =
        "cross_entropy(f32[3,5], i32[3]) {axis=1}\n"
        "cross_entropy(f32[2,4,3], i64[2,3]) {axis=1}\n"
        "cross_entropy(f32[6,3], i32[6]) {axis=1, ignore_index=1}",
    .kernel = KernelClass::composite,
    .operands = 2,
    .attrs = {{"axis", AttrKind::integer}, {"ignore_index", AttrKind::integer, false}},
    .domains = {Domain::real, Domain::index},
    .infer = infer_cross_entropy,
    .eval = eval_cross_entropy,
    .vjp = vjp_cross_entropy,
    .expand = expand_cross_entropy,
};

// da = dy * 2 (a - b) / count
extern constexpr OpDef mse_loss = {
    .name = "mse_loss",
    .doc = "The mean of the squares of the differences of two tensors.",
    .examples = "mse_loss(f32[3,5], f32[3,5])",
    .kernel = KernelClass::composite,
    .operands = 2,
    .infer = scalar_of_same_floats,
    .eval = eval_mean_of_difference<[](double d) { return d * d; }>,
    .vjp = [](Vjp& g) { vjp_mean_of_difference(g, g.b.scale(g.b.sub(g.x(0), g.x(1)), 2.0)); },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      ValueId difference = b.sub(op.operand(0), op.operand(1));
      return {mean(b, b.mul(difference, difference))};
    },
};

// da = dy * sign(a - b) / count
extern constexpr OpDef l1_loss = {
    .name = "l1_loss",
    .doc = "The mean of the magnitudes of the differences of two tensors.",
    .examples = "l1_loss(f32[3,5], f32[3,5])",
    .kernel = KernelClass::composite,
    .operands = 2,
    .infer = scalar_of_same_floats,
    .eval = eval_mean_of_difference<[](double d) { return std::abs(d); }>,
    .vjp =
        [](Vjp& g) { vjp_mean_of_difference(g, g.b.op(Opcode::sign, {g.b.sub(g.x(0), g.x(1))})); },
    .expand = [](Builder& b, const Op& op) -> std::vector<ValueId> {
      return {mean(b, b.op(Opcode::abs, {b.sub(op.operand(0), op.operand(1))}))};
    },
};

}  // namespace gradc::ops
