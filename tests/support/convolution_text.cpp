#include "tests/support/convolution_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "ir/op_def.h"

namespace gradc::test {

std::string convolution_text(Opcode code, const std::vector<ConvolutionAxis>& axes,
                             bool channels_last, int64_t images, int64_t channels) {
  bool is_gradient = code == Opcode::conv_data_gradient;
  std::vector<int64_t> image, result, taps = {3, channels}, stride, low, high, dilation;
  for (const ConvolutionAxis& axis : axes) {
    image.push_back(axis.size);
    result.push_back(axis.result_size());
    taps.push_back(axis.taps);
    stride.push_back(axis.stride);
    low.push_back(axis.low);
    high.push_back(axis.high);
    dilation.push_back(axis.dilation);
  }
  auto type = [&](std::vector<int64_t> pixels, int64_t its_channels) {
    pixels.insert(channels_last ? pixels.end() : pixels.begin(), its_channels);
    return fmt::format("f32[{},{}]", images, fmt::join(pixels, ","));
  };
  std::string size = is_gradient ? fmt::format("size=[{}], ", fmt::join(image, ",")) : "";
  return fmt::format(
      "module @m\nparam @w: f32[{0}]\n\nentry @infer(%x: {1}, %w: f32[{0}] = @w) {{\nforward:\n"
      "  %y: {2} = {3}(%x, %w) {{{4}dilation=[{5}], groups=1, high=[{6}], low=[{7}], "
      "{8}stride=[{9}]}}\n  return y=%y\n}}\n",
      fmt::join(taps, ","), is_gradient ? type(result, 3) : type(image, channels),
      is_gradient ? type(image, channels) : type(result, 3), def(code).name,
      channels_last ? "channels_last=true, " : "", fmt::join(dilation, ","), fmt::join(high, ","),
      fmt::join(low, ","), size, fmt::join(stride, ","));
}

}  // namespace gradc::test
