// Recurrent layers of ONNX.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "compiler/entries.h"
#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

constexpr int64_t kSteps = 3, kBatch = 2, kInputs = 2, kHidden = 2;

// Numbers in [-0.75, 0.75].
Tensor mixed(const Dims& dims, int factor) {
  Tensor x{{DType::f32, dims}, {}};
  for (int i = 0; i < element_count(dims); ++i)
    x.data.push_back((i * factor % 7 - 3) * 0.25);
  return x;
}

const Tensor kAbsent{{DType::f32, {0}}, {}};
const Tensor kX = mixed({kSteps, kBatch, kInputs}, 3);

// X, W, R and B of a layer.
std::vector<Tensor> layer(int64_t gates, int64_t directions) {
  return {kX, mixed({directions, gates * kHidden, kInputs}, 2),
          mixed({directions, gates * kHidden, kHidden}, 5),
          mixed({directions, 2 * gates * kHidden}, 3)};
}

std::vector<Tensor> run(const char* op, Attributes attributes, const std::vector<Tensor>& inputs,
                        const std::vector<std::string>& results = {"y"}) {
  attributes.push_back(attribute("hidden_size", kHidden));
  return run_node(node(op, {}, results, attributes), 14, inputs, {1, 2, 3});
}

void check(const Tensor& actual, const Dims& dims, const Values& expected) {
  CHECK(actual.type.dims == dims);
  CHECK_THAT(actual.data, Catch::Matchers::Approx(expected).epsilon(1e-5).margin(1e-6));
}

onnx::Attribute names(const std::string& name, std::vector<std::string> values) {
  onnx::Attribute result;
  result.name = name;
  result.kind = onnx::Attribute::Kind::strings;
  result.strings = std::move(values);
  return result;
}

// [a, b, ...] -> [b, a, ...]
Tensor swapped(const Tensor& x) {
  Tensor y = x;
  int64_t a = x.type.dims[0], b = x.type.dims[1], rest = x.type.elements() / a / b;
  std::swap(y.type.dims[0], y.type.dims[1]);
  for (int64_t i = 0; i < x.type.elements(); ++i) {
    int64_t from = (i / rest % a * b + i / rest / a) * rest + i % rest;
    y.data[static_cast<size_t>(i)] = x.data[static_cast<size_t>(from)];
  }
  return y;
}

const Values kForward = {-0.145709, -0.0550911, -0.0652778, -0.360071, -0.141643, -0.348557,
                         -0.135704, -0.48015,   -0.0936572, -0.325112, -0.107208, -0.334501};

}  // namespace

TEST_CASE("LSTM", "[onnx]") {
  std::vector<Tensor> results = run("LSTM", {}, layer(4, 1), {"y", "h", "c"});
  check(results[0], {3, 1, 2, 2}, kForward);
  check(results[1], {1, 2, 2}, {kForward.end() - 4, kForward.end()});
  check(results[2], {1, 2, 2}, {-0.164037, -0.784636, -0.180787, -0.731741});
}

TEST_CASE("LSTM of two directions with peepholes and initial states", "[onnx]") {
  std::vector<Tensor> inputs = layer(4, 2);
  inputs.insert(inputs.end(),
                {kAbsent, mixed({2, 2, 2}, 2), mixed({2, 2, 2}, 3), mixed({2, 3 * kHidden}, 4)});
  std::vector<Tensor> results =
      run("LSTM", {attribute("direction", "bidirectional")}, inputs, {"y", "h", "c"});
  check(results[0], {3, 2, 2, 2},
        {-0.417902, 0.094038,  0.124963,   -0.258867, 0.231215, 0.119009,  0.159895,  0.0888818,
         -0.33494,  -0.161287, -0.0397082, -0.397156, 0.367392, 0.0645467, 0.231312,  0.00990772,
         -0.249489, -0.211585, -0.0534581, -0.246786, 0.277844, 0.0921765, 0.0434702, 0.126934});
  check(results[1], {2, 2, 2},
        {-0.249489, -0.211585, -0.0534581, -0.246786, 0.231215, 0.119009, 0.159895, 0.0888818});
  check(results[2], {2, 2, 2},
        {-0.438229, -0.586836, -0.0848649, -0.645128, 0.634975, 0.242691, 0.256588, 0.240649});
}

TEST_CASE("LSTM with clip and coupled gates", "[onnx]") {
  check(
      run("LSTM", {attribute("clip", 0.3), attribute("input_forget", int64_t{1})}, layer(4, 1))[0],
      {3, 1, 2, 2},
      {-0.0754121, -0.0497213, -0.0655189, -0.0952412, -0.107501, -0.120346, -0.11072, -0.134456,
       -0.0946915, -0.113853, -0.121072, -0.123305});
}

TEST_CASE("LSTM with the batch first", "[onnx]") {
  std::vector<Tensor> inputs = layer(4, 1);
  inputs[0] = swapped(kX);
  std::vector<Tensor> results = run("LSTM", {attribute("layout", int64_t{1})}, inputs, {"y", "h"});
  Tensor forward = swapped({{DType::f32, {3, 2, 2}}, kForward});
  check(results[0], {2, 3, 1, 2}, forward.data);
  check(results[1], {2, 1, 2}, {kForward.end() - 4, kForward.end()});
}

TEST_CASE("GRU, with the reset gate before and after the product", "[onnx]") {
  std::vector<Tensor> inputs = layer(3, 1);
  inputs.insert(inputs.end(), {kAbsent, mixed({1, 2, 2}, 2)});
  std::vector<Tensor> results = run("GRU", {}, inputs, {"y", "h"});
  check(results[0], {3, 1, 2, 2},
        {-0.390849, -0.366663, 0.135502, 0.74037, -0.202345, 0.210079, 0.0868738, 0.708865,
         0.135354, -0.0431115, 0.275631, 0.0356309});
  check(results[1], {1, 2, 2}, {0.135354, -0.0431115, 0.275631, 0.0356309});
  check(run("GRU", {attribute("linear_before_reset", int64_t{1})}, inputs)[0], {3, 1, 2, 2},
        {-0.357393, -0.465539, 0.190169, 0.666518, -0.101796, 0.110391, 0.160021, 0.590576, 0.24972,
         -0.243184, 0.356101, -0.174986});
}

TEST_CASE("RNN", "[onnx]") {
  std::vector<Tensor> inputs = layer(1, 1);
  check(run("RNN", {names("activations", {"Relu"}), attribute("direction", "reverse")}, inputs)[0],
        {3, 1, 2, 2}, {0.5625, 0, 0, 0, 0, 0, 0, 0, 0, 0.3125, 0.0625, 0.0625});
  inputs.pop_back();
  check(run("RNN", {}, inputs)[0], {3, 1, 2, 2},
        {0.50983, -0.185333, -0.462117, 0, -0.620021, -0.156048, 0.333346, -0.462117, 0.196887,
         0.565256, -0.395723, 0.495677});
}

// Of sequence `i` in [steps, batch, ...]: the first steps.
Tensor sequence(const Tensor& x, int64_t i, int64_t steps) {
  int64_t batch = x.type.dims[1], width = x.type.elements() / x.type.dims[0] / batch;
  Tensor y{{DType::f32, {steps, 1, width}}, {}};
  for (int64_t step = 0; step < steps; ++step)
    for (int64_t j = 0; j < width; ++j)
      y.data.push_back(x.data[static_cast<size_t>((step * batch + i) * width + j)]);
  return y;
}

TEST_CASE("sequences of several lengths are each as if alone", "[onnx]") {
  const char* op = GENERATE("LSTM", "GRU", "RNN");
  const char* direction = GENERATE("forward", "reverse");
  int64_t gates = op[0] == 'L' ? 4 : op[0] == 'G' ? 3 : 1;
  Attributes attributes{attribute("direction", direction)};
  std::vector<Tensor> inputs = layer(gates, 1);
  std::vector<std::string> names{"y", "h"};
  std::vector<int64_t> lengths{3, 1};
  inputs.push_back({{DType::i32, {2}}, {3, 1}});
  std::vector<Tensor> both = run(op, attributes, inputs, names);
  Tensor outputs = both[0], last = both[1];
  outputs.type.dims = {kSteps, kBatch, kHidden};
  inputs.pop_back();
  for (int64_t i = 0; i < kBatch; ++i) {
    int64_t length = lengths[static_cast<size_t>(i)];
    inputs[0] = sequence(kX, i, length);
    std::vector<Tensor> alone = run(op, attributes, inputs, names);
    CHECK_THAT(sequence(outputs, i, length).data, Catch::Matchers::Approx(alone[0].data));
    CHECK_THAT(sequence(last, i, 1).data, Catch::Matchers::Approx(alone[1].data));
    Values rest = sequence(outputs, i, kSteps).data;
    rest.erase(rest.begin(), rest.begin() + length * kHidden);
    CHECK(rest == Values(rest.size(), 0));
  }
}

TEST_CASE("activations of recurrent layers take numbers", "[onnx]") {
  std::vector<Tensor> inputs = layer(1, 1);
  inputs[0].type.dims[0] = 1;
  inputs[0].data.resize(kBatch * kInputs);
  auto alone = [&](const char* name, const Values& alpha, const Values& beta) {
    return run("RNN",
               {names("activations", {name}), attribute("activation_alpha", alpha),
                attribute("activation_beta", beta)},
               inputs)[0]
        .data;
  };
  Values x = alone("Affine", {}, {});
  auto check_each = [&](const Values& y, auto f) {
    for (size_t i = 0; i < x.size(); ++i)
      CHECK(y[i] == Approx(f(x[i])).margin(1e-6));
  };
  check_each(alone("Affine", {2}, {0.5}), [](double v) { return 2 * v + 0.5; });
  check_each(alone("ScaledTanh", {2}, {0.5}), [](double v) { return 2 * std::tanh(0.5 * v); });
  check_each(alone("HardSigmoid", {}, {}), [](double v) { return 0.2 * v + 0.5; });
  check_each(alone("LeakyRelu", {0.3}, {}), [](double v) { return v < 0 ? 0.3 * v : v; });
  check_each(alone("LeakyRelu", {}, {}), [](double v) { return v < 0 ? 0.01 * v : v; });
  check_each(alone("Elu", {0.5}, {}), [](double v) { return v < 0 ? 0.5 * std::expm1(v) : v; });
  check_each(alone("ThresholdedRelu", {0.1}, {}), [](double v) { return v > 0.1 ? v : 0; });
  // Each takes the next number of the list.
  Values both =
      run("RNN",
          {names("activations", {"LeakyRelu", "LeakyRelu"}),
           attribute("activation_alpha", Values{1, 0}), attribute("direction", "bidirectional")},
          {inputs[0], mixed({2, kHidden, kInputs}, 2), mixed({2, kHidden, kHidden}, 5)})[0]
          .data;
  CHECK(std::any_of(both.begin(), both.begin() + 4, [](double v) { return v < 0; }));
  CHECK(std::all_of(both.begin() + 4, both.end(), [](double v) { return v >= 0; }));
}

TEST_CASE("recurrent layers train", "[onnx]") {
  std::vector<Tensor> given = layer(4, 1);
  ModelParts parts{
      {value_info("x", DType::f32, {3, 2, 2})},
      {f32("w", given[1].type.dims, given[1].data), f32("r", given[2].type.dims, given[2].data),
       f32("b", given[3].type.dims, given[3].data)},
      {node("LSTM", {"x", "w", "r", "b"}, {"y"})},
      {"y"}};
  Options options;
  options.train = true;
  options.loss = "mse";
  Module module = onnx::import_model(model(parts), options);
  REQUIRE(module.states.size() == 3);
  for (const StateTensor& state : module.states)
    CHECK(state.role == Role::parameter);
  CHECK(module.function(kTrainStep).find_result(kLoss));
}

TEST_CASE("recurrent layers that cannot be", "[onnx]") {
  auto error = [](const Attributes& attributes, const std::vector<int64_t>& lengths) {
    std::vector<Tensor> given = layer(1, 1);
    return import_error(
        model({{value_info("x", DType::f32, {3, 2, 2})},
               {f32("w", given[1].type.dims, given[1].data),
                f32("r", given[2].type.dims, given[2].data), i64("lengths", lengths)},
               {node("RNN", {"x", "w", "r", "", "lengths"}, {"y"}, attributes)},
               {"y"}}));
  };
  std::string place = "t.onnx: node \"n0\" (#0, RNN): error: ";
  CHECK(error({}, {3, 3}) == "no error");
  CHECK(error({}, {3}) == place + "sequence_lens must be [2], it is i64[1]");
  CHECK(error({names("activations", {"Sine"})}, {3, 3}) ==
        place +
            "activation `Sine` is not known; they are Affine, Elu, HardSigmoid, LeakyRelu, Relu, "
            "ScaledTanh, Sigmoid, Softplus, Softsign, Tanh, ThresholdedRelu");
  CHECK(error({names("activations", {"ScaledTanh"})}, {3, 3}) ==
        place + "activation `ScaledTanh` needs a number of attribute `activation_alpha`");
  CHECK(error({names("activations", {})}, {3, 3}) ==
        place + "attribute `activations` must have 1 names for each of 1 directions, it has 0");
  CHECK(error({attribute("hidden_size", int64_t{3})}, {3, 3}) ==
        place + "W must be [1,3,2], it is f32[1,2,2]");
}
