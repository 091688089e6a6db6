// GridSample of ONNX.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Tensor kX = floats({1, 1, 2, 3}, {1, 2, 3, 4, 5, 6});

Values sample(const Values& grid, const char* mode, const char* outside, bool corners,
              int64_t opset = 20) {
  Attributes attributes{attribute("mode", mode), attribute("padding_mode", outside),
                        attribute("align_corners", int64_t{corners})};
  auto places = static_cast<int64_t>(grid.size()) / 2;
  return run_node(node("GridSample", {}, {"y"}, attributes), opset,
                  {kX, floats({1, places, 1, 2}, grid)})[0]
      .data;
}
void check(const Values& actual, const Values& expected) {
  CHECK_THAT(actual, Catch::Matchers::Approx(expected).epsilon(1e-5).margin(1e-6));
}

}  // namespace

TEST_CASE("GridSample between elements", "[onnx]") {
  // The last place is half an element behind the lower right corner.
  Values grid{-1, -1, 0, 0, 0.5, -1, 1.5, 2};
  check(sample(grid, "linear", "zeros", true), {1, 3.5, 2.5, 1.5});
  check(sample(grid, "linear", "border", true), {1, 3.5, 2.5, 6});
  check(sample(grid, "linear", "reflection", true), {1, 3.5, 2.5, 4});
  check(sample({-1, -1, 1, 1}, "linear", "zeros", false), {0.25, 1.5});
  check(sample({-1, -1, 1, 1}, "linear", "reflection", false), {1, 6});
  CHECK(sample(grid, "bilinear", "zeros", true, 16) == sample(grid, "linear", "zeros", true));
}

TEST_CASE("GridSample of the nearest and cubic", "[onnx]") {
  CHECK(sample({-0.9, 0.8, 3, 0.8}, "nearest", "zeros", true) == Values{4, 0});
  CHECK(sample({-0.9, 0.8, 3, 0.8}, "nearest", "border", true) == Values{4, 6});
  // At an element the other three weights are 0; half way they are -3/32, 19/32, 19/32, -3/32.
  check(sample({0, -1}, "cubic", "border", true), {2});
  check(sample({0.5, -1}, "cubic", "border", true), {(-3 * 1 + 19 * 2 + 19 * 3 - 3 * 3) / 32.0});
}

TEST_CASE("GridSample says what is wrong", "[onnx]") {
  CHECK_THROWS_WITH(sample({0, 0}, "linear", "zeros", true, 16),
                    Catch::Matchers::Contains("must be bilinear, nearest or bicubic"));
  CHECK_THROWS_WITH(
      run_node(node("GridSample", {}, {"y"}), 20, {kX, floats({2, 1, 1, 2}, {0, 0, 0, 0})}),
      Catch::Matchers::Contains("does not name places of the input"));
}
