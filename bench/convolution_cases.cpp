#include "bench/convolution_cases.h"

#include <fmt/format.h>

#include <cstdint>

namespace gradc::bench {
namespace {

struct Layer {
  int64_t batch, inputs, outputs, size, kernel, stride, pad, groups = 1;
};

std::string image(int64_t batch, int64_t channels, int64_t size, bool channels_last) {
  return channels_last ? fmt::format("f32[{},{},{},{}]", batch, size, size, channels)
                       : fmt::format("f32[{},{},{},{}]", batch, channels, size, size);
}

// For an op's attributes, in their order.
constexpr std::string_view kWinograd = ", winograd=true}";

// The convolution and its gradients.
std::vector<std::string> convolutions(const Layer& c, bool channels_last) {
  int64_t out = (c.size + 2 * c.pad - c.kernel) / c.stride + 1;
  std::string x = image(c.batch, c.inputs, c.size, channels_last);
  std::string w =
      fmt::format("f32[{},{},{},{}]", c.outputs, c.inputs / c.groups, c.kernel, c.kernel);
  std::string y = image(c.batch, c.outputs, out, channels_last);
  auto attrs = [&](const std::string& size) {
    return fmt::format(
        "{{{4}dilation=[1,1], groups={3}, high=[{0},{0}], low=[{0},{0}], {1}stride=[{2},{2}]}}",
        c.pad, size, c.stride, c.groups, channels_last ? "channels_last=true, " : "");
  };
  return {fmt::format("conv({}, {}) {}", x, w, attrs("")),
          fmt::format("conv_data_gradient({}, {}) {}", y, w,
                      attrs(fmt::format("size=[{0},{0}], ", c.size))),
          fmt::format("conv_weight_gradient({}, {}) {}", x, y,
                      attrs(fmt::format("size=[{0},{0}], ", c.kernel)))};
}

// The layers for images of 224x224, one of each shape.
std::vector<Layer> resnet50(int64_t batch) {
  std::vector<Layer> layers = {{batch, 3, 64, 224, 7, 2, 3}};
  int64_t channels = 64, size = 56;
  for (int64_t width : {64, 128, 256, 512}) {
    int64_t stride = width == 64 ? 1 : 2;
    layers.push_back({batch, channels, width, size, 1, 1, 0});
    layers.push_back({batch, width, width, size, 3, stride, 1});
    layers.push_back({batch, channels, 4 * width, size, 1, stride, 0});
    size /= stride;
    layers.push_back({batch, width, 4 * width, size, 1, 1, 0});
    layers.push_back({batch, 4 * width, width, size, 1, 1, 0});
    if (stride > 1)
      layers.push_back({batch, width, width, size, 3, 1, 1});
    channels = 4 * width;
  }
  return layers;
}

std::vector<Layer> layers_of(const std::string& name) {
  if (name == "lenet")
    return {{64, 1, 32, 28, 5, 1, 2}, {64, 32, 64, 14, 5, 1, 2}};
  if (name == "resnet")
    return {{32, 16, 16, 28, 3, 1, 1}, {32, 16, 32, 28, 3, 2, 1}, {32, 32, 32, 14, 3, 1, 1},
            {32, 32, 64, 14, 3, 2, 1}, {32, 64, 64, 7, 3, 1, 1},  {32, 16, 32, 28, 1, 2, 0}};
  if (name == "resnet18")
    return {{32, 3, 64, 32, 3, 1, 1},    {32, 64, 64, 32, 3, 1, 1},   {32, 64, 128, 32, 3, 2, 1},
            {32, 64, 128, 32, 1, 2, 0},  {32, 128, 128, 16, 3, 1, 1}, {32, 128, 256, 16, 3, 2, 1},
            {32, 128, 256, 16, 1, 2, 0}, {32, 256, 256, 8, 3, 1, 1},  {32, 256, 512, 8, 3, 2, 1},
            {32, 256, 512, 8, 1, 2, 0},  {32, 512, 512, 4, 3, 1, 1}};
  if (name == "resnet50")
    return resnet50(4);
  if (name == "resnet50one")
    return resnet50(1);
  if (name == "depthwise")
    return {{8, 32, 32, 112, 3, 1, 1, 32},
            {8, 96, 96, 112, 3, 2, 1, 96},
            {8, 192, 192, 28, 3, 1, 1, 192},
            {8, 576, 576, 14, 3, 2, 1, 576},
            {8, 128, 128, 28, 3, 1, 1, 4}};
  return {};
}

}  // namespace

std::vector<std::string> convolution_cases(const std::string& name) {
  size_t end = name.find('_');
  std::string_view variant = end == std::string::npos ? "" : std::string_view(name).substr(end);
  bool channels_last = variant != "_first", winograd = variant == "_winograd";
  bool narrow = variant == "_bf16";
  std::vector<std::string> cases;
  for (const Layer& layer : layers_of(name.substr(0, end))) {
    if (winograd && (layer.kernel != 3 || layer.stride != 1 || layer.groups != 1))
      continue;
    std::vector<std::string> all = convolutions(layer, channels_last);
    if (layer.inputs <= 3)
      all.erase(all.begin() + 1);  // nobody asks for the gradient of the images
    for (std::string& one : all) {
      for (size_t at = 0; narrow && (at = one.find("f32[", at)) != std::string::npos; at += 5)
        one.replace(at, 3, "bf16");
      cases.push_back(one);
      if (winograd)
        cases.push_back(one.substr(0, one.size() - 1) + std::string(kWinograd));
    }
  }
  return cases;
}

std::string short_name(const std::string& text) {
  std::string name = text.substr(0, text.find(')') + 1);
  if (size_t stride = text.find("stride="); stride != std::string::npos)
    name += " " + text.substr(stride, text.find(']', stride) + 1 - stride);
  if (text.ends_with(kWinograd))
    name += " winograd";
  return name;
}

}  // namespace gradc::bench
