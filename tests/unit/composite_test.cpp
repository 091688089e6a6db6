// Composites where the table walk does not lead: extreme values, ties and conventions.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/op_def.h"
#include "ir/parse.h"
#include "tests/support/feed.h"
#include "tests/support/gradient.h"

using namespace gradc;
using namespace gradc::test;

namespace {

using Data = std::vector<std::vector<double>>;  // of operands or results

Data run(const Function& function, const Example& example, const Data& data) {
  std::vector<Tensor> operands;
  for (size_t i = 0; i < data.size(); ++i)
    operands.push_back({example.operands[i], data[i]});
  Data results;
  for (const Tensor& result : eval_closed(Module{}, function, operands))
    results.push_back(result.data);
  return results;
}

void check_equal(const std::vector<double>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i)
    CHECK(actual[i] == Approx(expected[i]).margin(1e-12));
}

// The results of the op by its own evaluation, and the same by its expansion.
void check_results(std::string_view line, const Data& data, const Data& expected) {
  INFO(line);
  Example example = parse_example(line);
  Function function = function_of(example);
  for (const Function& form : {function, expanded(function, true)}) {
    Data results = run(form, example, data);
    REQUIRE(results.size() == expected.size());
    for (size_t i = 0; i < results.size(); ++i)
      check_equal(results[i], expected[i]);
  }
}

// The gradients of the sum of result 0.
Data gradients(std::string_view line, const Data& data) {
  Example example = parse_example(line);
  Function function = function_of(example);
  Builder b(function);
  ValueId y = function.results[0].value;
  std::vector<int64_t> axes = other_axes({}, b.type(y).rank());
  function.results = {{b.reduce_sum(y, axes), "sum", ""}};
  return run(expanded(gradient_function(function), true), example, data);
}

std::string error_of(std::string_view line) {
  Example example = parse_example(line);
  try {
    infer_types(example.code, example.operands, example.attrs);
  } catch (const UserError& error) {
    return error.message();
  }
  return "";
}

}  // namespace

TEST_CASE("softmax keeps its range for any logits", "[composite]") {
  check_results("softmax(f32[1,3]) {axis=1}", {{1000, 1000, -1000}}, {{0.5, 0.5, 0}});
  check_results("log_softmax(f32[1,2]) {axis=1}", {{1000, 0}}, {{0, -1000}});
}

TEST_CASE("cross entropy is the mean over the labels that count", "[composite]") {
  check_results("cross_entropy(f32[2,4], i32[2]) {axis=1}", {std::vector<double>(8, 3.0), {0, 3}},
                {{std::log(4)}});
  check_results("cross_entropy(f32[1,2], i32[1]) {axis=1}", {{1e4, 0}, {1}}, {{1e4}});
  check_results("cross_entropy(f32[3,2], i32[3]) {axis=1, ignore_index=-100}",
                {{0, 0, 9, 1, 0, 5}, {0, -100, 1}},
                {{(std::log(2) + std::log(1 + std::exp(-5))) / 2}});
  // Nothing counts: no loss and no gradient, and not 0 / 0.
  std::string_view ignored = "cross_entropy(f32[1,2], i32[1]) {axis=1, ignore_index=1}";
  check_results(ignored, {{3, 4}, {1}}, {{0}});
  check_equal(gradients(ignored, {{3, 4}, {1}})[0], {0, 0});
}

TEST_CASE("the gradient of cross entropy is softmax less the label over the count", "[composite]") {
  check_equal(gradients("cross_entropy(f32[2,2], i32[2]) {axis=1}", {{0, 0, 1, 1}, {0, 1}})[0],
              {-0.25, 0.25, 0.25, -0.25});
}

TEST_CASE("activations are exact in their flat parts", "[composite]") {
  check_results("hard_swish(f32[4])", {{-9, -3.5, 3.5, 9}}, {{0, 0, 3.5, 9}});
  check_equal(gradients("hard_swish(f32[4])", {{-9, -3.5, 3.5, 9}})[0], {0, 0, 1, 1});
  check_results("hard_sigmoid(f32[3]) {alpha=0.2, beta=0.5}", {{-9, 0, 9}}, {{0, 0.5, 1}});
  check_equal(gradients("hard_sigmoid(f32[3]) {alpha=0.2, beta=0.5}", {{-9, 0, 9}})[0],
              {0, 0.2, 0});
  check_results("leaky_relu(f32[2]) {slope=0.1}", {{-2, 3}}, {{-0.2, 3}});
  check_results("elu(f32[2]) {alpha=2.0}", {{-1000, 3}}, {{-2, 3}});
}

TEST_CASE("activations overflow nowhere", "[composite]") {
  check_results("softplus(f32[3])", {{-1000, 0, 1000}}, {{0, std::log(2), 1000}});
  check_results("mish(f32[2])", {{-1000, 1000}}, {{0, 1000}});
  check_results("silu(f32[2])", {{-1000, 1000}}, {{0, 1000}});
  for (std::string_view line : {"gelu(f32[2])", "gelu(f32[2]) {approximate=true}"}) {
    check_results(line, {{-40, 40}}, {{0, 40}});
    check_equal(gradients(line, {{-40, 40}})[0], {0, 1});
  }
}

// 0.8413... is the normal distribution function at 1.
TEST_CASE("the two forms of gelu differ in the fourth digit", "[composite]") {
  check_results("gelu(f32[2])", {{1, -0.5}}, {{0.8413447460685429, -0.15426876936299344}});
  check_results("gelu(f32[2]) {approximate=true}", {{1, -0.5}},
                {{0.8411919906082768, -0.15428599017485606}});
}

TEST_CASE("batch norm moves the running statistics by momentum, the variance unbiased",
          "[composite]") {
  double inverse = 1 / std::sqrt(1.25);
  check_results(
      "batch_norm(f32[4,1], f32[1], f32[1], f32[1], f32[1]) {axis=1, epsilon=0.0, momentum=0.1}",
      {{1, 2, 3, 4}, {2}, {10}, {-1}, {1}},
      {{10 - 3 * inverse, 10 - inverse, 10 + inverse, 10 + 3 * inverse},
       {0.9 * -1 + 0.1 * 2.5},
       {0.9 * 1 + 0.1 * 5.0 / 3}});
  check_results(
      "batch_norm_inference(f32[2,1], f32[1], f32[1], f32[1], f32[1]) {axis=1, "
      "epsilon=1.0}",
      {{5, 7}, {2}, {10}, {1}, {3}}, {{14, 16}});
}

// The statistics of these are put together from those of images, and of rows of images.
TEST_CASE("batch norm of more than a cache holds is that of its parts", "[composite]") {
  for (std::string_view line :
       {"batch_norm(f32[6,3,160,64], f32[3], f32[3], f32[3], f32[3]) {axis=1, epsilon=0.5, "
        "momentum=0.1}",
        "batch_norm(f32[2,40,65,53], f32[40], f32[40], f32[40], f32[40]) {axis=1, epsilon=0.5, "
        "momentum=0.1}",
        "batch_norm(f32[2,65,53,40], f32[40], f32[40], f32[40], f32[40]) {axis=3, epsilon=0.5, "
        "momentum=0.1}"}) {
    INFO(line);
    Example example = parse_example(line);
    Function function = function_of(example), parts = expanded(function, true);
    CHECK(std::ranges::count(parts.ops, Opcode::reduce_sum, &Op::code) == 4);
    Data data;
    for (const Type& type : example.operands) {
      data.emplace_back();
      for (int64_t i = 0; i < type.elements(); ++i)
        data.back().push_back(7 + static_cast<double>(i * i % 1009) / 100);
    }
    Data expected = run(function, example, data), actual = run(parts, example, data);
    for (size_t r = 0; r < expected.size(); ++r) {
      double most = 0;
      for (size_t i = 0; i < expected[r].size(); ++i)
        most = std::max(most, std::abs(actual[r][i] - expected[r][i]));
      CHECK(most < 1e-9);
    }
  }
}

TEST_CASE("norms of a constant are the bias", "[composite]") {
  check_results("layer_norm(f32[1,3], f32[3], f32[3]) {axes=[1], epsilon=1e-05}",
                {{7, 7, 7}, {1, 2, 3}, {4, 5, 6}}, {{4, 5, 6}});
  check_results("group_norm(f32[1,2,2], f32[2], f32[2]) {epsilon=1e-05, groups=2}",
                {{7, 7, 9, 9}, {1, 2}, {4, 5}}, {{4, 4, 5, 5}});
}

TEST_CASE("a causal query does not see later keys", "[composite]") {
  check_results("attention(f32[2,1], f32[2,1], f32[2,1]) {causal=true, scale=1.0}",
                {{1, 1}, {100, 100}, {3, 5}}, {{3, 4}});
  // With fewer queries than keys, the queries are the last positions.
  check_results("attention(f32[1,1], f32[2,1], f32[2,1]) {causal=true, scale=1.0}",
                {{0}, {1, 2}, {3, 5}}, {{4}});
  check_results("attention(f16[2,1], f16[2,1], f16[2,1]) {causal=true, scale=1.0}",
                {{1, 1}, {-100, -100}, {3, 5}}, {{3, 4}});
}

TEST_CASE("average pooling counts padding only when told to", "[composite]") {
  Data image = {{1, 2, 3, 4}};
  check_results(
      "avg_pool(f32[2,2]) {count_include_pad=true, high=[0,0], low=[1,1], stride=[1,1], "
      "window=[2,2]}",
      image, {{0.25, 0.75, 1, 2.5}});
  check_results(
      "avg_pool(f32[2,2]) {count_include_pad=false, high=[0,0], low=[1,1], "
      "stride=[1,1], window=[2,2]}",
      image, {{1, 1.5, 2, 2.5}});
}

TEST_CASE("dropout keeps the mean, and its gradient the mask", "[composite]") {
  constexpr size_t kCount = 2000;
  std::string_view line = "dropout(f32[2000], i64[], i64[]) {rate=0.25, stream=1}";
  Data data = {std::vector<double>(kCount, 3.0), {7}, {1}};
  Example example = parse_example(line);
  std::vector<double> y = run(function_of(example), example, data)[0];
  std::vector<double> dx = gradients(line, data)[0];
  size_t kept = 0;
  for (size_t i = 0; i < kCount; ++i) {
    CHECK(y[i] == Approx(3 * dx[i]));
    CHECK((y[i] == 0 || y[i] == Approx(4)));
    kept += y[i] != 0;
  }
  CHECK(std::abs(static_cast<double>(kept) - 1500) < 60);  // 3 standard deviations
  check_results("dropout(f32[2], i64[], i64[]) {rate=0.0, stream=1}", {{1, 2}, {7}, {1}}, {{1, 2}});
}

TEST_CASE("errors of composites say which shape met what", "[composite][errors]") {
  struct Case {
    std::string_view example, message;
  };
  const Case cases[] = {
      {"softmax(f32[2,3]) {axis=2}", "`axis` must lie in [0, 2), got 2"},
      {"softmax(i32[2,3]) {axis=1}", "operands must be floats, got i32[2,3]"},
      {"cross_entropy(f32[2,3], f32[2]) {axis=1}",
       "the labels are f32[2], they must be whole numbers"},
      {"cross_entropy(f32[2,3], i32[3]) {axis=1}",
       "the labels are i32[3], f32[2,3] needs [2]: one a position, without the class axis"},
      {"layer_norm(f32[2,3], f32[2], f32[2]) {axes=[1], epsilon=0.1}",
       "scale and bias of f32[2,3] along axes [1] must be [3], got f32[2]"},
      {"batch_norm(f32[2,3], f32[2], f32[3], f32[3], f32[3]) {axis=1, epsilon=0.1, momentum=0.1}",
       "f32[2,3] has 3 channels on axis 1: scale, bias, mean and variance must be [3], got f32[2]"},
      {"batch_norm(f32[1,3], f32[3], f32[3], f32[3], f32[3]) {axis=1, epsilon=0.1, momentum=0.1}",
       "f32[1,3] has one value per channel, training needs two or more for a variance"},
      {"group_norm(f32[2,3], f32[3], f32[3]) {epsilon=0.1, groups=2}",
       "f32[2,3] has 3 channels, not a multiple of 2 groups"},
      {"attention(f32[2,3], f32[2,4], f32[2,4]) {causal=false, scale=1.0}",
       "queries f32[2,3] have 3 features, keys f32[2,4] have 4"},
      {"attention(f32[2,3], f32[1,3], f32[1,3]) {causal=true, scale=1.0}",
       "causal attention of 2 queries f32[2,3] over 1 keys f32[1,3]: the first queries would see "
       "none"},
      {"dropout(f32[2], i64[], i64[]) {rate=1.0, stream=1}", "`rate` is 1, it must lie in [0, 1)"},
      {"mse_loss(f32[2], f32[3])", "operand types differ: f32[2] and f32[3]"},
  };
  for (const Case& wrong : cases) {
    INFO(wrong.example);
    CHECK(error_of(wrong.example) == wrong.message);
  }
}
