// Lanes behind a last column, whose results nobody wants, do not compute with what happens to lie
// in the arena: denormal numbers there would take a CPU a hundred times as long. It notes operands
// that are denormal.
#include <algorithm>
#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "runtime/float_environment.h"
#include "tests/support/attention_cases.h"
#include "tests/support/native.h"
#include "tests/support/native_contract.h"

using namespace gradc;
using namespace gradc::test;

#if defined(__x86_64__)

namespace {

struct alignas(64) Line {
  uint32_t words[16];
};

std::vector<Line> lines(uint64_t bytes, uint32_t word) {
  Line line{};
  std::fill(std::begin(line.words), std::end(line.words), word);
  return std::vector<Line>(bytes / sizeof(Line) + 1, line);
}

// Whether a run whose arena is full of denormal numbers multiplies or adds one.
bool meets_denormals(const Function& function) {
  constexpr uint32_t kLeastDenormal = 1, kOne = 0x3f800000, kDenormalOperand = 2;
  CodegenOptions options = codegen_options();
  JitModule code(planned_module(function, options), options);
  const gradc_entry& entry = code.get()->entries[0];
  std::vector<std::vector<Line>> values;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  for (uint32_t i = 0; i < entry.input_count; ++i)
    inputs.push_back(values.emplace_back(lines(entry.inputs[i].bytes, kOne)).data());
  for (uint32_t i = 0; i < entry.output_count; ++i)
    outputs.push_back(values.emplace_back(lines(entry.outputs[i].bytes, 0)).data());
  std::vector<Line> arena = lines(entry.arena_bytes, kLeastDenormal);
  gradc_context context = {.arena = arena.data(),
                           .parallel_for = [](void*, int64_t count, gradc_body body,
                                              void* data) { body(data, 0, count, 0); },
                           .threads = 1};
  StrictFloats strict;
  entry.function(&context, inputs.data(), outputs.data());
  return (float_mode() & kDenormalOperand) != 0;
}

}  // namespace

TEST_CASE("idle lanes of products multiply no left-overs", "[native][contract]") {
  for (const char* example :
       {"conv(f32[3,1,28,28], f32[6,1,5,5]) {dilation=[1,1], groups=1, high=[2,2], low=[2,2], "
        "stride=[1,1]}",
        "conv(f32[3,28,28,1], f32[6,1,5,5]) {channels_last=true, dilation=[1,1], groups=1, "
        "high=[2,2], low=[2,2], stride=[1,1]}",
        "conv_weight_gradient(f32[3,1,28,28], f32[3,6,28,28]) {dilation=[1,1], groups=1, "
        "high=[2,2], low=[2,2], size=[5,5], stride=[1,1]}",
        "dot(f32[40,70], f32[37,70]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}",
        "dot(f32[70,40], f32[70,37]) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}",
        "dot(f32[64,512], f32[10,512]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}",
        "dot(f32[64,512], f32[512,10]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
        "dot(f32[300,700], f32[700,1003]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}",
        "dot(f32[300,700], f32[1003,700]) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}"}) {
    CAPTURE(example);
    CHECK(!meets_denormals(contract_entry(example, Fused::nothing)));
  }
}

TEST_CASE("idle lanes of attention multiply no left-overs", "[native][attention]") {
  for (int64_t positions : {7, 40, 64})
    for (bool causal : {false, true}) {
      Type type{DType::f32, {2, positions, 24}};
      AttentionCase c{.q = type, .k = type, .v = type, .mask = {}, .causal = causal};
      CAPTURE(to_string(c));
      CHECK(!meets_denormals(attention_forward(c)));
      CHECK(!meets_denormals(attention_backward(c)));
    }
}

#endif
