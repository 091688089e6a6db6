// Losses in ONNX graphs.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// Logarithms of probabilities, [batch, classes]; one of them is of 0.
const Tensor kLogs{{DType::f32, {3, 2}},
                   {std::log(0.25), std::log(0.75), std::log(0.5), std::log(0.5),
                    -std::numeric_limits<double>::infinity(), 0}};
const Tensor kScores{{DType::f32, {3, 2}}, {0, std::log(3.0), 2, 2, -1000, 0}};
const Tensor kLabels{{DType::i64, {3}}, {0, 1, 1}};
const Tensor kWeights{{DType::f32, {2}}, {3, 5}};

Values loss(const char* op, const Attributes& attributes, const std::vector<Tensor>& inputs) {
  return run_node(node(op, {}, {"y"}, attributes), 13, inputs)[0].data;
}

void check(const Values& actual, const Values& expected) {
  CHECK_THAT(actual, Catch::Matchers::Approx(expected).epsilon(1e-5).margin(1e-7));
}

}  // namespace

TEST_CASE("losses of classes", "[onnx]") {
  onnx::Attribute none = attribute("reduction", "none"), sum = attribute("reduction", "sum");
  onnx::Attribute ignored = attribute("ignore_index", int64_t{1});
  const double a = std::log(4.0), b = std::log(2.0);
  for (auto [op, x] : {std::pair{"NegativeLogLikelihoodLoss", kLogs},
                       std::pair{"SoftmaxCrossEntropyLoss", kScores}}) {
    check(loss(op, {none}, {x, kLabels}), {a, b, 0});
    check(loss(op, {sum}, {x, kLabels}), {a + b});
    check(loss(op, {}, {x, kLabels}), {(a + b) / 3});
    check(loss(op, {none}, {x, kLabels, kWeights}), {3 * a, 5 * b, 0});
    check(loss(op, {}, {x, kLabels, kWeights}), {(3 * a + 5 * b) / 13});
    check(loss(op, {ignored}, {x, kLabels}), {a});
    check(loss(op, {ignored}, {x, kLabels, kWeights}), {a});
    check(loss(op, {ignored, none}, {x, kLabels}), {a, 0, 0});
  }
}

TEST_CASE("losses of classes at positions", "[onnx]") {
  Tensor x{{DType::f32, {1, 2, 3}},
           {std::log(0.25), std::log(0.5), -1, std::log(0.75), std::log(0.5), -2}};
  check(loss("NegativeLogLikelihoodLoss", {attribute("reduction", "none")},
             {x, {{DType::i64, {1, 3}}, {0, 1, 1}}}),
        {std::log(4.0), std::log(2.0), 2});
}

TEST_CASE("SoftmaxCrossEntropyLoss gives the logarithms, too", "[onnx]") {
  std::vector<Tensor> results =
      run_node(node("SoftmaxCrossEntropyLoss", {}, {"y", "logs"}), 13, {kScores, kLabels});
  check(results[0].data, {std::log(8.0) / 3});
  check({results[1].data.begin(), results[1].data.begin() + 4},
        {kLogs.data.begin(), kLogs.data.begin() + 4});
}

TEST_CASE("losses that cannot be", "[onnx]") {
  auto error = [](const Dims& labels, const Attributes& attributes) {
    return import_error(model({{value_info("x", DType::f32, {3, 2}),
                                value_info("t", DType::i64, {labels.begin(), labels.end()})},
                               {},
                               {node("NegativeLogLikelihoodLoss", {"x", "t"}, {"y"}, attributes)},
                               {"y"}}));
  };
  std::string place = "t.onnx: node \"n0\" (#0, NegativeLogLikelihoodLoss): error: ";
  CHECK(error({2}, {}) == place + "the labels must be whole numbers of shape [3], they are i64[2]");
  CHECK(error({3}, {attribute("reduction", "all")}) ==
        place + "attribute `reduction` is `all`; it must be none, sum or mean");
}
