// Native code of ops that read, write and order by index: repeated and wrong indices, ties, and the
// same bits for any number of threads.
#include <catch2/catch.hpp>
#include <cmath>

#include "ir/eval.h"
#include "ir/op_def.h"
#include "tests/support/feed.h"
#include "tests/support/native.h"

using namespace gradc;
using namespace gradc::test;

namespace {

bool same(double x, double y) {
  return x == y || (std::isnan(x) && std::isnan(y));
}

void check_exactly(const Function& function, std::string_view line,
                   const std::vector<Tensor>& operands) {
  std::vector<Tensor> expected = eval_closed(Module{}, function, operands);
  for (int threads : {1, 2})
    for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"}) {
      INFO(line << " with " << threads << " threads for " << cpu);
      std::vector<Tensor> results = run_native(function, operands, cpu, threads);
      REQUIRE(results.size() == expected.size());
      for (size_t i = 0; i < results.size(); ++i) {
        auto differs = std::mismatch(results[i].data.begin(), results[i].data.end(),
                                     expected[i].data.begin(), same);
        CHECK(differs.first == results[i].data.end());
      }
    }
}

void check_exactly(std::string_view line, const std::vector<Tensor>& operands) {
  check_exactly(function_of(parse_example(line)), line, operands);
}

// Small whole numbers, of which sums and products are exact; indices that may be out of range.
std::vector<Tensor> exact_operands(std::string_view line, int64_t index_limit) {
  Feed feed(3);
  std::vector<Tensor> operands;
  for (const Type& type : parse_example(line).operands) {
    operands.push_back({type, {}});
    bool holds_indices = is_integer(type.dtype);
    for (int64_t i = 0; i < type.elements(); ++i)
      operands.back().data.push_back(static_cast<double>(
          holds_indices ? feed.below(2 * index_limit) - index_limit / 2 : feed.below(5) - 2));
  }
  return operands;
}

}  // namespace

TEST_CASE("indices repeat and leave the tensor", "[native][index]") {
  for (std::string_view line : {
           "gather(f32[9,71], i32[50]) {axis=0}",
           "gather_elements(f32[9,71], i32[30,71]) {axis=0}",
           "gather_elements(f32[71,9], i64[70,20]) {axis=1}",
           "gather_nd(f32[9,7,5], i32[6,50,2])",
           "gather_nd(f32[3,9,7], i64[3,50,1]) {batch_dims=1}",
           "scatter_add(i32[300], f32[300,71]) {axis=0, size=9}",
           "scatter(f32[9,71], i32[300], f32[300,71]) {axis=0, reduction=\"none\"}",
           "scatter(f32[5,9,71], i32[30], f32[5,30,71]) {axis=1, reduction=\"add\"}",
           "scatter(f32[9], i32[300], f32[300]) {axis=0, reduction=\"max\"}",
           "scatter_elements(f32[9,71], i32[300,70], f32[300,70]) {axis=0, reduction=\"none\"}",
           "scatter_elements(f32[300,9], i32[299,40], f32[299,40]) {axis=1, reduction=\"add\"}",
           "scatter_elements(f32[5,9,7], i32[4,20,6], f32[4,20,6]) {axis=1, reduction=\"min\"}",
           "scatter_nd(f32[9,71], i32[300,1], f32[300,71]) {reduction=\"none\"}",
           "scatter_nd(f32[9,71], i64[5,60,2], f32[5,60]) {reduction=\"add\"}",
           "scatter_nd(f32[4,9,71], i32[4,30,1], f32[4,30,71]) {batch_dims=1, reduction=\"max\"}",
       })
    check_exactly(line, exact_operands(line, 9));
}

TEST_CASE("products of few updates", "[native][index]") {
  for (std::string_view line : {
           "scatter(f32[40,71], i32[9], f32[9,71]) {axis=0, reduction=\"mul\"}",
           "scatter_elements(f32[71,40], i32[71,9], f32[71,9]) {axis=1, reduction=\"mul\"}",
       })
    check_exactly(line, exact_operands(line, 40));
}

// By lanes of rows, by lanes along the axis, and by merging.
TEST_CASE("the first k of many, with ties, infinities and NaN", "[native][index]") {
  for (std::string_view line : {
           "top_k(f32[50,7]) {axis=1, k=7, largest=true}",
           "top_k(f32[7,50]) {axis=0, k=3, largest=false}",
           "top_k(f32[3,9,20]) {axis=1, k=4, largest=true}",
           "top_k(f32[5,300]) {axis=1, k=10, largest=true}",
           "top_k(f32[5,300]) {axis=1, k=10, largest=false}",
           "top_k(f32[3,601]) {axis=1, k=601, largest=true}",
           "top_k(f32[400,3]) {axis=0, k=399, largest=false}",
           "top_k(f32[1]) {axis=0, k=1, largest=true}",
       }) {
    std::vector<Tensor> operands = exact_operands(line, 1);
    check_exactly(line, operands);
    const double inf = std::numeric_limits<double>::infinity();
    Feed feed(4);
    for (double& value : operands[0].data)
      if (feed.chance(0.5))
        value = std::array{inf, -inf, std::nan(""), -0.0}[static_cast<size_t>(feed.below(4))];
    check_exactly(line, operands);
  }
  check_exactly("top_k(i64[3,90]) {axis=1, k=5, largest=false}",
                exact_operands("top_k(i64[3,90]) {axis=1, k=5, largest=false}", 1000));
}

// What nobody reads has no buffer.
TEST_CASE("the first k of many: only their values, or only their indices", "[native][index]") {
  for (std::string_view line : {"top_k(f32[50,7]) {axis=1, k=3, largest=true}",
                                "top_k(f32[3,601]) {axis=1, k=601, largest=true}"})
    for (ptrdiff_t unread : {0, 1}) {
      Function function = function_of(parse_example(line));
      function.results.erase(function.results.begin() + unread);
      check_exactly(function, line, exact_operands(line, 1));
    }
}
