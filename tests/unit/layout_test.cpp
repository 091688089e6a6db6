// The layout pass: nothing changes but the order of axes inside of the network.
#include "compiler/passes/layout.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "compiler/entries.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/expand.h"
#include "compiler/passes/fuse.h"
#include "compiler/passes/simplify.h"
#include "ir/builder.h"
#include "ir/op_def.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

Attrs convolution_attrs(int64_t stride, int64_t pad, int64_t groups = 1) {
  return {{"dilation", std::vector<int64_t>{1, 1}},
          {"groups", groups},
          {"high", std::vector<int64_t>{pad, pad}},
          {"low", std::vector<int64_t>{pad, pad}},
          {"stride", std::vector<int64_t>{stride, stride}}};
}

// A network under construction, as the entry @train_step.
class Network {
 public:
  Network() {
    module_.name = "net";
    Function& function = module_.functions.emplace_back();
    function.name = std::string(kTrainStep);
  }
  Builder builder() { return Builder(module_.functions[0]); }

  ValueId parameter(const Dims& dims) {
    std::string name = "w" + std::to_string(module_.states.size());
    module_.states.push_back({.name = name, .type = {DType::f32, dims}});
    return builder().parameter({DType::f32, dims}, name, name);
  }
  ValueId conv(ValueId x, int64_t outputs, int64_t kernel, int64_t stride, int64_t groups = 1) {
    ValueId w = parameter({outputs, builder().dims(x)[1] / groups, kernel, kernel});
    return builder().op(Opcode::conv, {x, w}, convolution_attrs(stride, kernel / 2, groups), "y");
  }
  ValueId norm(ValueId x) {
    int64_t channels = builder().dims(x)[1];
    ValueId scale = parameter({channels}), bias = parameter({channels});
    ValueId mean = builder().constant({DType::f32, {channels}}, 0);
    ValueId variance = builder().constant({DType::f32, {channels}}, 1);
    return builder().op_multi(Opcode::batch_norm, {x, scale, bias, mean, variance},
                              {{"axis", int64_t{1}}, {"epsilon", 1e-5}, {"momentum", 0.1}})[0];
  }
  ValueId relu(ValueId x) { return builder().op(Opcode::relu, {x}); }
  ValueId max_pool(ValueId x) {
    std::vector<int64_t> zero = {0, 0}, two = {2, 2};
    return builder().op(Opcode::window_max, {x},
                        {{"high", zero}, {"low", zero}, {"stride", two}, {"window", two}});
  }

  // With the loss sum(tanh(x)) and its gradients, in primitives.
  Module trained(ValueId x) {
    Builder b = builder();
    std::vector<int64_t> axes;
    for (int64_t axis = 0; axis < b.type(x).rank(); ++axis)
      axes.push_back(axis);
    b.result(b.reduce_sum(b.op(Opcode::tanh, {x}), axes), "loss");
    b.result(x, "y");
    Options options;
    options.train = true;
    return simplify(expand(autodiff(module_, options), options), options);
  }

 private:
  Module module_;
};

int64_t count(const Module& module, Opcode code, bool channels_last_only = false) {
  int64_t found = 0;
  for (const Function& function : module.functions)
    found += std::count_if(function.ops.begin(), function.ops.end(), [&](const Op& op) {
      return op.code == code && (!channels_last_only || op.attrs.flag("channels_last"));
    });
  return found;
}

Module laid_out(const Module& before) {
  Module after = layout(before, Options{});
  verify(after);
  CHECK(print(parse_module(print(after), "layout.ir")) == print(after));
  CHECK(first_difference(before, after, 1e-9) == std::nullopt);
  Module simple = simplify(after, Options{});
  CHECK(first_difference(before, simple, 1e-9) == std::nullopt);
  return simple;
}

int64_t convolutions(const Module& module, bool channels_last_only) {
  int64_t found = 0;
  for (Opcode code : {Opcode::conv, Opcode::conv_data_gradient, Opcode::conv_weight_gradient})
    found += count(module, code, channels_last_only);
  return found;
}

}  // namespace

TEST_CASE("a residual network has a transpose at its input only", "[layout]") {
  Network net;
  ValueId x = net.builder().parameter({DType::f32, {2, 3, 9, 9}}, "image");
  x = net.relu(net.norm(net.conv(x, 8, 3, 1)));
  ValueId y = net.norm(net.conv(net.relu(net.norm(net.conv(x, 16, 3, 2))), 16, 3, 1));
  x = net.relu(net.builder().add(y, net.norm(net.conv(x, 16, 1, 2))));
  x = net.builder().scale(net.builder().reduce_sum(x, {2, 3}), 1.0 / 25);
  Module after = laid_out(net.trained(x));
  CHECK(count(after, Opcode::transpose) == 1);
  CHECK(convolutions(after, true) == 11);
  CHECK(convolutions(after, false) == 11);
}

TEST_CASE("sums of rows of an image are channels last", "[layout]") {
  Module module = parse_module(R"(module @m
entry @f(%x: f32[2,3,4,5], %w: f32[8,3,3,3]) {
forward:
  %y: f32[2,8,4,5] = conv(%x, %w) {dilation=[1,1], groups=1, high=[1,1], low=[1,1], stride=[1,1]}
  %rows: f32[2,8,4] = reduce_sum(%y) {axes=[3]}
  %all: f32[2,8,4,5] = broadcast(%rows) {axes=[0,1,2], shape=[2,8,4,5]}
  %less: f32[2,8,4,5] = sub(%y, %all)
  %squares: f32[2,8,4,5] = mul(%less, %less)
  %within: f32[2,8,4] = reduce_sum(%squares) {axes=[3]}
  %sum: f32[8] = reduce_sum(%within) {axes=[0,2]}
  return sum=%sum
}
)",
                               "t.ir");
  Module after = laid_out(module);
  CHECK(count(after, Opcode::transpose) == 1);  // of the image
  const Function& f = after.function("f");
  auto rows = std::ranges::find(f.ops, Opcode::reduce_sum, &Op::code);
  CHECK(f.type(rows->result()).dims == Dims{2, 4, 8});
}

TEST_CASE("pools and concatenations follow, what is flattened is transposed", "[layout]") {
  Network net;
  ValueId x = net.builder().parameter({DType::f32, {2, 1, 8, 10}}, "image");
  x = net.max_pool(net.relu(net.conv(x, 8, 5, 1)));
  ValueId left = net.conv(x, 8, 3, 1), right = net.conv(x, 9, 1, 1);
  x = net.builder().op(Opcode::concat, {left, right}, {{"axis", int64_t{1}}});
  x = net.builder().reshape(net.max_pool(x), {2, 17 * 2 * 2});
  Module after = laid_out(net.trained(x));
  // The image of one channel is only reshaped; one transpose there and one back.
  CHECK(count(after, Opcode::transpose) == 2);
  CHECK(convolutions(after, true) == convolutions(after, false));
}

TEST_CASE("resizes of images follow, with the gradient", "[layout]") {
  Network net;
  ValueId x = net.builder().parameter({DType::f32, {2, 1, 4, 5}}, "image");
  x = net.relu(net.conv(x, 8, 3, 1));
  for (int64_t axis : {2, 3})
    x = net.builder().op(Opcode::resize, {x},
                         {{"axis", axis}, {"size", int64_t{9}}, {"filter", "linear"}});
  x = net.conv(x, 8, 3, 1);
  Module after = laid_out(net.trained(x));
  CHECK(count(after, Opcode::transpose) == 1);  // of the result
  CHECK(convolutions(after, true) == convolutions(after, false));
}

// The decoder of a transformer of images: what it resizes is lists of pixels.
TEST_CASE("a resized list of pixels stays channels last", "[layout]") {
  Module module = parse_module(R"(module @m
entry @f(%a: f32[2,6,8], %b: f32[2,24,8], %w: f32[8,16,1,1]) {
forward:
  %p: f32[2,8,6] = transpose(%a) {permutation=[0,2,1]}
  %i: f32[2,8,3,2] = reshape(%p) {shape=[2,8,3,2]}
  %r: f32[2,8,6,2] = resize(%i) {axis=2, filter="linear", size=6}
  %s: f32[2,8,6,4] = resize(%r) {axis=3, filter="linear", size=4}
  %q: f32[2,8,24] = transpose(%b) {permutation=[0,2,1]}
  %j: f32[2,8,6,4] = reshape(%q) {shape=[2,8,6,4]}
  %c: f32[2,16,6,4] = concat(%s, %j) {axis=1}
  %y: f32[2,8,6,4] = conv(%c, %w) {dilation=[1,1], groups=1, high=[0,0], low=[0,0], stride=[1,1]}
  %z: f32[2,8] = reduce_max(%y) {axes=[2,3]}
  return z=%z
}
)",
                               "pixels.ir");
  Module after = laid_out(simplify(expand(module, Options{}), Options{}));
  CHECK(count(after, Opcode::transpose) == 0);
}

TEST_CASE("depthwise convolutions are channels last, groups of few channels are not", "[layout]") {
  for (int64_t groups : {16, 4}) {
    Network net;
    ValueId x = net.builder().parameter({DType::f32, {2, 3, 6, 6}}, "image");
    x = net.conv(x, 16, 3, 1);
    x = net.conv(net.relu(net.conv(net.relu(x), 16, 3, 2, groups)), 16, 1, 1);
    Module after = laid_out(net.trained(x));
    CHECK(convolutions(after, false) - convolutions(after, true) == (groups == 16 ? 0 : 3));
  }
}

TEST_CASE("convolutions to few channels stay as they are", "[layout]") {
  Network net;
  ValueId x = net.builder().parameter({DType::f32, {2, 4, 6, 6}}, "image");
  Module few = net.trained(net.relu(net.conv(x, 4, 3, 1)));
  CHECK(print(layout(few, Options{})) == print(few));
}

TEST_CASE("grouped convolutions are laid out by what a vector holds", "[layout]") {
  Network net;
  ValueId x = net.builder().parameter({DType::f32, {2, 16, 6, 6}}, "image");
  x = net.conv(net.conv(x, 16, 3, 1, 2), 16, 3, 2, 4);
  Module after = laid_out(net.trained(x));
  CHECK(count(after, Opcode::conv) == 2);
  CHECK(count(after, Opcode::conv, true) == 1);
}

TEST_CASE("padding, slices and reversals move with the axes", "[layout]") {
  Module module = parse_module(R"(module @m
entry @f(%x: f32[2,3,4,5], %w: f32[8,3,3,3]) {
forward:
  %y: f32[2,8,4,5] = conv(%x, %w) {dilation=[1,1], groups=1, high=[1,1], low=[1,1], stride=[1,1]}
  %p: f32[2,8,7,6] = pad(%y) {high=[0,0,1,0], low=[0,0,2,1], value=0.5}
  %s: f32[2,4,3,6] = slice(%p) {begin=[0,1,1,0], end=[2,8,7,6], step=[1,2,2,1]}
  %r: f32[2,4,3,6] = reverse(%s) {axes=[1,3]}
  %m: f32[2,6] = reduce_max(%r) {axes=[1,2]}
  %k: f32[4,3,6] = reduce_sum(%r) {axes=[0]}
  return m=%m, k=%k, r=%r
}
)",
                               "m.ir");
  Module after = laid_out(module);
  CHECK(count(after, Opcode::transpose) == 2);  // the image, and r for what needs its order
}

TEST_CASE("the gradient of a max pool reads a byte for each window", "[layout][fuse]") {
  Network net;
  ValueId image = net.builder().parameter({DType::f32, {2, 3, 16, 16}}, "image");
  ValueId x = net.conv(image, 16, 3, 1);
  Module fused = fuse(laid_out(net.trained(net.max_pool(x))), Options{});
  const Function& step = fused.function("train_step");
  std::vector<std::optional<OpId>> definitions = defining_ops(step);
  std::vector<Type> held;
  for (const Op& op : step.ops)
    for (ValueId operand : op.operands)
      if (op.phase == Phase::backward && definitions[operand.index] &&
          step.ops[definitions[operand.index]->index].phase == Phase::forward)
        held.push_back(step.type(operand));
  for (const Type& type : held)
    CHECK(type.dims != Dims{2, 16, 16, 16});
  CHECK(std::ranges::count(held, Type{DType::u8, {2, 8, 8, 16}}) == 1);
}
