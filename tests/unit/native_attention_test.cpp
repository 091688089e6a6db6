// Attention as machine code against the evaluator.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include "ir/builder.h"
#include "ir/eval.h"
#include "tests/support/attention_cases.h"
#include "tests/support/native.h"

using namespace gradc;
using namespace gradc::test;

namespace {

void check_close(const std::vector<Tensor>& results, const std::vector<Tensor>& expected) {
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    double worst = 0;
    for (size_t k = 0; k < results[i].data.size(); ++k) {
      double x = results[i].data[k], y = expected[i].data[k];
      bool equal = x == y || (std::isnan(x) && std::isnan(y)) || std::abs(y) > 1e38;
      worst = std::max(worst, equal ? 0 : std::abs(x - y) / std::max(1.0, std::abs(y)));
    }
    INFO("result " << i);
    CHECK(worst < 1e-5);
  }
}

// The same bits for each number of threads.
void check_native(const Function& function, const std::vector<Tensor>& operands) {
  std::vector<Tensor> results = run_native(function, operands);
  check_close(results, eval_closed(Module{}, function, operands));
  std::vector<Tensor> split = run_native(function, operands, "native", 3);
  for (size_t i = 0; i < results.size(); ++i)
    CHECK(
        std::equal(results[i].data.begin(), results[i].data.end(), split[i].data.begin(),
                   [](double x, double y) { return x == y || (std::isnan(x) && std::isnan(y)); }));
}

AttentionCase square(int64_t heads, int64_t positions, bool causal) {
  Type type{DType::f32, {heads, positions, 8}};
  return {type, type, type, {}, causal};
}

}  // namespace

TEST_CASE("attention computes natively what it evaluates to", "[native][attention]") {
  // The loops of all cases are run in lower_attention_test.cpp.
  std::vector<AttentionCase> cases = attention_cases();
  for (size_t i = 3; i < cases.size(); i += 5) {
    const AttentionCase& c = cases[i];
    CAPTURE(to_string(c));
    check_native(attention_forward(c), forward_operands(c, 1));
    check_native(attention_backward(c), backward_operands(c, 1));
  }
}

TEST_CASE("attention for older CPUs", "[native][attention]") {
  AttentionCase c{{DType::f32, {2, 37, 9}},
                  {DType::f32, {2, 50, 9}},
                  {DType::f32, {2, 50, 21}},
                  Type{DType::boolean, {37, 50}},
                  true};
  for (const char* cpu : {"x86-64-v3", "x86-64-v2"}) {
    std::vector<Tensor> operands = forward_operands(c, 3);
    check_close(run_native(attention_forward(c), operands, cpu),
                eval_closed(Module{}, attention_forward(c), operands));
    operands = backward_operands(c, 3);
    check_close(run_native(attention_backward(c), operands, cpu),
                eval_closed(Module{}, attention_backward(c), operands));
  }
}

TEST_CASE("attention of scores without bounds", "[native][attention]") {
  const double inf = std::numeric_limits<double>::infinity();
  AttentionCase c = square(1, 40, true);
  c.scale = 0.25;  // so that tops are exact, to which totals are relative
  Function forward = attention_forward(c);
  std::vector<Tensor> operands = forward_operands(c, 5);
  // Large scores, which overflow without their top, and queries and keys that are no numbers.
  for (size_t i = 0; i < 16; ++i)
    operands[0].data[i] *= 1e4;
  operands[0].data[80] = std::nan("");
  operands[1].data[200] = std::nan("");
  operands[1].data[150] = inf;
  check_native(forward, operands);
}

TEST_CASE("a query sees nothing of what comes behind it", "[native][attention]") {
  AttentionCase c = square(2, 70, true);
  std::vector<Tensor> operands = forward_operands(c, 6);
  std::vector<Tensor> before = run_native(attention_forward(c), operands);
  for (size_t operand : {1, 2})
    for (size_t i = 69 * 8; i < 70 * 8; ++i)
      operands[operand].data[i] = std::nan("");
  std::vector<Tensor> after = run_native(attention_forward(c), operands);
  // But those of its panel of keys, whose weight is 0.
  for (size_t i = 0; i < 64 * 8; ++i)
    CHECK(before[0].data[i] == after[0].data[i]);
  CHECK(std::isnan(after[0].data[69 * 8]));
}

TEST_CASE("attention takes memory in proportion to the positions", "[native][attention]") {
  auto arena = [](int64_t heads, int64_t positions, bool backward) {
    AttentionCase c = square(heads, positions, true);
    Function function = backward ? attention_backward(c) : attention_forward(c);
    Module module = planned_module(function, codegen_options("native", 2));
    return *module.function(function.name).arena_bytes;
  };
  for (int64_t heads : {2, 24})
    for (bool backward : {false, true}) {
      CHECK(arena(heads, 2048, backward) <= 2 * arena(heads, 1024, backward));
      CHECK(arena(heads, 1024, backward) * 4 < heads * 1024 * 1024 * 4);  // bytes of the scores
    }
}
