// Activations of ONNX, and dropout.
#include <catch2/catch.hpp>
#include <cmath>

#include "compiler/entries.h"
#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Tensor kX{{DType::f32, {2, 2}}, {-2, -0.5, 0.5, 2}};

Values activate(const std::string& op, const Attributes& attributes, int64_t opset,
                const std::vector<Tensor>& more = {}) {
  std::vector<Tensor> inputs{kX};
  inputs.insert(inputs.end(), more.begin(), more.end());
  return run_node(node(op, {}, {"y"}, attributes), opset, inputs)[0].data;
}

void check(const Values& actual, const Values& expected) {
  CHECK_THAT(actual, Catch::Matchers::Approx(expected).epsilon(1e-5));
}

}  // namespace

TEST_CASE("rectifiers of ONNX", "[onnx]") {
  onnx::Attribute alpha = attribute("alpha", 0.5);
  check(activate("Selu", {}, 6), {-1.758099 * 0.864665, -1.758099 * 0.393469, 0.525350, 2.101402});
  check(activate("Celu", {alpha}, 12), {0.5 * std::expm1(-4), 0.5 * std::expm1(-1), 0.5, 2});
  check(activate("ThresholdedRelu", {alpha}, 10), {0, 0, 0, 2});
  check(activate("Softsign", {}, 1), {-2. / 3, -1. / 3, 1. / 3, 2. / 3});
  auto swish = [](double x, double factor) { return x / (1 + std::exp(-factor * x)); };
  check(activate("Swish", {}, 24), {swish(-2, 1), swish(-0.5, 1), swish(0.5, 1), swish(2, 1)});
  check(activate("Swish", {alpha}, 24),
        {swish(-2, 0.5), swish(-0.5, 0.5), swish(0.5, 0.5), swish(2, 0.5)});
}

TEST_CASE("Shrink, SwiGLU and Hardmax", "[onnx]") {
  check(activate("Shrink", {attribute("lambd", 1.0), attribute("bias", 0.25)}, 9),
        {-1.75, 0, 0, 1.75});
  Tensor value{{DType::f32, {2, 2}}, {1, 2, 3, 4}};
  Values gate = activate("Swish", {}, 24);
  check(activate("SwiGLU", {}, 28, {value}), {gate[0], 2 * gate[1], 3 * gate[2], 4 * gate[3]});
  CHECK_THROWS_WITH(activate("SwiGLU", {}, 28, {{{DType::f32, {2}}, {1, 2}}}),
                    Catch::Matchers::Contains("they must be of one shape"));
  // The first of equal ones; before opset 13 axis 0 is all.
  Tensor x = floats({2, 3}, {1, 4, 4, 0, -1, -1});
  CHECK(run_node(node("Hardmax", {}, {"y"}), 13, {x})[0].data == Values{0, 1, 0, 1, 0, 0});
  CHECK(run_node(node("Hardmax", {}, {"y"}, {attribute("axis", int64_t{0})}), 11, {x})[0].data ==
        Values{0, 1, 0, 0, 0, 0});
}

TEST_CASE("PRelu broadcasts its slope", "[onnx]") {
  CHECK(activate("PRelu", {}, 16, {{{DType::f32, {2}}, {0.25, 3}}}) == Values{-0.5, -1.5, 0.5, 2});
  CHECK(activate("PRelu", {}, 16, {{{DType::f32, {1}}, {2}}}) == Values{-4, -1, 0.5, 2});
  ModelParts parts{{value_info("x", DType::f32, {2, 2})},
                   {f32("slope", {3}, {1, 2, 3})},
                   {node("PRelu", {"x", "slope"}, {"y"})},
                   {"y"}};
  CHECK(import_error(model(parts)) ==
        "t.onnx: node \"n0\" (#0, PRelu): error: [3] and [2,2] do not broadcast: axis -1 has sizes "
        "3 and 2");
}

TEST_CASE("Dropout is the identity in inference", "[onnx]") {
  for (int64_t opset : {7, 10, 12, 13}) {
    std::vector<Tensor> results = run_node(node("Dropout", {}, {"y", "mask"}), opset, {kX});
    CHECK(results[0].data == kX.data);
    CHECK(results[1].data == Values{1, 1, 1, 1});
    CHECK(results[1].type.dtype == (opset < 10 ? DType::f32 : DType::boolean));
  }
}

TEST_CASE("Dropout in training", "[onnx]") {
  ModelParts parts{
      {value_info("x", DType::f32, {20, 30})},
      {tensor("ratio", DType::f32, {}, {0.25}), tensor("on", DType::boolean, {}, {1})},
      {node("Add", {"x", "x"}, {"z"}), node("Dropout", {"z", "ratio", "on"}, {"y", "mask"})},
      {"y", "mask"},
      13};
  // As the file says, or with --train-mode the training entry only.
  Module module = onnx::import_model(model(parts), {});
  const Function& function = module.function(kInfer);
  std::vector<Tensor> given;
  for (const Parameter& parameter : function.parameters)
    given.push_back(function[parameter.value].name == "x"
                        ? Tensor{{DType::f32, {20, 30}}, Values(600, 3)}
                        : Tensor{scalar_type(DType::i64), {7}});
  std::map<std::string, Tensor> results = infer(module, given);
  const Values &y = results.at("y").data, &mask = results.at("mask").data;
  int kept = 0;
  for (size_t i = 0; i < 600; ++i) {
    kept += mask[i] == 1;
    CHECK(y[i] == Approx(mask[i] * 6 / 0.75));
  }
  CHECK(kept > 400);
  CHECK(kept < 500);

  parts.initializers[1] = tensor("on", DType::boolean, {}, {0});
  Options options;
  options.train = options.train_mode = true;
  options.loss = "mse:y";
  parts.initializers.push_back(f32("w", {2}, {2, 3}));
  parts.inputs = {value_info("x", DType::f32, {20, 2})};
  parts.nodes[0] = node("Mul", {"x", "w"}, {"z"});
  module = onnx::import_model(model(parts), options);
  auto drops = [&](std::string_view entry) {
    int count = 0;
    for (const Op& op : module.function(entry).ops)
      count += op.code == Opcode::dropout;
    return count;
  };
  CHECK(drops(kInfer) == 0);
  CHECK(drops(kTrainStep) == 1);
  parts.initializers[0] = tensor("ratio", DType::f32, {}, {1.5});
  CHECK(import_error(model(parts), options) ==
        "t.onnx: node \"n1\" (#1, Dropout): error: the ratio is 1.5, it must lie in [0, 1]");
}
