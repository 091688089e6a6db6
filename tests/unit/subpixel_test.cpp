#include "compiler/passes/subpixel.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "tests/support/convolution_text.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

using Axis = ConvolutionAxis;

std::string data_gradient(const std::vector<Axis>& axes, bool channels_last, int64_t images = 1,
                          int64_t channels = 2) {
  return convolution_text(Opcode::conv_data_gradient, axes, channels_last, images, channels);
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
  Axis axis{8, 3, 2, 1, 0}, even{8, 3, 1, 1, 1}, wide{8, 3, 2, 2, 2, 2};
  auto unchanged = [](const std::string& text) {
    return print(subpixel(parsed(text), {})) == print(parsed(text));
  };
  CHECK(unchanged(data_gradient({even, even}, true)));
  CHECK(unchanged(data_gradient({axis, axis}, true, 4, 8)));  // images enough for tiles
  CHECK_FALSE(unchanged(data_gradient({axis, axis}, true, 4, 7)));  // channels are too few
  CHECK(unchanged(data_gradient({wide}, true)));  // dilated taps
}
