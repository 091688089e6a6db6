// The layer library, on small tensors, against sums written out here.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "compiler/import/model_text.h"
#include "ir/diagnostic.h"
#include "ir/eval.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

struct Network {
  Module module;
  State state;

  Network(const std::string& input, const std::string& body) {
    Options options;
    options.train = true;
    module = import_model_text(
        "model m(" + input + ") {\n" + body + "\nloss = sum(y)\n" + "return loss, y\n}\n",
        "t.model", options);
    verify(module);
    Tensor seed{scalar_type(DType::i64), {3}};
    eval(module, module.function("init"), {&seed, 1}, state);
  }

  Tensor infer(const std::vector<Tensor>& inputs) {
    return eval(module, module.function("infer"), inputs, state)[0];
  }

  Tensor train(std::vector<Tensor> inputs, double step = 0) {
    inputs.push_back({scalar_type(DType::f32), {0}});
    for (double value : {step, 10.0, 3.0})
      inputs.push_back({scalar_type(DType::i64), {value}});
    return eval(module, module.function("train_step"), inputs, state)[1];
  }

  std::vector<double>& operator[](const std::string& name) { return state.at(name).data; }
};

Tensor tensor(Dims dims, std::vector<double> data) {
  return {{DType::f32, std::move(dims)}, std::move(data)};
}

// 0.1, -0.2, 0.3, ... : no two alike
Tensor ramp(const Dims& dims) {
  Tensor x{{DType::f32, dims}, {}};
  for (int64_t i = 1; i <= element_count(dims); ++i)
    x.data.push_back((i % 2 ? 0.1 : -0.1) * static_cast<double>(i));
  return x;
}

void check_near(const std::vector<double>& got, const std::vector<double>& wanted) {
  REQUIRE(got.size() == wanted.size());
  for (size_t i = 0; i < got.size(); ++i)
    CHECK(got[i] == Approx(wanted[i]).margin(1e-6));
}

double logistic(double x) {
  return 1 / (1 + std::exp(-x));
}

}  // namespace

TEST_CASE("sums and means keep axes when asked", "[nn]") {
  Network network("x: f32[2, 3]",
                  "y = mean(x, axes=-1, keep=true) + variance(x) * sum(x, axes=[0])");
  // mean by row 2, 5; variance over all 35 / 12; sum by column 5, 7, 9
  double v = 35.0 / 12;
  check_near(network.infer({tensor({2, 3}, {1, 2, 3, 4, 5, 6})}).data,
             {2 + 5 * v, 2 + 7 * v, 2 + 9 * v, 5 + 5 * v, 5 + 7 * v, 5 + 9 * v});
}

TEST_CASE("angles and hyperbolic functions are those of C", "[nn]") {
  Network network(
      "x: f32[4]",
      "y = tan(x) + 2 * asin(x) + 3 * acos(x) + 4 * atan(x) + 5 * sinh(x) + 6 * cosh(x)\n"
      "y = y + 7 * asinh(x) + 8 * atanh(x) + 9 * acosh(x + 2)");
  std::vector<double> x = {-0.75, 0, 0.25, 0.5}, y;
  for (double v : x)
    y.push_back(std::tan(v) + 2 * std::asin(v) + 3 * std::acos(v) + 4 * std::atan(v) +
                5 * std::sinh(v) + 6 * std::cosh(v) + 7 * std::asinh(v) + 8 * std::atanh(v) +
                9 * std::acosh(v + 2));
  check_near(network.infer({tensor({4}, x)}).data, y);
}

TEST_CASE("split, concat and upsample move elements", "[nn]") {
  Network halves("x: f32[2, 4]", "a, b = split(x, 2)\ny = concat(b, a, axis=-1)");
  CHECK(halves.infer({tensor({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})}).data ==
        std::vector<double>{3, 4, 1, 2, 7, 8, 5, 6});
  Network larger("x: f32[1, 1, 1, 2]", "y = upsample(x, 2)");
  CHECK(larger.infer({tensor({1, 1, 1, 2}, {1, 2})}).data ==
        std::vector<double>{1, 1, 2, 2, 1, 1, 2, 2});
}

TEST_CASE("a transposed convolution undoes the shape of a convolution", "[nn]") {
  Network network("x: f32[1, 1, 2, 2]", "y = conv_transpose(x, 1, kernel=2, stride=2)");
  network["conv_transpose_1.w"] = {1, 2, 3, 4};
  network["conv_transpose_1.b"] = {0.5};
  CHECK(network.infer({tensor({1, 1, 2, 2}, {1, 10, 100, 1000})}).data ==
        std::vector<double>{1.5, 2.5, 10.5, 20.5, 3.5, 4.5, 30.5, 40.5, 100.5, 200.5, 1000.5,
                            2000.5, 300.5, 400.5, 3000.5, 4000.5});
}

TEST_CASE("a convolution pads, strides and adds its bias by channel", "[nn]") {
  Network network("x: f32[1, 1, 3, 3]", "y = conv(x, 2, kernel=3, stride=2, pad=1)");
  network["conv_1.w"] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 2, 0, 0, 0, 0};
  network["conv_1.b"] = {0, 100};
  CHECK(network.infer({tensor({1, 1, 3, 3}, {1, 2, 3, 4, 5, 6, 7, 8, 9})}).data ==
        std::vector<double>{12, 16, 24, 28, 102, 106, 114, 118});
}

TEST_CASE("pools take windows", "[nn]") {
  Tensor x = tensor({1, 1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(Network("x: f32[1, 1, 2, 4]", "y = max_pool(x, 2)").infer({x}).data ==
        std::vector<double>{6, 8});
  CHECK(Network("x: f32[1, 1, 2, 4]", "y = avg_pool(x, [2, 1], stride=[2, 2])").infer({x}).data ==
        std::vector<double>{3, 5});
  CHECK(Network("x: f32[1, 1, 2, 4]", "y = global_avg_pool(x)").infer({x}).data ==
        std::vector<double>{4.5});
}

TEST_CASE("batch norm learns statistics in training and uses them in inference", "[nn]") {
  Network network("x: f32[4, 1]", "y = batch_norm(x, momentum=0.5, epsilon=0)");
  Tensor x = tensor({4, 1}, {1, 3, 5, 7});  // mean 4, variance 5 (unbiased 20 / 3)
  double s = std::sqrt(5);
  check_near(network.train({x}).data, {-3 / s, -1 / s, 1 / s, 3 / s});
  check_near(network["batch_norm_1.mean"], {2});
  check_near(network["batch_norm_1.variance"], {0.5 + 10.0 / 3});
  double t = std::sqrt(0.5 + 10.0 / 3);
  check_near(network.infer({x}).data, {-1 / t, 1 / t, 3 / t, 5 / t});
}

TEST_CASE("a batch norm's scale stays away from 0 where that is asked for", "[nn]") {
  Network network("x: f32[4, 1]", "y = batch_norm(x, epsilon=0, least_scale=0.25)");
  Tensor x = tensor({4, 1}, {1, 3, 5, 7});
  double s = std::sqrt(5);
  for (double scale : {1.0, 0.0, -3.0}) {
    network["batch_norm_1.scale"] = {scale};
    double factor = std::abs(scale) + 0.25;
    check_near(network.train({x}).data, {-3 * factor / s, -factor / s, factor / s, 3 * factor / s});
  }
}

TEST_CASE("dropout draws anew in each step and rests in inference", "[nn]") {
  Network network("x: f32[200]", "y = dropout(dropout(x, 0.25), 0.25)");
  Tensor x = tensor({200}, std::vector<double>(200, 9.0));
  CHECK(network.infer({x}).data == x.data);
  Tensor first = network.train({x}, 0), again = network.train({x}, 0), next = network.train({x}, 1);
  CHECK(first.data == again.data);
  CHECK(first.data != next.data);
  auto kept = std::count_if(first.data.begin(), first.data.end(), [](double v) { return v != 0; });
  CHECK(std::abs(kept - 112.5) < 30);  // the two masks differ: 9 / 16 of 200
  CHECK(*std::max_element(first.data.begin(), first.data.end()) == Approx(16));
}

TEST_CASE("cross entropy finds the axis of the classes", "[nn]") {
  auto axis = [](const std::string& inputs) {
    Network network(inputs, "y = cross_entropy(x, label)");
    for (const Op& op : network.module.function("infer").ops)
      if (op.attrs.has("axis"))
        return op.attrs.integer("axis");
    return int64_t{-1};
  };
  CHECK(axis("x: f32[2, 5], label: i32[2]") == 1);
  CHECK(axis("x: f32[2, 5, 3, 3], label: i32[2, 3, 3]") == 1);
  CHECK(axis("x: f32[2, 3, 5], label: i32[2, 3]") == 2);
}

TEST_CASE("an lstm follows its equations", "[nn]") {
  Network network("xs: f32[3, 1, 1]", "hs, h, c = lstm(xs, 1)\ny = hs + 0 * (h + c)");
  network["lstm_1.w"] = {0.5, -0.4, 0.3, 0.2};
  network["lstm_1.u"] = {0.1, 0.2, -0.3, 0.4};
  network["lstm_1.b"] = {0.1, 1, -0.1, 0.2};
  Tensor xs = ramp({3, 1, 1});
  double h = 0, c = 0;
  std::vector<double> hs;
  for (double x : xs.data) {
    double i = logistic(0.5 * x + 0.1 * h + 0.1), f = logistic(-0.4 * x + 0.2 * h + 1);
    double g = std::tanh(0.3 * x - 0.3 * h - 0.1), o = logistic(0.2 * x + 0.4 * h + 0.2);
    c = f * c + i * g;
    h = o * std::tanh(c);
    hs.push_back(h);
  }
  check_near(network.infer({xs}).data, hs);
}

TEST_CASE("a gru follows its equations", "[nn]") {
  Network network("xs: f32[3, 1, 1]", "hs, h = gru(xs, 1)\ny = hs + 0 * h");
  network["gru_1.w"] = {0.5, -0.4, 0.3};
  network["gru_1.u"] = {0.1, 0.2, -0.3};
  network["gru_1.b"] = {0.1, 1, -0.1};
  network["gru_1.c"] = {0.7};
  Tensor xs = ramp({3, 1, 1});
  double h = 0;
  std::vector<double> hs;
  for (double x : xs.data) {
    double r = logistic(0.5 * x + 0.1 * h + 0.1), z = logistic(-0.4 * x + 0.2 * h + 1);
    double n = std::tanh(0.3 * x - 0.1 + r * (-0.3 * h + 0.7));
    h = (1 - z) * n + z * h;
    hs.push_back(h);
  }
  check_near(network.infer({xs}).data, hs);
}

TEST_CASE("self attention mixes the values of each head", "[nn]") {
  // Queries and keys are zero: every position sees the mean of the values up to itself.
  Network network("x: f32[1, 2, 2]", "y = self_attention(x, heads=2, causal=true)");
  network["self_attention_1.dense_1.w"] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1};
  network["self_attention_1.dense_1.b"] = {0, 0, 0, 0, 0, 10};
  network["self_attention_1.dense_2.w"] = {1, 0, 0, 1};
  check_near(network.infer({tensor({1, 2, 2}, {1, 2, 3, 4})}).data, {1, 12, 2, 13});
}

TEST_CASE("self attention takes a mask", "[nn]") {
  Network network("x: f32[1, 3, 2], seen: bool[1, 1, 3]",
                  "y = self_attention(x, heads=2, mask=seen)");
  network["self_attention_1.dense_1.w"] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1};
  network["self_attention_1.dense_1.b"] = {0, 0, 0, 0, 0, 10};
  network["self_attention_1.dense_2.w"] = {1, 0, 0, 1};
  Tensor seen{{DType::boolean, {1, 1, 3}}, {1, 0, 1}};
  check_near(network.infer({tensor({1, 3, 2}, {1, 2, 100, 100, 3, 4}), seen}).data,
             {2, 13, 2, 13, 2, 13});
}

TEST_CASE("an embedding looks rows up", "[nn]") {
  Network network("ids: i32[3]", "y = embedding(ids, 2, 2)");
  network["embedding_1.w"] = {1, 2, 3, 4};
  CHECK(network.infer({{{DType::i32, {3}}, {1, 0, 1}}}).data ==
        std::vector<double>{3, 4, 1, 2, 3, 4});
}

TEST_CASE("norms scale and shift", "[nn]") {
  Tensor x = tensor({1, 4, 1}, {1, 3, 5, 9});
  Network layer("x: f32[1, 4, 1]", "y = layer_norm(x, axes=[1, 2], epsilon=0) * 1");
  CHECK(layer.state.at("layer_norm_1.scale").type.dims == Dims{4, 1});
  Network group("x: f32[1, 4, 1]", "y = group_norm(x, groups=2, epsilon=0)");
  group["group_norm_1.scale"] = {1, 2, 3, 4};
  group["group_norm_1.bias"] = {0, 0, 0, 10};
  check_near(group.infer({x}).data, {-1, 2, -3, 14});
  Network plus("x: f32[1, 4, 1]", "y = residual(x, relu)");
  check_near(plus.infer({x}).data, {2, 6, 10, 18});
}
