#include "compiler/passes/subpixel.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "ir/integer_math.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

struct Axis {
  int64_t size, taps, stride, low, high;
  int64_t gradient(int64_t dilation) const {
    return (size + low + high - dilation * (taps - 1) - 1) / stride + 1;
  }
};

// The data gradient of a convolution of 3 outputs and 2 inputs.
std::string data_gradient(const std::vector<Axis>& axes, bool channels_last, int64_t images = 1,
                          int64_t dilation = 1) {
  std::vector<int64_t> gradient, image, taps = {3, 2}, stride, low, high, size, dilations;
  for (const Axis& axis : axes) {
    gradient.push_back(axis.gradient(dilation));
    taps.push_back(axis.taps);
    stride.push_back(axis.stride);
    low.push_back(axis.low);
    high.push_back(axis.high);
    size.push_back(axis.size);
    dilations.push_back(dilation);
  }
  auto type = [&](std::vector<int64_t> pixels, int64_t channels) {
    pixels.insert(channels_last ? pixels.end() : pixels.begin(), channels);
    return fmt::format("f32[{},{}]", images, fmt::join(pixels, ","));
  };
  std::string layout = channels_last ? "channels_last=true, " : "";
  return fmt::format(
      "module @m\nparam @w: f32[{0}]\n\nentry @infer(%g: {1}, %w: f32[{0}] = @w) {{\nforward:\n"
      "  %x: {2} = conv_data_gradient(%g, %w) {{{3}dilation=[{4}], groups=1, high=[{5}], "
      "low=[{6}], size=[{7}], stride=[{8}]}}\n  return x=%x\n}}\n",
      fmt::join(taps, ","), type(gradient, 3), type(size, 2), layout, fmt::join(dilations, ","),
      fmt::join(high, ","), fmt::join(low, ","), fmt::join(size, ","), fmt::join(stride, ","));
}

size_t count(const Module& module, Opcode code) {
  return static_cast<size_t>(std::ranges::count(module.functions[0].ops, code, &Op::code));
}

}  // namespace

TEST_CASE("a strided data gradient is one without a stride for each residue", "[subpixel]") {
  // Even and odd sizes, more and fewer taps than the stride, padding and cropping.
  std::vector<Axis> axes = {{8, 3, 2, 1, 0}, {7, 3, 2, 1, 1},  {6, 2, 2, 0, 0},  {8, 1, 2, 0, -1},
                            {7, 1, 3, 0, 0}, {10, 5, 3, 2, 1}, {9, 4, 2, -1, 1}, {5, 3, 1, 1, 1},
                            {1, 3, 2, 1, 1}, {7, 2, 3, 0, 0}};
  for (bool channels_last : {false, true})
    for (const Axis& y : axes)
      for (const Axis& x : axes) {
        std::string text = data_gradient({y, x}, channels_last, 2);
        CAPTURE(text);
        Module before = parsed(text), after = subpixel(before, {});
        verify(after);
        for (const Op& op : after.functions[0].ops)
          if (op.code == Opcode::conv_data_gradient)
            CHECK(op.attrs.integers("stride") == std::vector<int64_t>{1, 1});
        // One residue of taps after the other is the order of before.
        CHECK(first_difference(before, after, 0) == std::nullopt);
      }
  for (const Axis& axis : axes)
    CHECK(first_difference(parsed(data_gradient({axis}, true)),
                           subpixel(parsed(data_gradient({axis}, true)), {}), 0) == std::nullopt);
}

TEST_CASE("residues that meet no tap have no convolution", "[subpixel]") {
  Axis one{8, 1, 2, 0, -1}, two{8, 2, 2, 0, 0};
  Module module = subpixel(parsed(data_gradient({one, one}, true)), {});
  CHECK(count(module, Opcode::conv_data_gradient) == 1);
  CHECK(count(module, Opcode::concat) == 0);
  module = subpixel(parsed(data_gradient({two, two}, true)), {});
  CHECK(count(module, Opcode::conv_data_gradient) == 4);
}

TEST_CASE("data gradients stay as they are where nothing is gained", "[subpixel]") {
  Axis axis{8, 3, 2, 1, 0}, even{8, 3, 1, 1, 1}, wide{8, 3, 2, 2, 2};
  auto unchanged = [](const std::string& text) {
    return print(subpixel(parsed(text), {})) == print(parsed(text));
  };
  CHECK(unchanged(data_gradient({even, even}, true)));
  CHECK(unchanged(data_gradient({axis, axis}, true, 4)));  // images enough for tiles
  CHECK(unchanged(data_gradient({wide}, true, 1, 2)));  // dilated taps
}
