// Convolutions of ONNX.
#include <catch2/catch.hpp>
#include <numeric>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

Tensor counted(const Dims& dims, double first) {
  Tensor x{{DType::f32, dims}, std::vector<double>(static_cast<size_t>(element_count(dims)))};
  std::iota(x.data.begin(), x.data.end(), first);
  return x;
}

Tensor run(const char* op, const Attributes& attributes, const std::vector<Tensor>& inputs) {
  return run_node(node(op, {}, {"y"}, attributes), 11, inputs)[0];
}

std::string error(const char* op, const Attributes& attributes) {
  return import_error(model({{value_info("x", DType::f32, {1, 1, 3})},
                             {f32("w", {1, 1, 3}, {1, 10, 100})},
                             {node(op, {"x", "w"}, {"y"}, attributes)},
                             {"y"}}));
}

}  // namespace

TEST_CASE("Conv with pads, strides, dilations and a bias", "[onnx]") {
  Tensor y = run("Conv",
                 {attribute("strides", List{2, 1}), attribute("pads", List{1, 0, 0, 1}),
                  attribute("dilations", List{1, 2}), attribute("kernel_shape", List{2, 2})},
                 {counted({1, 1, 3, 4}, 0), counted({1, 1, 2, 2}, 1), floats({1}, {0.5})});
  CHECK(y.type.dims == Dims{1, 1, 2, 3});
  CHECK(y.data == std::vector<double>{8.5, 15.5, 6.5, 80.5, 90.5, 36.5});
}

TEST_CASE("Conv over one axis in groups, and over three", "[onnx]") {
  CHECK(run("Conv", {attribute("group", int64_t{2})},
            {counted({1, 2, 5}, 0), floats({2, 1, 3}, {1, 2, 3, -1, 0, 1})})
            .data == std::vector<double>{8, 14, 20, 2, 2, 2});
  CHECK(run("Conv", {}, {counted({1, 1, 2, 2, 2}, 0), counted({1, 1, 2, 2, 2}, 1)}).data ==
        std::vector<double>{168});
}

TEST_CASE("Conv with auto_pad", "[onnx]") {
  auto padded = [](const char* how) {
    return run("Conv", {attribute("auto_pad", how), attribute("strides", List{2})},
               {counted({1, 1, 5}, 1), floats({1, 1, 2}, {1, 10})})
        .data;
  };
  CHECK(padded("SAME_UPPER") == std::vector<double>{21, 43, 5});
  CHECK(padded("SAME_LOWER") == std::vector<double>{10, 32, 54});
  CHECK(padded("VALID") == std::vector<double>{21, 43});
}

TEST_CASE("Conv that cannot be", "[onnx]") {
  std::string place = "t.onnx: node \"n0\" (#0, Conv): error: ";
  CHECK(error("Conv", {attribute("kernel_shape", List{2})}) ==
        place + "attribute `kernel_shape` is [2], the weight has [3]");
  CHECK(error("Conv", {attribute("pads", List{1})}) ==
        place + "attribute `pads` is [1], it must have one number for each of 2 spatial axes");
  CHECK(error("Conv", {attribute("auto_pad", "SAME")}) ==
        place +
            "attribute `auto_pad` is `SAME`; it must be NOTSET, SAME_UPPER, SAME_LOWER or VALID");
}

TEST_CASE("ConvTranspose", "[onnx]") {
  Tensor x = counted({1, 1, 3}, 1), w = floats({1, 1, 3}, {1, 10, 100});
  auto spread = [&](const Attributes& attributes) {
    return run("ConvTranspose", attributes, {x, w}).data;
  };
  onnx::Attribute by_two = attribute("strides", List{2});
  CHECK(spread({by_two}) == std::vector<double>{1, 10, 102, 20, 203, 30, 300});
  CHECK(spread({by_two, attribute("pads", List{1, 1}), attribute("output_padding", List{1})}) ==
        std::vector<double>{10, 102, 20, 203, 30, 300});
  CHECK(spread({attribute("dilations", List{2})}) ==
        std::vector<double>{1, 2, 13, 20, 130, 200, 300});
  CHECK(spread({by_two, attribute("output_shape", List{6})}) ==
        std::vector<double>{10, 102, 20, 203, 30, 300});
  CHECK(spread({by_two, attribute("auto_pad", "SAME_UPPER")}) ==
        std::vector<double>{1, 10, 102, 20, 203, 30});
  CHECK(spread({by_two, attribute("auto_pad", "SAME_LOWER")}) ==
        std::vector<double>{10, 102, 20, 203, 30, 300});
  CHECK(spread({attribute("strides", List{3}), attribute("output_shape", List{8})}) ==
        std::vector<double>{10, 100, 2, 20, 200, 3, 30, 300});
  CHECK(run("ConvTranspose", {attribute("group", int64_t{2})},
            {counted({1, 2, 2}, 1), floats({2, 1, 2}, {1, 10, 2, 20}), floats({2}, {0.5, -0.5})})
            .data == std::vector<double>{1.5, 12.5, 20.5, 5.5, 67.5, 79.5});
  CHECK(run("ConvTranspose", {attribute("strides", List{1, 2})},
            {counted({1, 1, 2, 2}, 1), counted({1, 1, 2, 2}, 1)})
            .data == std::vector<double>{1, 2, 2, 4, 6, 10, 10, 16, 9, 12, 12, 16});
  CHECK(error("ConvTranspose", {by_two, attribute("output_padding", List{2})}) ==
        "t.onnx: node \"n0\" (#0, ConvTranspose): error: `output_padding` is [2]; it must be less "
        "than the stride [2] or the dilation [1]");
}
