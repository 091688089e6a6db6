#include "tests/support/native_check.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>

#include "ir/eval.h"
#include "ir/parse.h"
#include "tests/support/native.h"

namespace gradc::test {
namespace {

void check_close(const std::vector<Tensor>& results, const std::vector<Tensor>& expected) {
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    double largest = 1, worst = 0;
    for (double value : expected[i].data)
      largest = std::max(largest, std::abs(value));
    for (size_t k = 0; k < expected[i].data.size(); ++k)
      worst = std::max(worst, std::abs(results[i].data[k] - expected[i].data[k]));
    INFO("result " << i << ": off by " << worst << " of " << largest);
    CHECK(worst <= 4e-6 * largest);
  }
}

}  // namespace

Function parse_function(const std::string& text) {
  return parse_module("module @m\n" + text, "kernel.ir").functions.at(0);
}

std::vector<Tensor> arguments_for(const Function& function) {
  uint64_t state = 11;
  std::vector<Tensor> arguments;
  for (const Parameter& parameter : function.parameters) {
    const Type& type = function.type(parameter.value);
    Tensor tensor{type, std::vector<double>(static_cast<size_t>(type.elements()))};
    for (double& x : tensor.data) {
      state = state * 6364136223846793005 + 1442695040888963407;
      auto number = static_cast<int64_t>(state >> 52);
      x = is_float(type.dtype) ? static_cast<double>(number - 2048) / 1024
                               : static_cast<double>(number % 5);
    }
    arguments.push_back(std::move(tensor));
  }
  return arguments;
}

void check_native(const std::string& text) {
  INFO(text);
  Function function = parse_function(text);
  std::vector<Tensor> arguments = arguments_for(function);
  std::vector<Tensor> results = run_native(function, arguments);
  check_close(results, eval_closed(Module{}, function, arguments));
  check_close(run_native(function, arguments, "x86-64-v3"), results);
  std::vector<Tensor> threaded = run_native(function, arguments, "native", 2);
  for (size_t i = 0; i < results.size(); ++i)
    CHECK(threaded[i].data == results[i].data);
}

}  // namespace gradc::test
