// Which convolutions the pass `winograd` marks.
#include "compiler/passes/winograd.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "ir/op_def.h"
#include "tests/support/small_modules.h"

using namespace gradc;

namespace {

// The ops of a module with one entry that computes `op` of %x and %w, after the pass.
int64_t marked(const std::string& x, const std::string& w, const std::string& y,
               const std::string& op) {
  Module module =
      winograd(test::parsed("module @m\n\nentry @infer(%x: " + x + ", %w: " + w +
                            ") {\nforward:\n  %y: " + y + " = " + op + "\n  return y=%y\n}\n"),
               Options{});
  verify(module);
  const std::vector<Op>& ops = module.functions.at(0).ops;
  return std::count_if(ops.begin(), ops.end(),
                       [](const Op& found) { return found.attrs.flag("winograd"); });
}

std::string attrs(int64_t pad, int64_t stride, int64_t groups, const std::string& more = "",
                  bool channels_last = true) {
  auto pair = [](int64_t x) { return fmt::format("[{0},{0}]", x); };
  return fmt::format(
      "{{channels_last={}, dilation=[1,1], groups={}, high={}, low={}, {}stride={}}}",
      channels_last, groups, pair(pad), pair(pad), more, pair(stride));
}

}  // namespace

TEST_CASE("convolutions of 3x3 taps and their gradients take Winograd's tiles", "[winograd]") {
  const char* image = "f32[4,16,16,64]";
  CHECK(marked(image, "f32[64,64,3,3]", image, "conv(%x, %w) " + attrs(1, 1, 1)) == 1);
  CHECK(marked(image, "f32[64,64,3,3]", image,
               "conv_data_gradient(%x, %w) " + attrs(1, 1, 1, "size=[16,16], ")) == 1);
  CHECK(marked(image, image, "f32[64,64,3,3]",
               "conv_weight_gradient(%x, %w) " + attrs(1, 1, 1, "size=[3,3], ")) == 1);
}

TEST_CASE("what Winograd's tiles cannot do, or not faster, is left alone", "[winograd]") {
  const char* image = "f32[4,16,16,64]";
  // Strides, groups, other taps, another type.
  CHECK(marked(image, "f32[64,64,3,3]", "f32[4,8,8,64]", "conv(%x, %w) " + attrs(1, 2, 1)) == 0);
  CHECK(marked(image, "f32[64,32,3,3]", image, "conv(%x, %w) " + attrs(1, 1, 2)) == 0);
  CHECK(marked(image, "f32[64,64,5,5]", image, "conv(%x, %w) " + attrs(2, 1, 1)) == 0);
  CHECK(marked("f64[4,16,16,64]", "f64[64,64,3,3]", "f64[4,16,16,64]",
               "conv(%x, %w) " + attrs(1, 1, 1)) == 0);
  CHECK(marked("f32[4,64,16,16]", "f32[64,64,3,3]", "f32[4,64,16,16]",
               "conv(%x, %w) " + attrs(1, 1, 1, "", false)) == 0);
  // The first layer of a network, and a map that fills a quarter of a tile.
  CHECK(marked("f32[4,32,32,3]", "f32[64,3,3,3]", "f32[4,32,32,64]",
               "conv(%x, %w) " + attrs(1, 1, 1)) == 0);
  CHECK(marked("f32[4,2,2,512]", "f32[512,512,3,3]", "f32[4,2,2,512]",
               "conv(%x, %w) " + attrs(1, 1, 1)) == 0);
  // One image's 4 tiles do not pay for transforming the weight; those of 4 do.
  CHECK(marked("f32[1,7,7,512]", "f32[512,512,3,3]", "f32[1,7,7,512]",
               "conv(%x, %w) " + attrs(1, 1, 1)) == 0);
  CHECK(marked("f32[4,7,7,512]", "f32[512,512,3,3]", "f32[4,7,7,512]",
               "conv(%x, %w) " + attrs(1, 1, 1)) == 1);
}

TEST_CASE("an op that asks for Winograd's tiles must be one they can do", "[winograd]") {
  std::string strided = attrs(1, 2, 1);
  strided.insert(strided.size() - 1, ", winograd=true");
  CHECK_THROWS_WITH(
      marked("f32[4,16,16,64]", "f32[64,64,3,3]", "f32[4,8,8,64]", "conv(%x, %w) " + strided),
      Catch::Matchers::Contains("stride, dilation and groups of 1"));
}
