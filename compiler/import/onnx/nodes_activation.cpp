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

void gelu_node(NodeContext& c) {
  std::string form = c.text("approximate", "none");
  if (form != "none" && form != "tanh")
    fail("attribute `approximate` is `{}`; it must be none or tanh", form);
  Attrs attrs;
  if (form == "tanh")
    attrs.set("approximate", true);
  c.result(c.b.op(Opcode::gelu, {c.tensor(0)}, attrs));
}

// Before opset 13 the axes from `axis` on count as one.
template <Opcode code>
void softmax_1(NodeContext& c) {
  Dims dims = c.dims(0);
  int64_t axis = normalized_axis(c.attribute("axis", 1), c.rank(0));
  Dims rows{1, 1};
  for (int64_t i = 0; i < c.rank(0); ++i)
    rows[i < axis ? 0 : 1] *= dims[static_cast<size_t>(i)];
  if (axis == c.rank(0) - 1)
    return c.result(c.b.op(code, {c.tensor(0)}, {{"axis", axis}}));
  ValueId flat = c.b.reshape(c.tensor(0), rows);
  c.result(c.b.reshape(c.b.op(code, {flat}, {{"axis", int64_t{1}}}), dims));
}

template <Opcode code>
void softmax_13(NodeContext& c) {
  int64_t axis = normalized_axis(c.attribute("axis", -1), c.rank(0));
  c.result(c.b.op(code, {c.tensor(0)}, {{"axis", axis}}));
}

constexpr NodeRule kRules[] = {
    {"Elu", 1, elu_node},
    {"Gelu", 20, gelu_node},
    {"HardSigmoid", 1, hard_sigmoid_node},
    {"HardSwish", 14, activation_node<Opcode::hard_swish>},
    {"LeakyRelu", 1, leaky_relu_node},
    {"LogSoftmax", 1, softmax_1<Opcode::log_softmax>},
    {"LogSoftmax", 13, softmax_13<Opcode::log_softmax>},
    {"Mish", 18, activation_node<Opcode::mish>},
    {"Relu", 1, activation_node<Opcode::relu>},
    {"Sigmoid", 1, activation_node<Opcode::sigmoid>},
    {"Softmax", 1, softmax_1<Opcode::softmax>},
    {"Softmax", 13, softmax_13<Opcode::softmax>},
    {"Softplus", 1, activation_node<Opcode::softplus>},
    {"Tanh", 1, activation_node<Opcode::tanh>},
};

}  // namespace

std::span<const NodeRule> activation_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
