#include "compiler/passes/far_taps.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "tests/support/convolution_text.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

using Axis = ConvolutionAxis;

constexpr Opcode kCodes[] = {Opcode::conv, Opcode::conv_data_gradient};

Module split(Opcode code, const std::vector<Axis>& axes, int64_t images = 1) {
  return far_taps(parsed(convolution_text(code, axes, true, images)), {});
}

}  // namespace

TEST_CASE("a dilated convolution is one for each part that meets the same taps", "[far_taps]") {
  // Taps near and far, some of them in the padding for all pixels, strides, cropping, and pixels
  // that meet no tap at all.
  const Axis axes[] = {{14, 3, 1, 12, 12, 12}, {9, 3, 1, 4, 4, 4},  {5, 3, 1, 9, 9, 9},
                       {8, 2, 1, 0, 6, 6},     {9, 3, 2, 4, 4, 4},  {6, 4, 1, 6, 3, 3},
                       {7, 3, 1, 12, 12, 4},   {9, 2, 1, -1, 5, 5}, {6, 3, 1, 1, 1, 1}};
  for (Opcode code : kCodes)
    for (bool channels_last : {false, true})
      for (const Axis& y : axes)
        for (const Axis& x : axes) {
          if (code == Opcode::conv_data_gradient && y.stride * x.stride > 1)
            continue;
          std::string text = convolution_text(code, {y, x}, channels_last, 2);
          CAPTURE(text);
          Module before = parsed(text), after = far_taps(before, {});
          verify(after);
          CHECK(first_difference(before, after, 0) == std::nullopt);
        }
}

TEST_CASE("no tap is left that lies in the padding", "[far_taps]") {
  const Axis deeplab{14, 3, 1, 24, 24, 24}, half{14, 3, 1, 12, 12, 12};
  for (Opcode code : kCodes) {
    auto convolutions = [&](const Module& module) {
      return std::ranges::count(module.functions[0].ops, code, &Op::code);
    };
    Module one = split(code, {deeplab, deeplab});
    CHECK(convolutions(one) == 1);
    const Op& op = *std::ranges::find(one.functions[0].ops, code, &Op::code);
    CHECK(one.functions[0].type(op.operand(1)).dims == Dims{3, 2, 1, 1});
    CHECK(convolutions(split(code, {half, half})) == 9);
    CHECK(convolutions(split(code, {half})) == 3);
  }
}

TEST_CASE("convolutions stay whole where parts do not pay", "[far_taps]") {
  const Axis near{56, 3, 1, 2, 2, 2}, far{14, 3, 1, 12, 12, 12}, dense{2, 3, 1, 1, 1};
  auto unchanged = [](Opcode code, const std::vector<Axis>& axes, int64_t images) {
    return print(split(code, axes, images)) ==
           print(parsed(convolution_text(code, axes, true, images)));
  };
  for (Opcode code : kCodes) {
    CHECK(unchanged(code, {near, near}, 1));
    CHECK(unchanged(code, {dense, dense}, 1));
    CHECK(unchanged(code, {far, far}, 4));  // images enough for tiles
    CHECK_FALSE(unchanged(code, {far, far}, 3));
  }
}
