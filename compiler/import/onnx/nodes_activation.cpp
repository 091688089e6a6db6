// Activations, each one composite of ours.
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

template <Opcode code>
void activation_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  unary_node<code>(c);
}

void leaky_relu_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  c.result(c.b.op(Opcode::leaky_relu, {c.tensor(0)}, {{"slope", c.real("alpha", 0.01)}}));
}

void elu_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  c.result(c.b.op(Opcode::elu, {c.tensor(0)}, {{"alpha", c.real("alpha", 1)}}));
}

void hard_sigmoid_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  c.result(c.b.op(Opcode::hard_sigmoid, {c.tensor(0)},
                  {{"alpha", c.real("alpha", 0.2)}, {"beta", c.real("beta", 0.5)}}));
}

void selu_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  constexpr double kAlpha = 1.6732632423543772, kGamma = 1.0507009873554805;
  c.result(c.b.op(Opcode::selu, {c.tensor(0)},
                  {{"alpha", c.real("alpha", kAlpha)}, {"gamma", c.real("gamma", kGamma)}}));
}

void celu_node(NodeContext& c) {
  c.result(c.b.op(Opcode::celu, {c.tensor(0)}, {{"alpha", c.real("alpha", 1)}}));
}

void thresholded_relu_node(NodeContext& c) {
  c.result(c.b.op(Opcode::thresholded_relu, {c.tensor(0)}, {{"alpha", c.real("alpha", 1)}}));
}

// The slope broadcasts to x. Exporters of old gave one number a channel as a vector: where it does
// not fit the last axis it is the channels'.
void prelu_node(NodeContext& c) {
  c.ignore({"consumed_inputs"});
  ValueId slope = c.tensor(1);
  Dims dims = c.dims(0), given = c.dims(1);
  if (c.opset < 7 && given.size() == 1 && dims.size() > 1 && given[0] == dims[1])
    slope = c.b.broadcast(slope, {1}, dims);
  else if (broadcast_dims(given, dims) == dims)
    slope = c.b.broadcast_to(slope, dims);
  else
    fail("the slope {} does not broadcast to the input {}", to_string(c.type(1)),
         to_string(c.type(0)));
  c.result(c.b.op(Opcode::prelu, {c.tensor(0), slope}));
}

// x + bias below -lambd, x - bias above lambd, 0 between.
void shrink_node(NodeContext& c) {
  double bias = c.real("bias", 0), lambd = c.real("lambd", 0.5);
  ValueId x = c.tensor(0);
  auto less = [&](ValueId a, ValueId b) { return c.b.op(Opcode::less, {a, b}); };
  ValueId low = less(x, number_like(c, x, -lambd)), high = less(number_like(c, x, lambd), x);
  ValueId above = c.b.select(high, c.b.sub(x, number_like(c, x, bias)), number_like(c, x, 0));
  c.result(c.b.select(low, c.b.add(x, number_like(c, x, bias)), above));
}

// x * sigmoid(alpha * x)
ValueId swish(NodeContext& c, ValueId x) {
  double alpha = c.real("alpha", 1);
  if (alpha == 1)
    return c.b.op(Opcode::silu, {x});
  return c.b.mul(x, c.b.op(Opcode::sigmoid, {c.b.scale(x, alpha)}));
}

void swish_node(NodeContext& c) {
  c.result(swish(c, c.tensor(0)));
}

void swiglu_node(NodeContext& c) {
  if (c.dims(0) != c.dims(1))
    fail("the gate is {}, what it is of {}: they must be of one shape", to_string(c.type(0)),
         to_string(c.type(1)));
  c.result(c.b.mul(swish(c, c.tensor(0)), c.tensor(1)));
}

void gelu_node(NodeContext& c) {
  std::string form = c.text("approximate", "none");
  if (form != "none" && form != "tanh")
    fail("attribute `approximate` is `{}`; it must be none or tanh", form);
  Attrs attrs;
  if (form == "tanh")
    attrs.set("approximate", true);
  c.result(c.b.op(Opcode::gelu, {c.tensor(0)}, attrs));
}

// --- Dropout: the input unless the node trains, and which elements were kept.

void dropout(NodeContext& c, double rate, bool trains, DType mask) {
  if (!(rate >= 0 && rate <= 1))
    fail("the ratio is {}, it must lie in [0, 1]", rate);
  if (!trains || rate == 0) {
    c.result(0, c.value(0));
    c.result(1, filled_constant({mask, c.dims(0)}, 1));
    return;
  }
  if (rate == 1) {
    c.result(0, number_like(c, c.tensor(0), 0));
    c.result(1, filled_constant({mask, c.dims(0)}, 0));
    return;
  }
  int64_t stream = c.next_stream();
  ValueId x = c.tensor(0), seed = c.seed(), step = c.step();
  c.result(c.b.op(Opcode::dropout, {x, seed, step}, {{"rate", rate}, {"stream", stream}}));
  if (!c.wants(1))
    return;
  ValueId uniform =
      c.b.op(Opcode::random_uniform, {seed, step}, {{"shape", c.dims(0)}, {"stream", stream}});
  ValueId kept = c.b.op(Opcode::less_equal, {number_like(c, uniform, rate), uniform});
  c.result(1, cast(c, kept, mask));
}

// Until opset 12 the ratio is an attribute, and the file is one for inference.
void dropout_1(NodeContext& c) {
  c.ignore({"consumed_inputs", "is_test"});
  double rate = c.real("ratio", 0.5);
  dropout(c, rate, c.trains(false), c.opset < 10 ? c.dtype(0) : DType::boolean);
}

void dropout_12(NodeContext& c) {
  c.ignore({"seed"});  // the program's own serves
  double rate = c.has(1) ? c.number(1) : 0.5;
  dropout(c, rate, c.trains(c.has(2) && c.integer(2) != 0), DType::boolean);
}

// --- Softmax and the like.

using AlongAxis = ValueId (*)(NodeContext& c, ValueId x, int64_t axis);

template <Opcode code>
ValueId op_along(NodeContext& c, ValueId x, int64_t axis) {
  return c.b.op(code, {x}, {{"axis", axis}});
}

// 1 at the first of the largest, 0 elsewhere.
ValueId hardmax(NodeContext& c, ValueId x, int64_t axis) {
  Type type = c.b.type(x);
  auto a = static_cast<size_t>(axis);
  ValueId first = c.b.broadcast_over(op_along<Opcode::arg_max>(c, x, axis), {axis}, type.dims);
  ValueId place = c.b.op(
      Opcode::iota, {},
      {{"axis", int64_t{0}}, {"dtype", c.b.type(first).dtype}, {"shape", Dims{type.dims[a]}}});
  ValueId is_first = c.b.op(Opcode::equal, {c.b.broadcast(place, {axis}, type.dims), first});
  return cast(c, is_first, type.dtype);
}

// Before opset 13 the axes from `axis` on count as one.
template <AlongAxis along>
void along_axes_1(NodeContext& c) {
  Dims dims = c.dims(0);
  int64_t axis = normalized_axis(c.attribute("axis", 1), c.rank(0));
  Dims rows{1, 1};
  for (int64_t i = 0; i < c.rank(0); ++i)
    rows[i < axis ? 0 : 1] *= dims[static_cast<size_t>(i)];
  if (axis == c.rank(0) - 1)
    return c.result(along(c, c.tensor(0), axis));
  c.result(c.b.reshape(along(c, c.b.reshape(c.tensor(0), rows), 1), dims));
}

template <AlongAxis along>
void along_axis_13(NodeContext& c) {
  c.result(along(c, c.tensor(0), normalized_axis(c.attribute("axis", -1), c.rank(0))));
}

constexpr NodeRule kRules[] = {
    {"Celu", 12, celu_node},
    {.op = "Dropout", .since = 1, .build = dropout_1, .folds = false},
    {.op = "Dropout", .since = 12, .build = dropout_12, .folds = false},
    {"Elu", 1, elu_node},
    {"Gelu", 20, gelu_node},
    {"HardSigmoid", 1, hard_sigmoid_node},
    {"HardSwish", 14, activation_node<Opcode::hard_swish>},
    {"Hardmax", 1, along_axes_1<hardmax>},
    {"Hardmax", 13, along_axis_13<hardmax>},
    {"LeakyRelu", 1, leaky_relu_node},
    {"LogSoftmax", 1, along_axes_1<op_along<Opcode::log_softmax>>},
    {"LogSoftmax", 13, along_axis_13<op_along<Opcode::log_softmax>>},
    {"Mish", 18, activation_node<Opcode::mish>},
    {"PRelu", 1, prelu_node, input_set({1})},
    {"Relu", 1, activation_node<Opcode::relu>},
    {"Selu", 1, selu_node},
    {"Shrink", 9, shrink_node},
    {"Sigmoid", 1, activation_node<Opcode::sigmoid>},
    {"Softmax", 1, along_axes_1<op_along<Opcode::softmax>>},
    {"Softmax", 13, along_axis_13<op_along<Opcode::softmax>>},
    {"Softplus", 1, activation_node<Opcode::softplus>},
    {"Softsign", 1, activation_node<Opcode::softsign>},
    {"SwiGLU", 28, swiglu_node},
    {"Swish", 24, swish_node},
    {"Tanh", 1, activation_node<Opcode::tanh>},
    {"ThresholdedRelu", 10, thresholded_relu_node},
};

}  // namespace

std::span<const NodeRule> activation_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
