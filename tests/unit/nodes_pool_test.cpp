// Pools of ONNX.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Values kX = {3, 1, 4, 1, 5, 9};

onnx::Attribute window(int64_t size) {
  return attribute("kernel_shape", List{size});
}
onnx::Attribute stride(int64_t number) {
  return attribute("strides", List{number});
}
onnx::Attribute pads(int64_t low, int64_t high) {
  return attribute("pads", List{low, high});
}
const onnx::Attribute kCeil = attribute("ceil_mode", int64_t{1});
const onnx::Attribute kCounted = attribute("count_include_pad", int64_t{1});

// Of one channel of one axis.
Values pool(const char* op, const Attributes& attributes, Values x = kX) {
  Type type{DType::f32, {1, 1, static_cast<int64_t>(x.size())}};
  return run_node(node(op, {}, {"y"}, attributes), 19, {{type, std::move(x)}})[0].data;
}

void check(const Values& actual, const Values& expected) {
  CHECK_THAT(actual, Catch::Matchers::Approx(expected).epsilon(1e-5));
}

}  // namespace

TEST_CASE("MaxPool", "[onnx]") {
  CHECK(pool("MaxPool", {window(3), stride(2)}) == Values{4, 5});
  CHECK(pool("MaxPool", {window(3), stride(2), kCeil}) == Values{4, 5, 9});
  CHECK(pool("MaxPool", {window(3), stride(2), pads(1, 1)}) == Values{3, 4, 9});
  CHECK(pool("MaxPool", {window(2), attribute("dilations", List{2})}) == Values{4, 1, 5, 9});
  CHECK(pool("MaxPool", {window(2), stride(2), attribute("auto_pad", "SAME_UPPER")},
             {1, 2, 3, 4, 5}) == Values{2, 4, 5});
  // Windows that would begin behind the elements are left out.
  CHECK(pool("MaxPool", {window(2), stride(2), pads(1, 1), kCeil}, {3, 1, 4, 1, 5}) ==
        Values{3, 4, 5});
  CHECK(pool("MaxPool", {window(1), stride(3), kCeil}, {3, 1, 4, 1, 5}) == Values{3, 1});
}

TEST_CASE("MaxPool over two axes tells where the maxima are", "[onnx]") {
  Tensor x{{DType::f32, {1, 2, 2, 3}}, {1, 5, 2, 3, 4, 6, 9, 8, 7, 6, 5, 4}};
  onnx::Node pool = node("MaxPool", {}, {"y", "indices"}, {attribute("kernel_shape", List{2, 2})});
  std::vector<Tensor> results = run_node(pool, 12, {x});
  CHECK(results[0].type.dims == Dims{1, 2, 1, 2});
  CHECK(results[0].data == Values{5, 6, 9, 8});
  CHECK(results[1].type.dtype == DType::i64);
  CHECK(results[1].data == Values{1, 5, 6, 7});
  pool.attributes.push_back(attribute("storage_order", int64_t{1}));
  // The rows of each image side by side: 5 is at column 1 of row 0, in columns of two.
  CHECK(run_node(pool, 12, {x})[1].data == Values{2, 5, 6, 8});
}

TEST_CASE("MaxPool over large windows takes one axis after another", "[onnx]") {
  // Each value occurs often, so that the first of equal ones counts.
  Tensor x{{DType::f32, {1, 2, 25, 30}}, {}};
  for (int64_t i = 0; i < x.type.elements(); ++i)
    x.data.push_back(static_cast<double>(i * i % 13));
  Attributes attributes{attribute("kernel_shape", List{17, 19}), attribute("strides", List{3, 2}),
                        attribute("pads", List{2, 3, 4, 5})};
  onnx::Node pool = node("MaxPool", {}, {"y", "indices"}, attributes);
  std::vector<Tensor> results = run_node(pool, 12, {x});
  Tensor positions{{DType::i64, x.type.dims}, {}};
  for (int64_t i = 0; i < x.type.elements(); ++i)
    positions.data.push_back(static_cast<double>(i));
  Op whole{
      Opcode::window_max_gather,
      {},
      {},
      {{"high", List{4, 5}}, {"low", List{2, 3}}, {"stride", List{3, 2}}, {"window", List{17, 19}}},
      "",
      Phase::forward,
      ""};
  Tensor wanted = eval_op(Module{}, whole, std::vector<Tensor>{x, positions},
                          std::vector<Type>{results[1].type})[0];
  CHECK(results[1].data == wanted.data);
  REQUIRE(results[0].data.size() == wanted.data.size());
  for (size_t i = 0; i < wanted.data.size(); ++i)
    CHECK(results[0].data[i] == x.data[static_cast<size_t>(wanted.data[i])]);
}

TEST_CASE("AveragePool", "[onnx]") {
  Attributes attributes{window(3), stride(2), pads(1, 1)};
  check(pool("AveragePool", attributes), {2, 2, 5});
  attributes.push_back(kCeil);
  check(pool("AveragePool", attributes), {2, 2, 5, 9});
  attributes.push_back(kCounted);
  check(pool("AveragePool", attributes), {4. / 3, 2, 5, 4.5});
  attributes.erase(attributes.begin() + 3);
  check(pool("AveragePool", attributes), {4. / 3, 2, 5});
  check(pool("AveragePool", {window(4), stride(3), pads(1, 0), kCeil, kCounted},
             {3, 1, 4, 1, 5, 9, 2}),
        {2, 4.75, 5.5});
  check(pool("AveragePool", {window(2), attribute("dilations", List{2})}), {3.5, 1, 4.5, 5});
}

TEST_CASE("pools over whole images", "[onnx]") {
  Tensor x{{DType::f32, {1, 2, 2, 2}}, {1, 2, 3, 4, -1, -2, -3, -6}};
  Tensor mean = run_node(node("GlobalAveragePool", {}, {"y"}), 13, {x})[0];
  CHECK(mean.type.dims == Dims{1, 2, 1, 1});
  CHECK(mean.data == Values{2.5, -3});
  CHECK(run_node(node("GlobalMaxPool", {}, {"y"}), 13, {x})[0].data == Values{4, -1});
}
