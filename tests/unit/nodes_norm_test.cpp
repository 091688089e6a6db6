// Nodes of ONNX that normalise.
#include <catch2/catch.hpp>

#include "compiler/entries.h"
#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Tensor kX = floats({2, 2, 2}, {1, 2, 3, 5, -1, 0, 4, 2});
const Tensor kScale = floats({2}, {2, 3}), kBias = floats({2}, {0.5, -1});
const Tensor kMean = floats({2}, {1, 2}), kVariance = floats({2}, {4, 0.25});
const std::vector<double> kTrained = {1.39442,  3.18327,   -2.34164, 3.02491,
                                      -2.18327, -0.394424, 0.341635, -5.02491};
const std::vector<double> kInferred = {0.5, 1.5, 4.99988, 16.9996, -1.5, -0.5, 10.9998, -1};

void check(const Tensor& actual, const std::vector<double>& expected) {
  CHECK_THAT(actual.data, Catch::Matchers::Approx(expected).epsilon(2e-5).margin(1e-5));
}

ModelParts batch_norm_model(int64_t opset, const std::vector<onnx::Attribute>& attributes,
                            const std::vector<std::string>& results) {
  return {
      {value_info("x", DType::f32, {2, 2, 2})},
      {f32("scale", {2}, kScale.data), f32("bias", {2}, kBias.data), f32("mean", {2}, kMean.data),
       f32("variance", {2}, kVariance.data)},
      {node("BatchNormalization", {"x", "scale", "bias", "mean", "variance"}, results, attributes)},
      {"y"},
      opset};
}

}  // namespace

TEST_CASE("BatchNormalization in inference", "[onnx]") {
  for (int64_t opset : {7, 9, 14, 15})
    check(run_node(node("BatchNormalization", {}, {"y"}), opset,
                   {kX, kScale, kBias, kMean, kVariance})[0],
          kInferred);
  CHECK(import_error(model(batch_norm_model(7, {attribute("spatial", int64_t{0})}, {"y"}))) ==
        "t.onnx: node \"n0\" (#0, BatchNormalization): error: attribute `spatial` is 0: statistics "
        "of each element are not supported");
}

TEST_CASE("BatchNormalization before opset 7", "[onnx]") {
  ModelParts parts = batch_norm_model(6, {attribute("is_test", int64_t{1})}, {"y"});
  CHECK(import_error(model(parts)) == "no error");
  CHECK(onnx::import_model(model(parts), {}).function("infer").ops.back().code ==
        Opcode::batch_norm_inference);
  parts.nodes[0].attributes.clear();
  CHECK(onnx::import_model(model(parts), {}).function("infer").ops[0].code == Opcode::batch_norm);
}

TEST_CASE("BatchNormalization in training", "[onnx]") {
  // Momentum is the weight of the old statistics; the variance is the batch's own.
  std::vector<Tensor> results =
      run_node(node("BatchNormalization", {}, {"y", "m", "v"},
                    {attribute("training_mode", int64_t{1}), attribute("momentum", 0.8)}),
               15, {kX, kScale, kBias, kMean, kVariance});
  check(results[0], kTrained);
  check(results[1], {0.9, 2.3});
  check(results[2], {3.45, 0.45});
  results = run_node(
      node("BatchNormalization", {}, {"y", "m", "v", "sm", "sv"}, {attribute("momentum", 0.8)}), 9,
      {kX, kScale, kBias, kMean, kVariance});
  check(results[0], kTrained);
  check(results[2], {3.45, 0.45});
  check(results[3], {0.5, 3.5});
  check(results[4], {1.25, 1.25});
}

TEST_CASE("the training entry updates the statistics of BatchNormalization", "[onnx]") {
  Options options;
  options.train = true;
  options.loss = "mse";
  auto updated = [&](const ModelParts& parts) {
    Module module = onnx::import_model(model(parts), options);
    std::string all;
    for (const Result& result : module.function(kTrainStep).results)
      all += result.state.empty() ? "" : result.state + " ";
    return all;
  };
  ModelParts inferring = batch_norm_model(15, {attribute("momentum", 0.8)}, {"y"});
  CHECK(updated(inferring) == "");
  CHECK(updated(batch_norm_model(15, {attribute("training_mode", int64_t{1})},
                                 {"y", "new_mean", "new_variance"})) == "mean variance ");
  options.train_mode = true;
  CHECK(updated(inferring) == "mean variance ");
  Module module = onnx::import_model(model(inferring), options);
  check(infer(module, {kX}).at("y"), kInferred);
  REQUIRE(module.states.size() == 4);
  CHECK(module.states[0].role == Role::parameter);
  CHECK(module.states[3].role == Role::buffer);
  // Statistics of one number are state, too: the training entry writes what inference reads.
  inferring.initializers[2] = f32("mean", {2}, {0, 0});
  module = onnx::import_model(model(inferring), options);
  CHECK(module.function(kInfer).find_parameter("mean"));
}

TEST_CASE("LayerNormalization", "[onnx]") {
  auto run = [&](std::vector<onnx::Attribute> attributes, std::vector<Tensor> inputs,
                 const std::vector<std::string>& results = {"y"}) {
    attributes.push_back(attribute("epsilon", 0.1));
    return run_node(node("LayerNormalization", {}, results, attributes), 17, inputs);
  };
  std::vector<Tensor> results = run({}, {kX, kScale, kBias}, {"y", "mean", "inverse"});
  check(results[0], {-1.19031, 1.53546, -1.40693, 1.86039, -1.19031, 1.53546, 2.40693, -3.86039});
  CHECK(results[1].type.dims == Dims{2, 2, 1});
  check(results[1], {1.5, 4, -0.5, 3});
  check(results[2], {1.69031, 0.953463, 1.69031, 0.953463});
  check(run({}, {kX, kScale})[0],
        {-1.69031, 2.53546, -1.90693, 2.86039, -1.69031, 2.53546, 1.90693, -2.86039});
  check(run({attribute("axis", int64_t{1})}, {kX, kScale, kBias})[0],
        {-1.81413, -2.48765, 0.83059, 3.46296, -1.81226, -2.92688, 3.32609, 0.156129});
}

TEST_CASE("RMSNormalization", "[onnx]") {
  check(run_node(node("RMSNormalization", {}, {"y"}, {attribute("epsilon", 0.1)}), 23,
                 {kX, kScale})[0],
        {1.24035, 3.72104, 1.45095, 3.62738, -2.58199, 0, 2.51727, 1.88795});
}

TEST_CASE("InstanceNormalization", "[onnx]") {
  check(run_node(node("InstanceNormalization", {}, {"y"}, {attribute("epsilon", 0.1)}), 6,
                 {kX, kScale, kBias})[0],
        {-1.19031, 2.19031, -3.86039, 1.86039, -1.19031, 2.19031, 1.86039, -3.86039});
}

TEST_CASE("GroupNormalization", "[onnx]") {
  Tensor x = floats({1, 4, 2}, kX.data);
  auto run = [&](int64_t opset, const Tensor& scale, const Tensor& bias) {
    return run_node(node("GroupNormalization", {}, {"y"},
                         {attribute("epsilon", 0.1), attribute("num_groups", int64_t{2})}),
                    opset, {x, scale, bias})[0];
  };
  check(run(18, kScale, kBias),
        {-1.81413, -0.491769, 0.83059, 3.47531, -4.46839, -2.92688, 3.23914, 0.156129});
  check(run(21, floats({4}, {1, 2, 3, 4}), floats({4}, {0, 1, 2, 3})),
        {-1.15706, -0.495885, 1.33059, 3.97531, -1.46839, 0.0731188, 8.65218, 4.5415});
}

TEST_CASE("LRN", "[onnx]") {
  Tensor x = floats({1, 4, 2}, kX.data);
  check(run_node(
            node("LRN", {}, {"y"},
                 {attribute("size", int64_t{3}), attribute("alpha", 0.5), attribute("bias", 1.5)}),
            13, {x})[0],
        {0.421258, 0.500963, 1.21608, 1.25241, -0.266417, 0, 1.33181, 1.11992});
}

TEST_CASE("LpNormalization leaves zeros", "[onnx]") {
  Tensor x = floats({2, 2}, {3, -4, 0, 0});
  check(run_node(node("LpNormalization", {}, {"y"}), 22, {x})[0], {0.6, -0.8, 0, 0});
  onnx::Attribute one = attribute("p", int64_t{1});
  check(run_node(node("LpNormalization", {}, {"y"}, {one}), 1, {x})[0], {3. / 7, -4. / 7, 0, 0});
  CHECK_THROWS_WITH(
      run_node(node("LpNormalization", {}, {"y"}, {attribute("p", int64_t{3})}), 22, {x}),
      Catch::Matchers::Contains("attribute `p` is 3; it must be 1 or 2"));
}

TEST_CASE("MeanVarianceNormalization over given axes", "[onnx]") {
  onnx::Attribute axes = attribute("axes", std::vector<int64_t>{-1});
  check(run_node(node("MeanVarianceNormalization", {}, {"y"}, {axes}), 13,
                 {floats({2, 2}, {1, 3, 5, 5})})[0],
        {-1, 1, 0, 0});
}
