// Convolutions and transposed convolutions over 1 to 3 spatial axes.
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// y plus input 2, one number a channel, if it is there.
void result_with_bias(NodeContext& c, ValueId y) {
  if (!c.has(2))
    return c.result(y);
  Dims dims = c.b.dims(y);
  if (c.dims(2) != Dims{dims[1]})
    fail("the bias must be [{}], one number a channel, it is {}", dims[1], to_string(c.type(2)));
  c.result(c.b.add(y, c.b.broadcast(c.tensor(2), {1}, dims)));
}

Window window_of_weight(NodeContext& c) {
  require_float(c, 0);
  Dims image = spatial_dims(c.dims(0));
  if (c.rank(1) != c.rank(0))
    fail("the image {} and the weight {} must have one rank", to_string(c.type(0)),
         to_string(c.type(1)));
  return window_of(c, image, spatial_dims(c.dims(1)));
}

void conv_node(NodeContext& c) {
  Window window = window_of_weight(c);
  ValueId x = c.tensor(0);
  result_with_bias(c, c.b.op(Opcode::conv, {x, c.tensor(1)},
                             {{"dilation", window.dilation},
                              {"groups", c.attribute("group", 1)},
                              {"high", window.high},
                              {"low", window.low},
                              {"stride", window.stride}}));
}

// Sizes of the result's spatial axes, and the padding before them.
struct Uncovered {
  Dims size, low;
};

// One axis without padding has `whole` = stride * (size - 1) + output_padding + span elements, of
// which the padding takes some. A wanted size, given or that of SAME, says how many in all; the odd
// one is taken from the beginning, with SAME_UPPER from the end.
Uncovered uncovered(NodeContext& c, const Dims& image, const Window& window) {
  Uncovered result{{}, window.low};
  std::vector<int64_t> more = c.attribute("output_padding", Dims(image.size(), 0));
  std::optional<Dims> wanted = c.find_integers("output_shape");
  std::string auto_pad = c.text("auto_pad", "NOTSET");
  if (!wanted && auto_pad.starts_with("SAME")) {
    wanted.emplace();
    for (size_t i = 0; i < image.size(); ++i)
      wanted->push_back(image[i] * window.stride[i]);
  }
  if (wanted && wanted->size() == image.size() + 2)  // some name batch and channels as well
    wanted->erase(wanted->begin(), wanted->begin() + 2);
  if (more.size() != image.size() || (wanted && wanted->size() != image.size()))
    fail("`output_padding` and `output_shape` must have one number for each of {} spatial axes",
         image.size());
  for (size_t i = 0; i < image.size(); ++i) {
    int64_t span = (window.size[i] - 1) * window.dilation[i] + 1;
    int64_t whole = window.stride[i] * (image[i] - 1) + more[i] + span;
    if (more[i] < 0 || more[i] >= std::max(window.stride[i], window.dilation[i]))
      fail("`output_padding` is {}; it must be less than the stride {} or the dilation {}",
           to_string(more), to_string(window.stride), to_string(window.dilation));
    if (wanted) {
      int64_t taken = std::max<int64_t>(whole - (*wanted)[i], 0);
      result.low[i] = auto_pad == "SAME_UPPER" ? taken / 2 : taken - taken / 2;
    }
    result.size.push_back(wanted ? (*wanted)[i] : whole - window.low[i] - window.high[i]);
    if (result.size[i] < 1)
      fail("axis {} of the result would have {} elements", i + 2, result.size[i]);
  }
  return result;
}

// The gradient of a convolution that makes the input from the result, run forward.
void conv_transpose_node(NodeContext& c) {
  Window window = window_of_weight(c);
  Dims image = spatial_dims(c.dims(0));
  auto [size, low] = uncovered(c, image, window);
  std::vector<int64_t> high;
  for (size_t i = 0; i < image.size(); ++i) {
    int64_t span = (window.size[i] - 1) * window.dilation[i] + 1;
    high.push_back(window.stride[i] * (image[i] - 1) + span - size[i] - low[i]);
  }
  ValueId x = c.tensor(0);
  result_with_bias(c, c.b.op(Opcode::conv_data_gradient, {x, c.tensor(1)},
                             {{"dilation", window.dilation},
                              {"groups", c.attribute("group", 1)},
                              {"high", high},
                              {"low", low},
                              {"size", size},
                              {"stride", window.stride}}));
}

constexpr NodeRule kRules[] = {
    {"Conv", 1, conv_node, input_set({1, 2})},
    {"ConvTranspose", 1, conv_transpose_node, input_set({1, 2})},
};

}  // namespace

std::span<const NodeRule> conv_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
