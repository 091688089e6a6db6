// Winograd's convolutions as machine code: how far from the evaluator, which sums products in
// double precision, and the same bits for every way to split the work.
#include <catch2/catch.hpp>
#include <cmath>
#include <random>

#include "tests/support/native_contract.h"

using namespace gradc;
using test::Fused;

namespace {

// Normally distributed, as images behind a norm, weights and gradients are.
std::vector<Tensor> normal_arguments(const Function& function) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<Tensor> arguments = test::random_arguments(function, 1);
  for (Tensor& argument : arguments)
    for (double& value : argument.data)
      value = normal(random);
  return arguments;
}

struct Error {
  double largest = 0, rms_of_result = 0;
};

Error error_of(const std::string& example, Fused fused, const std::string& cpu) {
  Function entry = test::contract_entry(example, fused);
  std::vector<Tensor> arguments = normal_arguments(entry);
  Tensor result = test::run_native(entry, arguments, cpu).at(0);
  Tensor expected = eval_closed({}, entry, arguments).at(0);
  REQUIRE(result.type == expected.type);
  Error error;
  for (size_t i = 0; i < result.data.size(); ++i) {
    double difference = std::abs(result.data[i] - expected.data[i]);
    error.largest = std::isnan(difference) ? INFINITY : std::max(error.largest, difference);
    error.rms_of_result += expected.data[i] * expected.data[i];
  }
  error.rms_of_result = std::sqrt(error.rms_of_result / static_cast<double>(result.data.size()));
  return error;
}

// Runs `entry` with the tiles that `change` makes of the chosen ones.
std::vector<double> run_with(const Function& entry, std::span<const Tensor> arguments, int threads,
                             const std::function<void(WinogradSchedule&)>& change,
                             const ContractLimits& limits = {}) {
  auto change_tiles = [&](ContractSchedule& s) {
    REQUIRE(s.method == ContractMethod::winograd);
    change(s.winograd);
  };
  return test::run_with(entry, arguments, threads, change_tiles, limits);
}

constexpr const char* kAttrs =
    "{channels_last=true, dilation=[1,1], groups=1, high=[1,1], low=[1,1], stride=[1,1], "
    "winograd=true}";
constexpr const char* kSizedAttrs =
    "{channels_last=true, dilation=[1,1], groups=1, high=[1,1], low=[1,1], size=[%,%], "
    "stride=[1,1], winograd=true}";

std::string sized(const std::string& example, const std::string& size) {
  std::string attrs = kSizedAttrs;
  for (size_t at = 0; (at = attrs.find('%')) != std::string::npos;)
    attrs.replace(at, 1, size);
  return example + " " + attrs;
}

}  // namespace

TEST_CASE("Winograd's tiles compute what convolutions do", "[native][winograd]") {
  for (const std::string& example : test::winograd_cases())
    for (const char* cpu : {"native", "x86-64-v3"})
      for (Fused fused : {Fused::nothing, Fused::both}) {
        CAPTURE(example, cpu);
        Error error = error_of(example, fused, cpu);
        CHECK(error.largest < 2e-5 * error.rms_of_result);
      }
}

TEST_CASE("errors of Winograd's tiles are below 2e-5 of the rms at many channels",
          "[native][winograd]") {
  for (const std::string& example :
       {std::string("conv(f32[1,8,8,256], f32[32,256,3,3]) ") + kAttrs,
        sized("conv_data_gradient(f32[1,8,8,128], f32[128,64,3,3])", "8"),
        sized("conv_weight_gradient(f32[4,16,16,32], f32[4,16,16,32])", "3")}) {
    CAPTURE(example);
    Error error = error_of(example, Fused::nothing, "native");
    CAPTURE(error.largest / error.rms_of_result);
    CHECK(error.largest < 2e-5 * error.rms_of_result);
  }
}

TEST_CASE("blocks, threads and scratch never change a bit of Winograd's sums",
          "[native][winograd]") {
  for (const std::string& example :
       {std::string("conv(f32[4,9,8,40], f32[70,40,3,3]) ") + kAttrs,
        sized("conv_data_gradient(f32[4,8,8,70], f32[70,40,3,3])", "8"),
        sized("conv_weight_gradient(f32[4,8,8,40], f32[4,8,8,70])", "3")}) {
    CAPTURE(example);
    Function entry = test::contract_entry(example, Fused::epilogue);
    std::vector<Tensor> arguments = normal_arguments(entry);
    auto unchanged = [](WinogradSchedule&) {};
    std::vector<double> bits = run_with(entry, arguments, 1, unchanged);
    CHECK(run_with(entry, arguments, 2, unchanged) == bits);
    for (int way = 0; way < 5; ++way)
      for (int64_t inputs : {13, 40}) {
        CAPTURE(way, inputs);
        CHECK(run_with(entry, arguments, 2, [&](WinogradSchedule& s) {
                s.tiles = 4;
                s.inputs = inputs;
                s.outputs = 32;
                s.rows = 3;
                s.outputs_outside = way >= 2;
                s.keeps = way % 2 == 1 || way == 4;
                s.image_once = way == 4;
                s.parts = s.outputs_outside ? 2 : 1;
              }) == bits);
      }
    CHECK(run_with(entry, arguments, 2, unchanged, {.pass_elements = 64, .rows = 128}) == bits);
  }
}
