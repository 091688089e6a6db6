// RotaryEmbedding of ONNX.
#include <catch2/catch.hpp>

#include "tests/support/onnx_models.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// One image of two positions of one head of 5 elements, of which 4 are turned: by 0 and 90 degrees
// at the first position, by 180 and 0 at the second one.
const Tensor kX = floats({1, 1, 2, 5}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
const Tensor kCos = floats({1, 2, 2}, {1, 0, -1, 1}), kSin = floats({1, 2, 2}, {0, 1, 0, 0});
const onnx::Attribute kTurned = attribute("rotary_embedding_dim", int64_t{4});

Values turned(const std::vector<Tensor>& inputs, const Attributes& attributes) {
  return run_node(node("RotaryEmbedding", {}, {"y"}, attributes), 23, inputs)[0].data;
}

}  // namespace

TEST_CASE("RotaryEmbedding turns pairs of a half apart, or neighbours", "[onnx]") {
  CHECK(turned({kX, kCos, kSin}, {kTurned}) == Values{1, -4, 3, 2, 5, -6, 7, -8, 9, 10});
  CHECK(turned({kX, kCos, kSin}, {kTurned, attribute("interleaved", int64_t{1})}) ==
        Values{1, 2, -4, 3, 5, -6, -7, 8, 9, 10});
}

TEST_CASE("RotaryEmbedding of three axes, with numbers of positions", "[onnx]") {
  Tensor x = floats({1, 2, 4}, {1, 2, 3, 4, 5, 6, 7, 8});
  Tensor cos = floats({3, 1}, {1, -1, 0}), sin = floats({3, 1}, {0, 0, 1});
  Tensor places{{DType::i64, {1, 2}}, {1, 2}};
  CHECK(turned({x, cos, sin, places}, {attribute("num_heads", int64_t{2})}) ==
        Values{-1, -2, -3, -4, -6, 5, -8, 7});
}

TEST_CASE("RotaryEmbedding says what is wrong", "[onnx]") {
  using Catch::Matchers::Contains;
  CHECK_THROWS_WITH(turned({kX, kCos, kSin}, {}), Contains("they must be pairs of these"));
  CHECK_THROWS_WITH(turned({kX, kCos, floats({1, 2, 1}, {0, 0})}, {kTurned}),
                    Contains("it does not give 2 angles to 2 positions"));
  CHECK_THROWS_WITH(turned({floats({1, 2, 4}, Values(8, 1)), kCos, kSin}, {}),
                    Contains("a last one of num_heads parts"));
}
