// Native code against the evaluator for every element type that an op's shape rule accepts.
#include <catch2/catch.hpp>
#include <cmath>
#include <limits>
#include <set>

#include "ir/eval.h"
#include "ir/op_def.h"
#include "tests/support/feed.h"
#include "tests/support/native.h"

using namespace gradc;
using namespace gradc::test;

namespace {

constexpr DType kDTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i8,
                             DType::u8,  DType::i16, DType::i32, DType::i64,  DType::boolean};

// A unit in the last place of numbers from 1 to 2, and some where every step is rounded.
double tolerance(DType dtype, bool in_steps) {
  switch (dtype) {
    case DType::f64:
      return 1e-12;
    case DType::f32:
      return 2e-6;
    case DType::f16:
      return in_steps ? 8e-3 : 1e-3;
    case DType::bf16:
      return in_steps ? 6e-2 : 8e-3;
    default:
      return 0;
  }
}

bool accepts(const Example& example) {
  try {
    infer_types(example.code, example.operands, example.attrs);
    return true;
  } catch (const UserError&) {
    return false;
  }
}

std::string text_of(const Example& example) {
  std::string text(def(example.code).name);
  for (const Type& type : example.operands)
    text += " " + to_string(type);
  return text + to_string(example.attrs);
}

void check_native(const Example& example) {
  INFO(text_of(example));
  Feed feed(1);
  std::vector<Tensor> operands;
  for (const Tensor& operand : operands_for(example, feed))
    operands.push_back(as_stored(operand));
  Function function = function_of(example);
  std::vector<Tensor> expected = eval_closed(Module{}, function, operands);
  std::vector<Tensor> results = run_native(function, operands);
  REQUIRE(results.size() == expected.size());
  KernelClass kernel = def(example.code).kernel;
  bool in_steps = kernel == KernelClass::composite || kernel == KernelClass::custom;
  for (size_t i = 0; i < results.size(); ++i) {
    REQUIRE(results[i].type == expected[i].type);
    double limit = tolerance(results[i].type.dtype, in_steps);
    for (size_t k = 0; k < results[i].data.size(); ++k) {
      double x = results[i].data[k], y = expected[i].data[k];
      INFO("element " << k << ": " << x << ", expected " << y);
      CHECK(std::abs(x - y) <= limit * std::max(1.0, std::abs(y)));
    }
  }
}

// The example with another element type in place of `from`, wherever that stands among the
// operands.
Example with_operands(Example example, DType from, DType to) {
  for (Type& type : example.operands)
    if (type.dtype == from)
      type.dtype = to;
  return example;
}

std::vector<Example> variants(const Example& example) {
  std::vector<Example> result;
  std::set<DType> held;
  for (const Type& type : example.operands)
    held.insert(type.dtype);
  for (DType from : held)
    for (DType to : kDTypes)
      if (to != from)
        result.push_back(with_operands(example, from, to));
  if (example.attrs.has("dtype"))
    for (DType to : kDTypes) {
      result.push_back(example);
      result.back().attrs.set("dtype", to);
    }
  return result;
}

}  // namespace

TEST_CASE("ops compute natively on every element type that they accept", "[native][types]") {
  for (Opcode code : all_opcodes()) {
    if (def(code).kernel == KernelClass::control)
      continue;
    std::set<std::string> seen;
    for (std::string_view line : example_lines(def(code).examples)) {
      Example example = parse_example(line);
      for (const Example& variant : variants(example)) {
        // One shape for each combination of types.
        std::string types = to_string(
            variant.attrs.has("dtype") ? Attr(variant.attrs.dtype("dtype")) : Attr(false));
        for (const Type& type : variant.operands)
          types += name_of(type.dtype);
        if (accepts(variant) && seen.insert(types).second)
          check_native(variant);
      }
    }
  }
}

TEST_CASE("casts of floats take the nearest whole number that fits", "[native][types]") {
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<double> values = {
      std::nan(""), inf,  -inf, 1e30,   -1e30,  3e9, -3e9, 70000.5, -70000.5, 300.9, 255.9,
      128.5,        -0.9, -1.5, -128.9, -129.5, 0,   0.9,  1.5,     2.5,      65504, -32769};
  while (values.size() < 71)
    values.push_back(static_cast<double>(values.size()));
  for (DType from : {DType::f32, DType::f64, DType::f16})
    for (DType to : {DType::i8, DType::u8, DType::i16, DType::i32, DType::i64, DType::boolean}) {
      Example example{Opcode::cast, {{from, {71}}}, {{"dtype", to}}};
      INFO(text_of(example));
      Function function = function_of(example);
      std::vector<Tensor> x = {as_stored({{from, {71}}, values})};
      CHECK(run_native(function, x)[0].data == eval_closed(Module{}, function, x)[0].data);
    }
}

TEST_CASE("casts to f16 round ties to even", "[native][types]") {
  std::vector<double> values = {2049,          2051,        65519,        65520,       -65520,
                                0x1p-24,       0x1p-25,     0x1.8p-25,    0x1.8p-24,   1 + 0x1p-11,
                                1 + 0x1.8p-10, 1 + 0x3p-11, -0x1.ffep-15, 0x1.ffdp-15, 0.1};
  for (DType from : {DType::f32, DType::f64, DType::i32}) {
    if (from == DType::i32)
      values = {2049, 2051, 4098, 4102, 65519, 65520, -2051, 7};
    Type type{from, {static_cast<int64_t>(values.size())}};
    Example example{Opcode::cast, {type}, {{"dtype", DType::f16}}};
    std::vector<Tensor> x = {as_stored({type, values})};
    Tensor expected = as_stored({{DType::f16, type.dims}, x[0].data});
    for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"})
      CHECK(run_native(function_of(example), x, cpu)[0].data == expected.data);
  }
}

TEST_CASE("integers divide toward zero and wrap", "[native][types]") {
  for (DType dtype : {DType::i8, DType::i16, DType::i32}) {
    double least = -std::exp2(static_cast<double>(8 * byte_size(dtype) - 1));
    Type type{dtype, {8}};
    std::vector<Tensor> x = {{type, {7, -7, 7, -7, 5, least, least, 0}},
                             {type, {2, 2, -2, -2, 0, -1, 0, 3}}};
    Example example{Opcode::div, {type, type}, {}};
    std::vector<double> expected = {3, -3, -3, 3, 5, least, least, 0};
    CHECK(eval_closed(Module{}, function_of(example), x)[0].data == expected);
    CHECK(run_native(function_of(example), x)[0].data == expected);
  }
}

// Sizes that fill vectors and leave a rest, of register tiles too.
TEST_CASE("long rows compute natively on every element type", "[native][types]") {
  for (std::string_view line : {
           "add(f32[3,71], f32[3,71])",
           "mul(f32[3,71], f32[3,71])",
           "maximum(f32[3,71], f32[3,71])",
           "abs(f32[213])",
           "less(f32[3,71], f32[3,71])",
           "equal(f32[3,71], f32[3,71])",
           "select(bool[3,71], f32[3,71], f32[3,71])",
           "reduce_sum(f32[9,71]) {axes=[0]}",
           "reduce_sum(f32[9,71]) {axes=[1]}",
           "reduce_max(f32[9,71]) {axes=[0]}",
           "reduce_min(f32[9,71]) {axes=[0,1]}",
           "reduce_prod(f32[9,71]) {axes=[1]}",
           "reduce_prod(f32[9,71]) {axes=[0]}",
           "mod(f32[3,71], f32[3,71])",
           "fmod(f32[3,71], f32[3,71])",
           "arg_max(f32[9,71]) {axis=1}",
           "arg_min(f32[9,71]) {axis=1, last=true}",
           "broadcast(f32[71]) {axes=[1], shape=[3,71]}",
           "transpose(f32[37,71]) {permutation=[1,0]}",
           "concat(f32[3,40], f32[3,71]) {axis=1}",
           "pad(f32[3,71]) {high=[0,5], low=[1,3], value=2.0}",
           "slice(f32[3,71]) {begin=[0,3], end=[3,70], step=[1,2]}",
           "reverse(f32[3,71]) {axes=[1]}",
           "gather(f32[50,71], i32[9]) {axis=0}",
           "gather(f32[3,100], i32[71]) {axis=1}",
           "scatter_add(i32[9], f32[9,71]) {axis=0, size=6}",
           "gather_elements(f32[9,71], i32[5,71]) {axis=0}",
           "gather_elements(f32[3,71], i32[3,40]) {axis=1}",
           "gather_nd(f32[9,71,3], i64[40,2])",
           "scatter(f32[6,71], i32[9], f32[9,71]) {axis=0, reduction=\"none\"}",
           "scatter_elements(f32[9,71], i32[5,70], f32[5,70]) {axis=0, reduction=\"add\"}",
           "scatter_elements(f32[40,9], i32[39,3], f32[39,3]) {axis=1, reduction=\"max\"}",
           "scatter_nd(f32[9,71], i64[40,2], f32[40]) {reduction=\"min\"}",
           "top_k(f32[3,90]) {axis=1, k=5, largest=true}",
           "top_k(f32[40,7]) {axis=1, k=3, largest=false}",
           "top_k(f32[7,40]) {axis=0, k=3, largest=true}",
           "window_max_gather(f32[9,40], f32[9,40]) {dilation=[2,2], high=[1,1], low=[1,1], "
           "stride=[2,1], window=[3,2]}",
           "cumulative_sum(f32[3,71]) {axis=1, exclusive=false, reverse=false}",
           "cumulative_sum(f32[9,71]) {axis=0, exclusive=true, reverse=true}",
           "one_hot(i32[71]) {dtype=f32, size=9}",
           "window_max(f32[2,9,40]) {high=[0,0], low=[1,1], stride=[2,1], window=[3,3]}",
           "window_sum(f32[2,9,40]) {high=[0,0], low=[1,1], stride=[2,1], window=[3,3]}",
           "dot(f32[37,19], f32[19,71]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
           "dot(f32[37,90], f32[3,90]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}",
           "dot(f32[3,19,5], f32[3,19,40]) {batch_a=[0], batch_b=[0], sum_a=[1], sum_b=[1]}",
           "conv(f32[2,3,9,40], f32[20,3,3,3]) {dilation=[1,1], groups=1, high=[1,1], low=[1,1], "
           "stride=[1,1]}",
           "softmax(f32[3,71]) {axis=1}",
           "layer_norm(f32[3,71], f32[71], f32[71]) {axes=[1], epsilon=1e-05}",
       }) {
    Example example = parse_example(line);
    check_native(example);
    for (const Example& variant : variants(example))
      if (accepts(variant))
        check_native(variant);
  }
}
