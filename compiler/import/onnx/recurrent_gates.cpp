#include "compiler/import/onnx/recurrent_gates.h"

#include "compiler/import/onnx/names.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

struct Activation {
  std::string_view name;
  int numbers = 0;  // how many of alpha and beta it takes
  std::optional<double> alpha, beta;  // where the node gives none
  ValueId (*apply)(Builder& b, ValueId x, double alpha, double beta) = nullptr;
};

template <Opcode code>
ValueId plain(Builder& b, ValueId x, double, double) {
  return b.op(code, {x});
}

ValueId affine(Builder& b, ValueId x, double alpha, double beta) {
  return b.shift(b.scale(x, alpha), beta);
}
ValueId scaled_tanh(Builder& b, ValueId x, double alpha, double beta) {
  return b.scale(b.op(Opcode::tanh, {b.scale(x, beta)}), alpha);
}
ValueId hard_sigmoid(Builder& b, ValueId x, double alpha, double beta) {
  return b.op(Opcode::hard_sigmoid, {x}, {{"alpha", alpha}, {"beta", beta}});
}
ValueId leaky_relu(Builder& b, ValueId x, double alpha, double) {
  return b.op(Opcode::leaky_relu, {x}, {{"slope", alpha}});
}
template <Opcode code>
ValueId with_alpha(Builder& b, ValueId x, double alpha, double) {
  return b.op(code, {x}, {{"alpha", alpha}});
}

constexpr Activation kActivations[] = {
    {"Affine", 2, 1, 0, affine},
    {"Elu", 1, 1, {}, with_alpha<Opcode::elu>},
    {"HardSigmoid", 2, 0.2, 0.5, hard_sigmoid},
    {"LeakyRelu", 1, 0.01, {}, leaky_relu},
    {"Relu", 0, {}, {}, plain<Opcode::relu>},
    {"ScaledTanh", 2, {}, {}, scaled_tanh},
    {"Sigmoid", 0, {}, {}, plain<Opcode::sigmoid>},
    {"Softplus", 0, {}, {}, plain<Opcode::softplus>},
    {"Softsign", 0, {}, {}, plain<Opcode::softsign>},
    {"Tanh", 0, {}, {}, plain<Opcode::tanh>},
    {"ThresholdedRelu", 1, 1, {}, with_alpha<Opcode::thresholded_relu>},
};

const Activation& activation_named(const std::string& name) {
  std::vector<std::string_view> names;
  for (const Activation& activation : kActivations) {
    if (activation.name == name)
      return activation;
    names.push_back(activation.name);
  }
  fail("activation `{}` is not known; they are {}", readable(name), fmt::join(names, ", "));
}

}  // namespace

std::vector<Gate> read_gates(NodeContext& c, const std::vector<std::string>& names) {
  std::vector<double> alphas = c.reals("activation_alpha", {});
  std::vector<double> betas = c.reals("activation_beta", {});
  std::vector<Gate> gates;
  auto alpha = alphas.begin(), beta = betas.begin();
  // Each list has a number for every activation that takes one, or ends before it.
  for (const std::string& name : names) {
    const Activation& activation = activation_named(name);
    Gate gate{activation.apply};
    auto take = [&](auto& next, auto end, const std::optional<double>& otherwise,
                    std::string_view attribute) {
      if (next == end && !otherwise)
        fail("activation `{}` needs a number of attribute `{}`", name, attribute);
      return next == end ? *otherwise : *next++;
    };
    if (activation.numbers > 0)
      gate.alpha = take(alpha, alphas.end(), activation.alpha, "activation_alpha");
    if (activation.numbers > 1)
      gate.beta = take(beta, betas.end(), activation.beta, "activation_beta");
    gates.push_back(gate);
  }
  return gates;
}

}  // namespace gradc::onnx
