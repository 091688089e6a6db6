#include "compiler/passes/bands.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "ir/op_def.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// p = pool(relu(conv(x, w) + b)): the attributes of rows, those of columns are the same.
struct Net {
  int images = 1, rows = 40, channels = 5;
  int taps = 3, low = 1, high = 1, stride = 1, dilation = 1;  // of the convolution
  std::string window = "max";
  int size = 3, window_low = 0, window_high = 1, window_stride = 2, window_dilation = 1;
  std::string phase = "forward", more_ops, more_results;

  int conv_rows() const { return (rows + low + high - (taps - 1) * dilation - 1) / stride + 1; }
  int pool_rows() const {
    return (conv_rows() + window_low + window_high - (size - 1) * window_dilation - 1) /
               window_stride +
           1;
  }

  std::string text() const {
    return fmt::format(
        R"(module @m
param @w: f32[{c},2,{taps},{taps}]
param @b: f32[{c}]

entry @infer(%x0: f32[{n},{r},{r},2], %w: f32[{c},2,{taps},{taps}] = @w, %b: f32[{c}] = @b) {{
{phase}:
  %x: f32[{n},{r},{r},2] = tanh(%x0)
  %conv: f32[{n},{s},{s},{c}] = conv(%x, %w) {{channels_last=true, dilation=[{d},{d}], groups=1, high=[{high},{high}], low=[{low},{low}], stride=[{stride},{stride}]}}
  %bias: f32[{n},{s},{s},{c}] = broadcast(%b) {{axes=[3], shape=[{n},{s},{s},{c}]}}
  %add: f32[{n},{s},{s},{c}] = add(%conv, %bias)
  %half: f32[{n},{s},{s},{c}] = constant() {{dtype=f32, shape=[{n},{s},{s},{c}], value=0.5}}
  %mul: f32[{n},{s},{s},{c}] = mul(%half, %add)
  %relu: f32[{n},{s},{s},{c}] = relu(%mul)
  %p: f32[{n},{p},{p},{c}] = window_{window}(%relu) {{dilation=[{wd},{wd},1], high=[{wh},{wh},0], low=[{wl},{wl},0], stride=[{ws},{ws},1], window=[{size},{size},1]}}
{more_ops}  return p=%p{more_results}
}}
)",
        fmt::arg("n", images), fmt::arg("r", rows), fmt::arg("c", channels), fmt::arg("taps", taps),
        fmt::arg("s", conv_rows()), fmt::arg("d", dilation), fmt::arg("high", high),
        fmt::arg("low", low), fmt::arg("stride", stride), fmt::arg("p", pool_rows()),
        fmt::arg("wd", window_dilation), fmt::arg("wh", window_high), fmt::arg("wl", window_low),
        fmt::arg("ws", window_stride), fmt::arg("size", size), fmt::arg("window", window),
        fmt::arg("phase", phase), fmt::arg("more_ops", more_ops),
        fmt::arg("more_results", more_results));
  }
};

Module banded(const Net& net) {
  Module after = bands(parsed(net.text()), Options{});
  verify(after);
  return after;
}

// Parts that the pooled image is made of; 0 if it is one window's.
size_t parts(const Module& module) {
  for (const Op& op : module.functions[0].ops)
    if (op.code == Opcode::concat)
      return op.operands.size();
  return 0;
}

int64_t largest(const Module& module, Opcode code) {
  int64_t most = 0;
  for (const Op& op : module.functions[0].ops)
    if (op.code == code)
      most = std::max(most, module.functions[0].type(op.result()).elements());
  return most;
}

}  // namespace

TEST_CASE("a convolution and its pooling work in bands", "[bands]") {
  const Net nets[] = {
      {},
      {.window = "sum"},
      {.rows = 75, .taps = 7, .low = 3, .high = 2, .stride = 2},
      {.rows = 47, .low = 0, .high = 0, .dilation = 2, .size = 2, .window_high = 0},
      {.size = 3, .window_low = 1, .window_high = 1, .window_stride = 1},
      {.window_high = 0, .window_dilation = 3},
      {.images = 2},
      {.images = 7, .rows = 12},
  };
  for (const Net& net : nets) {
    Module before = parsed(net.text()), after = banded(net);
    CAPTURE(net.text());
    CHECK(parts(after) >= 2);
    CHECK(largest(after, Opcode::conv) < largest(before, Opcode::conv) * 2 / 3);
    CHECK(first_difference(before, after) == std::nullopt);
  }
}

TEST_CASE("bands are as many as it takes, and there are enough rows", "[bands]") {
  CHECK(parts(banded({.rows = 80})) == 4);
  CHECK(parts(banded({.rows = 40})) == 2);  // 20 rows of windows
  CHECK(parts(banded({.rows = 28})) == 0);
  CHECK(parts(banded({.images = 3, .rows = 28})) == 2);  // of images, two at most
  // The operand and result of something else are more than the pair takes in two bands.
  Net other{.rows = 80};
  other.more_ops =
      "  %up: f32[1,80,50,5] = broadcast(%b) {axes=[3], shape=[1,80,50,5]}\n"
      "  %t: f32[1,80,50,5] = tanh(%up)\n  %q: f32[80,50,5,1] = transpose(%t) "
      "{permutation=[1,2,3,0]}\n";
  other.more_results = ", q=%q";
  CHECK(parts(banded(other)) == 2);
}

TEST_CASE("what has other readers, or belongs to a training step, stays whole", "[bands]") {
  Net read{.rows = 80};
  read.more_results = ", r=%relu";
  CHECK(parts(banded(read)) == 0);
  read.more_results = ", r=%conv";
  CHECK(parts(banded(read)) == 0);
  CHECK(parts(banded({.rows = 80, .phase = "backward"})) == 0);
}
