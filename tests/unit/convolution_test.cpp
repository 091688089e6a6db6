#include <catch2/catch.hpp>
#include <string>

#include "ir/eval.h"
#include "ir/op_def.h"

using namespace gradc;

namespace {

Attrs attributes(Dims stride, Dims low, Dims high, Dims dilation, int64_t groups = 1) {
  return {{"dilation", std::move(dilation)},
          {"groups", groups},
          {"high", std::move(high)},
          {"low", std::move(low)},
          {"stride", std::move(stride)}};
}

Attrs with_size(Attrs attrs, Dims size) {
  attrs.set("size", std::move(size));
  return attrs;
}

Tensor run(Opcode code, const std::vector<Tensor>& operands, const Attrs& attrs) {
  Types types;
  for (const Tensor& operand : operands)
    types.push_back(operand.type);
  return eval_op({}, Op{.code = code, .attrs = attrs}, operands,
                 infer_types(code, types, attrs))[0];
}

Tensor tensor(Dims dims, std::vector<double> data) {
  return {{DType::f32, std::move(dims)}, std::move(data)};
}

std::string error_of(Opcode code, const std::vector<Type>& operands, const Attrs& attrs) {
  try {
    infer_types(code, operands, attrs);
  } catch (const UserError& error) {
    return error.message();
  }
  return "";
}

Type f32(Dims dims) {
  return {DType::f32, std::move(dims)};
}

}  // namespace

TEST_CASE("taps are not mirrored and padding may differ by side", "[convolution]") {
  Tensor x = tensor({1, 1, 4}, {1, 2, 3, 4}), w = tensor({1, 1, 3}, {1, 10, 100});
  CHECK(run(Opcode::conv, {x, w}, attributes({1}, {0}, {0}, {1})).data ==
        std::vector<double>{321, 432});
  CHECK(run(Opcode::conv, {x, w}, attributes({1}, {2}, {1}, {1})).data ==
        std::vector<double>{100, 210, 321, 432, 43});
  CHECK(run(Opcode::conv, {x, w}, attributes({1}, {-1}, {1}, {1})).data ==
        std::vector<double>{432, 43});
}

TEST_CASE("a stride leaves a remainder that no window reaches", "[convolution]") {
  Tensor x = tensor({1, 1, 6}, {1, 2, 3, 4, 5, 6}), w = tensor({1, 1, 3}, {1, 10, 100});
  Attrs attrs = attributes({2}, {0}, {0}, {1});
  CHECK(run(Opcode::conv, {x, w}, attrs).data == std::vector<double>{321, 543});
  // The last element of x is read by no window: its gradient is zero, and `size` says it exists.
  Tensor dy = tensor({1, 1, 2}, {1, 2});
  CHECK(run(Opcode::conv_data_gradient, {dy, w}, with_size(attrs, {6})).data ==
        std::vector<double>{1, 10, 102, 20, 200, 0});
  CHECK(run(Opcode::conv_data_gradient, {dy, w}, with_size(attrs, {5})).data ==
        std::vector<double>{1, 10, 102, 20, 200});
  CHECK(run(Opcode::conv_weight_gradient, {x, dy}, with_size(attrs, {3})).data ==
        std::vector<double>{7, 10, 13});
}

TEST_CASE("dilation spreads the taps", "[convolution]") {
  Tensor x = tensor({1, 1, 5}, {1, 2, 3, 4, 5}), w = tensor({1, 1, 2}, {1, 10});
  CHECK(run(Opcode::conv, {x, w}, attributes({1}, {0}, {0}, {3})).data ==
        std::vector<double>{41, 52});
  CHECK(run(Opcode::conv_data_gradient, {tensor({1, 1, 2}, {1, 2}), w},
            with_size(attributes({1}, {0}, {0}, {3}), {5}))
            .data == std::vector<double>{1, 2, 0, 10, 20});
}

TEST_CASE("groups see their own channels only", "[convolution]") {
  Tensor x = tensor({1, 4, 1}, {1, 2, 3, 4});
  Tensor w = tensor({2, 2, 1}, {1, 10, 100, 1000});
  CHECK(run(Opcode::conv, {x, w}, attributes({1}, {0}, {0}, {1}, 2)).data ==
        std::vector<double>{21, 4300});
  Tensor depthwise = tensor({8, 1, 1}, {1, 2, 3, 4, 5, 6, 7, 8});
  CHECK(run(Opcode::conv, {x, depthwise}, attributes({1}, {0}, {0}, {1}, 4)).data ==
        std::vector<double>{1, 2, 6, 8, 15, 18, 28, 32});
}

TEST_CASE("the transposed convolution spreads each element over its window", "[convolution]") {
  Tensor x = tensor({1, 1, 2, 2}, {1, 2, 3, 4}), w = tensor({1, 1, 2, 2}, {1, 10, 100, 1000});
  Attrs attrs = with_size(attributes({2, 2}, {0, 0}, {0, 0}, {1, 1}), {4, 4});
  CHECK(
      run(Opcode::conv_data_gradient, {x, w}, attrs).data ==
      std::vector<double>{1, 10, 2, 20, 100, 1000, 200, 2000, 3, 30, 4, 40, 300, 3000, 400, 4000});
}

TEST_CASE("flops count the taps on padding", "[convolution]") {
  Attrs attrs = attributes({1, 1}, {1, 1}, {1, 1}, {1, 1});
  Types operands = {f32({2, 3, 8, 8}), f32({5, 3, 3, 3})};
  Types results = infer_types(Opcode::conv, operands, attrs);
  int64_t flops = 2 * 2 * 5 * 8 * 8 * 3 * 3 * 3;
  CHECK(def(Opcode::conv).flops(operands, results, attrs) == flops);
  CHECK(def(Opcode::conv_data_gradient)
            .flops(Types{results[0], operands[1]}, {}, with_size(attrs, {8, 8})) == flops);
  CHECK(def(Opcode::conv_weight_gradient)
            .flops(Types{operands[0], results[0]}, {}, with_size(attrs, {3, 3})) == flops);
}

TEST_CASE("errors of convolutions say which shape met what", "[convolution]") {
  Attrs attrs = attributes({1, 1}, {0, 0}, {0, 0}, {1, 1});
  Attrs grouped = attributes({1, 1}, {0, 0}, {0, 0}, {1, 1}, 2);
  CHECK(error_of(Opcode::conv, {f32({1, 3, 8, 8}), f32({2, 4, 3, 3})}, attrs) ==
        "the image f32[1,3,8,8] has 3 channels, the weight f32[2,4,3,3] expects 4");
  CHECK(error_of(Opcode::conv, {f32({1, 3, 8, 8}), f32({2, 4, 3, 3})}, grouped) ==
        "the image f32[1,3,8,8] has 3 channels, the weight f32[2,4,3,3] expects 8: 2 groups of 4");
  CHECK(error_of(Opcode::conv, {f32({1, 8, 8, 8}), f32({3, 4, 3, 3})}, grouped) ==
        "the weight f32[3,4,3,3] makes 3 channels, not a multiple of 2 groups");
  CHECK(error_of(Opcode::conv, {f32({1, 3, 2, 8}), f32({2, 3, 3, 3})}, attrs) ==
        "spatial axis 0: the kernel of f32[2,3,3,3] spans 3, the padded image of f32[1,3,2,8] has "
        "2");
  CHECK(error_of(Opcode::conv, {f32({1, 3, 8}), f32({2, 3, 3})}, attrs) ==
        "`stride` [1,1] has 2 entries, the image f32[1,3,8] has 1 spatial axes");
  CHECK(error_of(Opcode::conv, {f32({3, 8}), f32({2, 3})}, attrs) ==
        "the image f32[3,8] and the weight f32[2,3] need one rank: 2 axes and 1 to 3 spatial ones");
  CHECK(error_of(Opcode::conv_data_gradient, {f32({1, 2, 6, 6}), f32({2, 3, 3, 3})},
                 with_size(attrs, {9, 8})) ==
        "a convolution of f32[1,3,9,8] by f32[2,3,3,3] gives f32[1,2,7,6], but its gradient is "
        "f32[1,2,6,6]");
}
