#include "compiler/passes/winograd.h"

#include <algorithm>

#include "compiler/passes/layout_rules.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

// Per pair of channels a tile of 16 results takes 36 multiplications instead of 9 for each result
// that has no padding around it; transforms take about as long as 36 multiplications with so many
// channels. Those of the weight, or of its gradient, come once for all tiles: as many
// multiplications for each pair.
constexpr double kTransforms = 26;
constexpr double kWeightTransforms = 400;
constexpr int64_t kFewestChannels = 16;  // on either side: a vector

// Image (or gradient of the image), weight and result (or its gradient) of a convolution.
struct Types {
  const Type &image, &weight, &result;
};

Types types_of(const Function& function, const Op& op) {
  const Type &a = function.type(op.operand(0)), &b = function.type(op.operand(1));
  const Type& y = function.type(op.result());
  return op.code == Opcode::conv                 ? Types{a, b, y}
         : op.code == Opcode::conv_data_gradient ? Types{y, b, a}
                                                 : Types{a, y, b};
}

// What the tiles compute at all.
bool can_do(const Function& function, const Op& op) {
  if (!image_op(op) || !op.attrs.flag("channels_last"))
    return false;
  Types types = types_of(function, op);
  return types.image.dtype == DType::f32 && types.weight.rank() == 4 && types.weight.dims[2] == 3 &&
         types.weight.dims[3] == 3 && op.attrs.integer("groups") == 1 &&
         all_are(op.attrs.integers("stride"), 1) && all_are(op.attrs.integers("dilation"), 1);
}

// Of the taps of all pixels along an axis, those that meet no padding.
double present(int64_t pixels, int64_t low, int64_t image) {
  int64_t taps = 0;
  for (int64_t k = 0; k < 3; ++k)
    taps += std::max<int64_t>(0, std::min(pixels, image + low - k) - std::max<int64_t>(0, low - k));
  return static_cast<double>(taps);
}

bool pays(const Function& function, const Op& op) {
  Types types = types_of(function, op);
  int64_t outputs = types.weight.dims[0], inputs = types.weight.dims[1];
  if (std::min(outputs, inputs) < kFewestChannels)
    return false;
  auto images = static_cast<double>(types.image.dims[0]);
  double direct = images, tiles = images;
  const Type& tiled = op.code == Opcode::conv_data_gradient ? types.image : types.result;
  for (size_t axis = 0; axis < 2; ++axis) {
    direct *= present(types.result.dims[axis + 1], op.attrs.integers("low")[axis],
                      types.image.dims[axis + 1]);
    tiles *= static_cast<double>(ceil_div(tiled.dims[axis + 1], 4));
  }
  double channels = 2 / (1 / static_cast<double>(inputs) + 1 / static_cast<double>(outputs));
  return 36 * tiles * (1 + kTransforms / channels) + kWeightTransforms < direct;
}

}  // namespace

Module winograd(const Module& module, const Options&) {
  Module result = module;
  for (Function& function : result.functions)
    for (Op& op : function.ops)
      if (can_do(function, op) && pays(function, op))
        op.attrs.set("winograd", true);
  return result;
}

}  // namespace gradc
