#include "tests/support/contract_cases.h"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "ir/builder.h"
#include "ir/op_def.h"
#include "ir/parse.h"

namespace gradc::test {
namespace {

std::string dot(const Type& a, const Type& b, int64_t sum_a, int64_t sum_b) {
  return fmt::format("dot({}, {}) {{batch_a=[], batch_b=[], sum_a=[{}], sum_b=[{}]}}", to_string(a),
                     to_string(b), sum_a, sum_b);
}

struct ConvolutionShape {
  int64_t batch, inputs, outputs, size, kernel, stride, pad, dilation, groups;
};

Type image(int64_t batch, int64_t channels, int64_t size, bool channels_last) {
  return {DType::f32,
          channels_last ? Dims{batch, size, size, channels} : Dims{batch, channels, size, size}};
}

void append_convolutions(std::vector<std::string>& cases, const ConvolutionShape& c,
                         bool channels_last) {
  int64_t span = c.dilation * (c.kernel - 1) + 1;
  int64_t out = (c.size + 2 * c.pad - span) / c.stride + 1;
  Type x = image(c.batch, c.inputs, c.size, channels_last);
  Type w{DType::f32, {c.outputs, c.inputs / c.groups, c.kernel, c.kernel}};
  Type y = image(c.batch, c.outputs, out, channels_last);
  auto attrs = [&](const std::string& size) {
    return fmt::format(
        "{{{5}dilation=[{0},{0}], groups={1}, high=[{2},{2}], low=[{2},{2}], "
        "{3}stride=[{4},{4}]}}",
        c.dilation, c.groups, c.pad, size, c.stride, channels_last ? "channels_last=true, " : "");
  };
  auto sized = [](int64_t n) { return fmt::format("size=[{0},{0}], ", n); };
  cases.push_back(fmt::format("conv({}, {}) {}", to_string(x), to_string(w), attrs("")));
  cases.push_back(fmt::format("conv_data_gradient({}, {}) {}", to_string(y), to_string(w),
                              attrs(sized(c.size))));
  cases.push_back(fmt::format("conv_weight_gradient({}, {}) {}", to_string(x), to_string(y),
                              attrs(sized(c.kernel))));
}

ValueId product_of_parameters(Builder& b, const Type& type, const std::string& name) {
  ValueId x = b.parameter(type, name), y = b.parameter(type, name + "_scale");
  return b.op(Opcode::mul, {x, y});
}

void make_narrow(std::vector<std::string>& cases) {
  for (std::string& text : cases)
    for (size_t at = 0; (at = text.find("f32[", at)) != std::string::npos; at += 5)
      text.replace(at, 3, "bf16");
}

}  // namespace

Function contract_kernel(const std::string& text, Fused fused) {
  Example example = parse_example(text);
  Function kernel;
  kernel.kind = FunctionKind::kernel;
  kernel.name = "k";
  kernel.attrs.set("class", std::string("contract"));
  Builder b(kernel);
  std::vector<ValueId> operands;
  for (size_t i = 0; i < 2; ++i) {
    std::string name = i == 0 ? "a" : "b";
    bool computed = fused == Fused::prologue || fused == Fused::both;
    operands.push_back(computed ? product_of_parameters(b, example.operands[i], name)
                                : b.parameter(example.operands[i], name));
  }
  ValueId y = b.op(example.code, operands, example.attrs, "y");
  if (fused == Fused::epilogue || fused == Fused::both) {
    Type type = b.type(y);
    y = b.op(Opcode::mul, {y, b.parameter(type, "residual")});
    if (type.rank() > 0) {
      ValueId bias = b.parameter({type.dtype, {type.dims.back()}}, "bias");
      y = b.op(Opcode::add, {y, b.broadcast(bias, {type.rank() - 1}, type.dims)});
    }
  }
  b.result(y, "y");
  return kernel;
}

Function scheduled(Function kernel, const Target& target, int threads,
                   const ContractLimits& limits) {
  set_attributes(kernel, choose_contract_schedule(kernel, target, threads, limits));
  return kernel;
}

std::vector<std::string> op_examples() {
  std::vector<std::string> found;
  for (Opcode code : all_opcodes())
    if (def(code).kernel == KernelClass::contract)
      for (std::string_view line : example_lines(def(code).examples))
        found.emplace_back(line);
  return found;
}

std::vector<std::string> matrix_cases() {
  std::vector<std::string> cases;
  for (auto [m, n, k] : {std::array<int64_t, 3>{40, 48, 64},
                         {33, 70, 45},
                         {130, 143, 32},
                         {8, 300, 40},
                         {200, 17, 96},
                         {49, 16, 67},
                         {20, 530, 70}})
    for (bool ta : {false, true})
      for (bool tb : {false, true})
        cases.push_back(dot({DType::bf16, ta ? Dims{k, m} : Dims{m, k}},
                            {DType::bf16, tb ? Dims{n, k} : Dims{k, n}}, ta ? 0 : 1, tb ? 1 : 0));
  cases.insert(
      cases.end(),
      {
          "dot(bf16[3,40,64], bf16[64,48]) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]}",
          "dot(bf16[40,64], bf16[64,6,8]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
          "dot(bf16[3,64,40], bf16[48,64]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}",
          "dot(bf16[5,9,40], bf16[5,9,38]) {batch_a=[], batch_b=[], sum_a=[0,1], sum_b=[0,1]}",
          "dot(bf16[40,5,10], bf16[10,38,5]) {batch_a=[], batch_b=[], sum_a=[1,2], sum_b=[2,0]}",
      });
  return cases;
}

namespace {

// Of bf16, channels last: those convolutions and gradients of the shapes that wanted(shape, text).
template <typename Wanted>
std::vector<std::string> narrow_convolutions(const std::vector<ConvolutionShape>& shapes,
                                             Wanted wanted) {
  std::vector<std::string> cases;
  for (const ConvolutionShape& shape : shapes) {
    std::vector<std::string> all;
    append_convolutions(all, shape, true);
    for (const std::string& text : all)
      if (wanted(shape, text))
        cases.push_back(text);
  }
  make_narrow(cases);
  return cases;
}

}  // namespace

std::vector<std::string> window_cases() {
  std::vector<std::string> cases = narrow_convolutions(
      {{3, 3, 20, 9, 3, 1, 1, 1, 1},
       {5, 1, 33, 12, 5, 1, 2, 1, 1},
       {2, 6, 24, 11, 3, 2, 1, 1, 1},
       {9, 20, 33, 4, 3, 1, 1, 1, 1},
       {5, 20, 33, 7, 1, 2, 0, 1, 1},
       {4, 32, 48, 8, 3, 2, 1, 1, 1},
       {3, 32, 16, 7, 3, 1, 0, 1, 1},
       {2, 34, 18, 9, 3, 1, 2, 2, 1},
       {9, 16, 17, 7, 2, 3, 0, 1, 1},
       {2, 9, 21, 8, 3, 1, 2, 1, 1},
       {1, 64, 130, 20, 3, 1, 1, 1, 1},
       {1, 3, 18, 23, 7, 2, 3, 1, 1}},
      [](const ConvolutionShape& shape, const std::string& text) {
        bool has_columns = shape.inputs >= 8 && (shape.dilation == 1 || shape.stride == 1);
        return text.starts_with("conv(") ||
               (has_columns && text.starts_with("conv_data_gradient("));
      });
  cases.insert(cases.end(),
               {
                   "conv(bf16[4,30,16], bf16[24,16,3]) {channels_last=true, dilation=[2], "
                   "groups=1, high=[1], low=[0], stride=[3]}",
                   "conv_data_gradient(bf16[2,3,3,4,17], bf16[17,12,2,3,1]) {channels_last=true, "
                   "dilation=[1,1,1], groups=1, high=[0,1,0], low=[0,1,0], size=[6,5,4], "
                   "stride=[2,2,1]}",
                   "conv(bf16[3,8,150,12], bf16[40,12,1,3]) {channels_last=true, "
                   "dilation=[1,1], groups=1, high=[0,1], low=[0,0], stride=[1,1]}",
               });
  return cases;
}

std::vector<std::string> pixel_cases() {
  std::vector<std::string> cases =
      narrow_convolutions({{3, 3, 20, 9, 3, 1, 1, 1, 1},
                           {5, 1, 33, 12, 5, 1, 2, 1, 1},
                           {3, 6, 24, 11, 3, 2, 1, 1, 1},
                           {9, 20, 33, 4, 3, 1, 1, 1, 1},
                           {130, 20, 33, 7, 1, 2, 0, 1, 1},
                           {8, 32, 48, 8, 3, 2, 1, 1, 1},
                           {3, 34, 18, 9, 3, 1, 2, 2, 1},
                           {33, 16, 17, 7, 2, 3, 0, 1, 1},
                           {1, 64, 300, 20, 3, 1, 1, 1, 1},
                           {1, 3, 18, 23, 7, 2, 3, 1, 1}},
                          [](const ConvolutionShape&, const std::string& text) {
                            return text.starts_with("conv_weight_gradient(");
                          });
  cases.insert(cases.end(),
               {
                   "conv_weight_gradient(bf16[9,30,16], bf16[9,9,24]) {channels_last=true, "
                   "dilation=[2], groups=1, high=[1], low=[0], size=[3], stride=[3]}",
                   "conv_weight_gradient(bf16[2,4,9,6,12], bf16[2,4,9,6,40]) {channels_last=true, "
                   "dilation=[1,1,1], groups=1, high=[1,1,0], low=[0,1,0], size=[2,3,1], "
                   "stride=[1,1,1]}",
               });
  return cases;
}

std::vector<std::string> dot_cases() {
  std::vector<std::string> cases;
  std::mt19937 random(7);
  std::uniform_int_distribution<int64_t> size(1, 70);
  for (int i = 0; i < 12; ++i) {
    int64_t m = size(random), n = size(random), k = size(random);
    bool ta = i & 1, tb = i & 2;
    cases.push_back(dot({DType::f32, ta ? Dims{k, m} : Dims{m, k}},
                        {DType::f32, tb ? Dims{n, k} : Dims{k, n}}, ta ? 0 : 1, tb ? 1 : 0));
  }
  for (auto [m, n, k] : {std::array<int64_t, 3>{1, 70, 33},
                         {33, 1, 70},
                         {64, 10, 40},
                         {3, 2, 1},
                         {7, 20, 1100},
                         {20, 300, 40},
                         {1, 1, 300},
                         {130, 34, 6}})
    for (bool tb : {false, true})
      cases.push_back(
          dot({DType::f32, {m, k}}, {DType::f32, tb ? Dims{n, k} : Dims{k, n}}, 1, tb ? 1 : 0));
  cases.insert(
      cases.end(),
      {
          "dot(f64[9,20], f64[20,11]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
          "dot(i32[9,20], i32[20,19]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
          "dot(f32[3,2,17,9], f32[3,2,9,21]) {batch_a=[0,1], batch_b=[0,1], sum_a=[3], sum_b=[2]}",
          "dot(f32[3,17,2,9], f32[3,21,2,9]) {batch_a=[0,2], batch_b=[0,2], sum_a=[3], sum_b=[3]}",
          "dot(f32[3,17,9], f32[3,17,9]) {batch_a=[2], batch_b=[2], sum_a=[1], sum_b=[1]}",
          "dot(f32[5,7,40], f32[5,7,18]) {batch_a=[], batch_b=[], sum_a=[0,1], sum_b=[0,1]}",
          "dot(f32[5,7,40], f32[40,18,3]) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]}",
          "dot(f32[12], f32[9]) {batch_a=[], batch_b=[], sum_a=[], sum_b=[]}",
          "dot(f32[70], f32[70]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}",
      });
  return cases;
}

std::vector<std::string> winograd_cases() {
  std::vector<std::string> cases;
  for (const ConvolutionShape& shape : {ConvolutionShape{2, 3, 18, 6, 3, 1, 1, 1, 1},
                                        {1, 20, 17, 8, 3, 1, 1, 1, 1},
                                        {3, 33, 40, 4, 3, 1, 1, 1, 1},
                                        {2, 70, 5, 9, 3, 1, 0, 1, 1},
                                        {7, 16, 130, 3, 3, 1, 2, 1, 1}})
    append_convolutions(cases, shape, true);
  for (std::string& text : cases)
    text.replace(text.rfind('}'), 1, ", winograd=true}");
  return cases;
}

std::vector<std::string> convolution_cases() {
  std::vector<std::string> cases;
  for (const ConvolutionShape& shape : {ConvolutionShape{2, 3, 18, 6, 3, 1, 1, 1, 1},
                                        {2, 1, 17, 8, 5, 1, 2, 1, 1},
                                        {1, 18, 17, 7, 3, 2, 1, 1, 1},
                                        {2, 8, 16, 5, 1, 1, 0, 1, 1},
                                        {2, 8, 16, 5, 1, 2, 0, 1, 1},
                                        {1, 3, 20, 7, 3, 1, 2, 2, 1},
                                        {2, 16, 18, 3, 3, 1, 1, 1, 1},
                                        {2, 8, 32, 4, 3, 1, 1, 1, 2},
                                        {2, 6, 6, 7, 3, 1, 1, 1, 6},
                                        {1, 4, 2, 9, 3, 2, 1, 1, 1},
                                        {1, 2, 18, 8, 7, 3, 3, 1, 1}})
    append_convolutions(cases, shape, false);
  for (const ConvolutionShape& shape : {ConvolutionShape{2, 3, 18, 6, 3, 1, 1, 1, 1},
                                        {5, 1, 17, 8, 5, 1, 2, 1, 1},
                                        {5, 18, 17, 7, 3, 2, 1, 1, 1},
                                        {9, 8, 16, 5, 1, 2, 0, 1, 1},
                                        {4, 12, 20, 6, 3, 1, 2, 2, 1},
                                        {6, 4, 9, 8, 3, 2, 1, 2, 1},
                                        {4, 16, 18, 7, 3, 2, 2, 2, 1},
                                        {5, 16, 18, 3, 3, 1, 1, 1, 1},
                                        {4, 6, 17, 7, 2, 3, 0, 1, 1},
                                        {4, 5, 19, 6, 3, 1, 2, 1, 1},
                                        {4, 8, 32, 4, 3, 1, 1, 1, 2},
                                        {4, 18, 18, 7, 3, 1, 1, 1, 18},
                                        {2, 20, 40, 5, 3, 2, 1, 1, 20},
                                        {1, 2, 18, 8, 7, 3, 3, 1, 1},
                                        {18, 9, 9, 4, 3, 1, 1, 1, 9},
                                        {3, 20, 20, 9, 5, 2, 2, 1, 20},
                                        {2, 17, 17, 11, 3, 3, 2, 2, 17},
                                        {2, 16, 16, 7, 2, 3, 0, 1, 16}})
    append_convolutions(cases, shape, true);
  cases.insert(
      cases.end(),
      {
          // Few channels of wide images: the middle of a row meets no padding.
          "conv(f32[2,4,13,70], f32[3,4,3,5]) {dilation=[1,1], groups=1, high=[1,2], low=[1,2], "
          "stride=[1,1]}",
          "conv(f32[1,2,9,120], f32[5,2,3,3]) {dilation=[1,2], groups=1, high=[1,0], low=[2,3], "
          "stride=[2,2]}",
          "conv_data_gradient(f32[2,3,13,70], f32[3,4,3,5]) {dilation=[1,1], groups=1, "
          "high=[1,2], low=[1,2], size=[13,70], stride=[1,1]}",
          "conv(f32[3,9,20], f32[20,1,3]) {channels_last=true, dilation=[1], groups=20, high=[1], "
          "low=[1], stride=[2]}",
          "conv_data_gradient(f32[3,5,20], f32[20,1,3]) {channels_last=true, dilation=[1], "
          "groups=20, high=[1], low=[1], size=[9], stride=[2]}",
          "conv_weight_gradient(f32[3,9,20], f32[3,5,20]) {channels_last=true, dilation=[1], "
          "groups=20, high=[1], low=[1], size=[3], stride=[2]}",
          "conv_data_gradient(bf16[2,2,3,2,17], bf16[17,1,2,3,2]) {channels_last=true, "
          "dilation=[1,1,1], groups=17, high=[0,1,1], low=[0,1,0], size=[4,5,4], stride=[2,2,2]}",
          "conv_weight_gradient(f64[2,4,5,4,9], f64[2,2,3,2,9]) {channels_last=true, "
          "dilation=[1,1,1], groups=9, high=[0,1,1], low=[0,1,0], size=[2,3,2], stride=[2,2,2]}",
      });
  return cases;
}

std::vector<Tensor> random_arguments(const Function& kernel, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> uniform(-8, 8);
  std::vector<Tensor> arguments;
  for (const Parameter& parameter : kernel.parameters) {
    const Type& type = kernel.type(parameter.value);
    Tensor x{type, std::vector<double>(static_cast<size_t>(type.elements()))};
    for (double& value : x.data)
      value = is_float(type.dtype) ? uniform(random) / 8.0 : uniform(random);
    arguments.push_back(std::move(x));
  }
  return arguments;
}

}  // namespace gradc::test
