// Folds of ONNX.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Tensor kX{{DType::f32, {2, 3}}, {1, -2, 3, 4, 0.5, -6}};

Tensor axes_input(const Values& axes) {
  return {{DType::i64, {static_cast<int64_t>(axes.size())}}, axes};
}

Tensor reduce(const std::string& op, const Tensor& x = kX) {
  return run_node(node(op, {}, {"y"}), 18, {x, axes_input({-1})}, {1})[0];
}

void check(const Values& actual, const Values& expected) {
  CHECK_THAT(actual, Catch::Matchers::Approx(expected).epsilon(1e-5));
}

}  // namespace

TEST_CASE("folds of ONNX", "[onnx]") {
  CHECK(reduce("ReduceSum").type.dims == Dims{2, 1});
  check(reduce("ReduceSum").data, {2, -1.5});
  check(reduce("ReduceMean").data, {2. / 3, -0.5});
  check(reduce("ReduceMax").data, {3, 4});
  check(reduce("ReduceMin").data, {-2, -6});
  check(reduce("ReduceProd").data, {-6, -12});
  check(reduce("ReduceL1").data, {6, 10.5});
  check(reduce("ReduceL2").data, {3.74166, 7.22842});
  check(reduce("ReduceSumSquare").data, {14, 52.25});
  check(reduce("ReduceLogSumExp").data, {3.13285, 4.02979});
  check(reduce("ReduceLogSum", {{DType::f32, {2, 3}}, {1, 2, 3, 4, 0.5, 6}}).data,
        {1.79176, 2.35138});
}

TEST_CASE("folds of whole numbers and of bool", "[onnx]") {
  Tensor x{{DType::i32, {2, 3}}, {1, -2, 3, 5, 5, 5}};
  CHECK(reduce("ReduceMean", x).data == Values{0, 5});
  CHECK(reduce("ReduceL1", x).data == Values{6, 15});
  CHECK(reduce("ReduceL2", x).data == Values{3, 8});
  Tensor any = reduce("ReduceMax", {{DType::boolean, {2, 2}}, {0, 1, 0, 0}});
  CHECK(any.type.dtype == DType::boolean);
  CHECK(any.data == Values{1, 0});
}

TEST_CASE("which axes are folded", "[onnx]") {
  auto dims = [](const std::string& op, int64_t opset, const Attributes& attributes,
                 const Values& axes = {}) {
    std::vector<Tensor> inputs{kX};
    if (!axes.empty())
      inputs.push_back(axes_input(axes));
    return run_node(node(op, {}, {"y"}, attributes), opset, inputs, {1})[0].type.dims;
  };
  onnx::Attribute gone = attribute("keepdims", int64_t{0});
  // An attribute, then an input: from opset 13 on for sums, from 18 on for the others.
  CHECK(dims("ReduceSum", 11, {attribute("axes", List{0}), gone}) == Dims{3});
  CHECK(dims("ReduceMean", 17, {attribute("axes", List{-1}), gone}) == Dims{2});
  CHECK(dims("ReduceSum", 13, {gone}, {0}) == Dims{3});
  CHECK(dims("ReduceMean", 18, {gone}, {1, 0}).empty());
  // All of them without, or none.
  CHECK(dims("ReduceSum", 13, {}) == Dims{1, 1});
  CHECK(dims("ReduceSum", 13, {gone}).empty());
  onnx::Attribute none = attribute("noop_with_empty_axes", int64_t{1});
  CHECK(dims("ReduceSum", 13, {none, gone}) == Dims{2, 3});
  CHECK(run_node(node("ReduceL2", {}, {"y"}, {none}), 18, {kX})[0].data ==
        Values{1, 2, 3, 4, 0.5, 6});
  CHECK(import_error(model({{value_info("x", DType::f32, {2, 3})},
                            {},
                            {node("ReduceMax", {"x"}, {"y"}, {attribute("axes", List{2})})},
                            {"y"}})) ==
        "t.onnx: node \"n0\" (#0, ReduceMax): error: `axes` is 2, out of range for 2 dimensions");
}

TEST_CASE("ArgMax and ArgMin", "[onnx]") {
  Tensor x{{DType::f32, {2, 3}}, {1, 3, 3, -2, -2, 5}};
  auto find = [&](const char* op, const Attributes& attributes) {
    return run_node(node(op, {}, {"y"}, attributes), 13, {x})[0];
  };
  onnx::Attribute last_axis = attribute("axis", int64_t{-1});
  CHECK(find("ArgMax", {}).type == Type{DType::i64, {1, 3}});
  CHECK(find("ArgMax", {}).data == Values{0, 0, 1});
  CHECK(find("ArgMax", {last_axis, attribute("keepdims", int64_t{0})}).type.dims == Dims{2});
  CHECK(find("ArgMax", {last_axis}).data == Values{1, 2});
  CHECK(find("ArgMin", {last_axis}).data == Values{0, 0});
  onnx::Attribute last = attribute("select_last_index", int64_t{1});
  CHECK(find("ArgMax", {last_axis, last}).data == Values{2, 2});
  CHECK(find("ArgMin", {last_axis, last}).data == Values{0, 1});
}
