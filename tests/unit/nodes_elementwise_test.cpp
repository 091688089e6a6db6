// Arithmetic and predicates of ONNX.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

}  // namespace

TEST_CASE("Xor", "[onnx]") {
  Tensor x{{DType::boolean, {2, 2}}, {0, 0, 1, 1}}, y{{DType::boolean, {2}}, {0, 1}};
  Tensor result = run_node(node("Xor", {}, {"y"}), 7, {x, y})[0];
  CHECK(result.type == Type{DType::boolean, {2, 2}});
  CHECK(result.data == Values{0, 1, 1, 0});
  // Until opset 7 broadcasting is asked for.
  onnx::Node old = node("Xor", {}, {"y"}, {attribute("broadcast", int64_t{1})});
  CHECK(run_node(old, 6, {x, y})[0].data == Values{0, 1, 1, 0});
  CHECK(run_node(node("Add", {}, {"y"}, {attribute("broadcast", int64_t{1})}), 6,
                 {{{DType::f32, {2}}, {1, 2}}, {{DType::f32, {}}, {3}}})[0]
            .data == Values{4, 5});
}

TEST_CASE("IsNaN and IsInf", "[onnx]") {
  Tensor x{{DType::f32, {5}}, {1, kNan, -kInf, kInf, 0}};
  Tensor nan = run_node(node("IsNaN", {}, {"y"}), 13, {x})[0];
  CHECK(nan.type == Type{DType::boolean, {5}});
  CHECK(nan.data == Values{0, 1, 0, 0, 0});
  auto infinite = [&](const std::vector<onnx::Attribute>& attributes) {
    return run_node(node("IsInf", {}, {"y"}, attributes), 10, {x})[0].data;
  };
  CHECK(infinite({}) == Values{0, 0, 1, 1, 0});
  CHECK(infinite({attribute("detect_negative", int64_t{0})}) == Values{0, 0, 0, 1, 0});
  CHECK(infinite({attribute("detect_positive", int64_t{0})}) == Values{0, 0, 1, 0, 0});
}

TEST_CASE("Mod", "[onnx]") {
  auto remainder = [](DType dtype, int64_t fmod, int64_t opset = 13) {
    return run_node(node("Mod", {}, {"y"}, {attribute("fmod", fmod)}), opset,
                    {{{dtype, {4}}, {-4, 7, 5, -7}}, {{dtype, {4}}, {3, -3, 3, -3}}})[0]
        .data;
  };
  CHECK(remainder(DType::i64, 0) == Values{2, -2, 2, -1});
  CHECK(remainder(DType::i32, 1) == Values{-1, 1, 2, -1});
  CHECK(remainder(DType::f32, 1) == Values{-1, 1, 2, -1});
  CHECK(remainder(DType::f32, 0, 28) == Values{2, -2, 2, -1});
  CHECK(import_error(model({{value_info("x", DType::f32, {2}), value_info("y", DType::f32, {2})},
                            {},
                            {node("Mod", {"x", "y"}, {"z"})},
                            {"z"}})) ==
        "t.onnx: node \"n0\" (#0, Mod): error: attribute `fmod` is 0, which takes whole numbers, "
        "but the input is f32[2]");
}

TEST_CASE("angles and hyperbolic functions", "[onnx]") {
  const std::tuple<const char*, int64_t, double (*)(double)> functions[] = {
      {"Acos", 7, std::acos},   {"Acosh", 9, std::acosh}, {"Asin", 7, std::asin},
      {"Asinh", 9, std::asinh}, {"Atan", 7, std::atan},   {"Atanh", 9, std::atanh},
      {"Cosh", 9, std::cosh},   {"Sinh", 9, std::sinh},   {"Tan", 7, std::tan}};
  for (auto [op, since, exact] : functions) {
    double x = op == std::string("Acosh") ? 1.25 : 0.625;
    double y = run_node(node(op, {}, {"y"}), since, {floats({2}, {x, -x})})[0].data[0];
    INFO(op);
    CHECK(y == Approx(exact(x)).epsilon(1e-12));
  }
  CHECK(import_error(
            model({{value_info("x", DType::i32, {2})}, {}, {node("Tan", {"x"}, {"y"})}, {"y"}}))
            .find("i32[2]") != std::string::npos);
}
