// Resize and Upsample of ONNX. Numbers are those of its reference evaluator, unless plain to see.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

Tensor row(const Values& values) {
  return floats({static_cast<int64_t>(values.size())}, values);
}

const Tensor kAbsent = row({});
const Tensor kX = row({1, 2, 4, 8});
const Tensor kHill = row({1, 2, 4, 8, 16, 8, 4, 2, 1});
const Tensor kMatrix = floats({2, 3}, {0, 1, 2, 3, 4, 5});
const Attributes kCubic{attribute("mode", "cubic")}, kLinear{attribute("mode", "linear")};
const onnx::Attribute kAntialias = attribute("antialias", int64_t{1});

Attributes with(Attributes attributes, const onnx::Attribute& more) {
  attributes.push_back(more);
  return attributes;
}
onnx::Attribute places(const char* mode) {
  return attribute("coordinate_transformation_mode", mode);
}

Tensor resize(const Attributes& attributes, const Tensor& x, const Tensor& scales,
              const Tensor& sizes = kAbsent, const Tensor& roi = kAbsent, int64_t opset = 19) {
  return run_node(node("Resize", {}, {"y"}, attributes), opset, {x, roi, scales, sizes},
                  {1, 2, 3})[0];
}
Values nearest(const char* mode, const char* coordinates) {
  Attributes attributes{attribute("nearest_mode", mode), places(coordinates)};
  return resize(attributes, kX, row({1.75})).data;
}
void check(const Tensor& actual, const Values& expected) {
  CHECK_THAT(actual.data, Catch::Matchers::Approx(expected).epsilon(1e-5).margin(1e-6));
}

}  // namespace

TEST_CASE("Resize to the nearest", "[onnx]") {
  CHECK(nearest("round_prefer_floor", "half_pixel") == Values{1, 1, 2, 2, 4, 8, 8});
  CHECK(nearest("round_prefer_floor", "align_corners") == Values{1, 1, 2, 2, 4, 4, 8});
  CHECK(nearest("round_prefer_ceil", "half_pixel") == Values{1, 1, 2, 4, 4, 8, 8});
  CHECK(nearest("round_prefer_ceil", "align_corners") == Values{1, 2, 2, 4, 4, 8, 8});
  CHECK(nearest("floor", "asymmetric") == Values{1, 1, 2, 2, 4, 4, 8});
  CHECK(nearest("ceil", "half_pixel") == Values{1, 2, 2, 4, 8, 8, 8});
  CHECK(nearest("ceil", "asymmetric") == Values{1, 2, 4, 4, 8, 8, 8});
  CHECK(resize({}, kMatrix, row({2, 1})).data == Values{0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5});
  Tensor whole{{DType::i32, {3}}, {0, 3, 9}};
  CHECK(resize({}, whole, row({2})).data == Values{0, 0, 3, 3, 9, 9});
  CHECK(resize({}, whole, row({2})).type == Type{DType::i32, {6}});
}

TEST_CASE("Resize between two elements", "[onnx]") {
  auto linear = [](const char* coordinates) {
    return resize(with(kLinear, places(coordinates)), kX, row({1.9}));
  };
  check(linear("half_pixel"), {1, 1.28947, 1.81579, 2.68421, 3.73684, 5.57895, 7.68421});
  check(linear("pytorch_half_pixel"), {1, 1.28947, 1.81579, 2.68421, 3.73684, 5.57895, 7.68421});
  check(linear("asymmetric"), {1, 1.52632, 2.10526, 3.15789, 4.42105, 6.52632, 8});
  check(linear("align_corners"), {1, 1.45455, 1.90909, 2.72727, 3.63636, 5.09091, 6.90909});
  check(linear("half_pixel_symmetric"), {1, 1.44737, 1.97368, 3, 4.10526, 6.21053, 8});
  // Whole numbers are rounded.
  Tensor whole = resize(kLinear, {{DType::i32, {3}}, {0, 3, 9}}, row({1.5}));
  CHECK(whole.type == Type{DType::i32, {4}});
  CHECK(whole.data == Values{0, 2, 4, 8});
}

TEST_CASE("Resize by cubics", "[onnx]") {
  auto cubic = [](const char* coordinates) {
    return resize(with(kCubic, places(coordinates)), kX, row({0.7}));
  };
  check(cubic("half_pixel"), {1.13611, 2.93723});
  check(cubic("asymmetric"), {1, 2.62974});
  check(cubic("align_corners"), {1, 2.98148});
  check(cubic("half_pixel_symmetric"), {1.61133, 4.95936});
  Attributes inside = with(kCubic, attribute("exclude_outside", int64_t{1}));
  inside.push_back(attribute("cubic_coeff_a", -0.5));
  check(resize(inside, kX, kAbsent, integers({7})),
        {0.920673, 1.22569, 1.89329, 2.8125, 4.2425, 6.86815, 8.31731});
}

TEST_CASE("Resize to less, without aliases", "[onnx]") {
  check(resize(with(kLinear, kAntialias), kHill, kAbsent, integers({4})),
        {1.9, 8.2439, 8.2439, 1.9});
  check(resize(with(kCubic, kAntialias), kHill, row({0.4})), {1.5587, 10.2791, 6.4117});
  Attributes inside = with(kCubic, kAntialias);
  inside.push_back(attribute("exclude_outside", int64_t{1}));
  check(resize(inside, kHill, row({0.4})), {1.59818, 10.107, 6.09097});
  // To more there are none.
  check(resize(with(kLinear, kAntialias), kX, row({2})), resize(kLinear, kX, row({2})).data);
}

TEST_CASE("Resize of a region", "[onnx]") {
  Attributes attributes = with(kLinear, places("tf_crop_and_resize"));
  attributes.push_back(attribute("extrapolation_value", -1.0));
  check(resize(attributes, kX, kAbsent, integers({6}), row({-0.5, 0.8})),
        {-1, -1, 1.06, 1.84, 3.24, 5.6});
  check(resize(attributes, kX, kAbsent, integers({4}), row({1, 0.2})), {8, 4.8, 2.8, 1.6});
  check(resize(attributes, kX, kAbsent, integers({1}), row({0, 1})), {3});
  check(resize(attributes, kX, kAbsent, integers({2}), row({2, 3})), {-1, -1});
  // Elements that one axis has outside are not those of the other.
  Tensor both = resize(attributes, floats({2, 2}, {1, 2, 3, 4}), kAbsent, integers({2, 3}),
                       row({0, 0, 1, 2}));
  check(both, {1, 2, -1, 3, 4, -1});
}

TEST_CASE("Resize of some axes", "[onnx]") {
  Tensor y =
      resize(with(kLinear, attribute("axes", List{1, 0})), kMatrix, kAbsent, integers({2, 4}));
  CHECK(y.type.dims == Dims{4, 2});
  check(y, {0.25, 1.75, 1, 2.5, 2.5, 4, 3.25, 4.75});
  auto policy = [](const char* name) { return attribute("keep_aspect_ratio_policy", name); };
  Tensor smaller = resize({policy("not_larger")}, kMatrix, kAbsent, integers({4, 4}));
  CHECK(smaller.type.dims == Dims{3, 4});
  CHECK(smaller.data == Values{0, 1, 1, 2, 3, 4, 4, 5, 3, 4, 4, 5});
  CHECK(resize({policy("not_smaller")}, kMatrix, kAbsent, integers({4, 4})).type.dims ==
        Dims{4, 6});
  // Nothing to do.
  CHECK(resize(kCubic, kMatrix, row({1, 1})).data == kMatrix.data);
}

TEST_CASE("Upsample, and Resize as it was", "[onnx]") {
  Tensor scales = row({1, 2});
  Values repeated{0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5};
  CHECK(run_node(node("Upsample", {}, {"y"}), 9, {kMatrix, scales}, {1})[0].data == repeated);
  CHECK(run_node(node("Resize", {}, {"y"}), 10, {kMatrix, scales}, {1})[0].data == repeated);
  Attributes old{attribute("scales", Values{1, 2}), attribute("mode", "linear")};
  check(run_node(node("Upsample", {}, {"y"}, old), 7, {kMatrix})[0],
        {0, 0.5, 1, 1.5, 2, 2, 3, 3.5, 4, 4.5, 5, 5});
}

TEST_CASE("Resize that cannot be", "[onnx]") {
  auto error = [](const Attributes& attributes, const Values& scales, const List& sizes) {
    std::vector<onnx::Tensor> given;
    std::vector<std::string> inputs{"x", "", "", ""};
    if (!scales.empty()) {
      given.push_back(f32("scales", {static_cast<int64_t>(scales.size())}, scales));
      inputs[2] = "scales";
    }
    if (!sizes.empty()) {
      given.push_back(i64("sizes", sizes));
      inputs[3] = "sizes";
    }
    return import_error(model({{value_info("x", DType::f32, {4})},
                               given,
                               {node("Resize", inputs, {"y"}, attributes)},
                               {"y"},
                               19}));
  };
  std::string place = "t.onnx: node \"n0\" (#0, Resize): error: ";
  CHECK(error({}, {2}, {8}) == place + "either `scales` or `sizes` must be given");
  CHECK(error({}, {1, 2}, {}) == place + "there are 2 scales for 1 axes of f32[4]");
  CHECK(error({}, {0.1}, {}) == place + "axis 0 of the result would have 0 elements");
  CHECK(error({}, {-1}, {}) == place + "scale -1 must lie in (0, 1e9]");
  CHECK(error({kAntialias}, {2}, {}) ==
        place + "attribute `antialias` is 1, which needs `mode` linear or cubic");
  CHECK(error({places("center")}, {2}, {})
            .starts_with(place +
                         "attribute `coordinate_transformation_mode` is `center`; it must be"));
  CHECK(error({attribute("mode", "area")}, {2}, {}) ==
        place + "attribute `mode` is `area`; it must be nearest, linear or cubic");
}
