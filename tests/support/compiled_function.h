#pragma once
// Functions of f32 as machine code, against double precision.
#include <bit>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "ir/builder.h"
#include "tests/support/native.h"

namespace gradc::test {

inline constexpr int64_t kBatch = 1 << 15;
inline const double kInfinity = std::numeric_limits<double>::infinity();

// A function of single elements.
class CompiledFunction {
 public:
  using Make = std::function<ValueId(Builder& b, const std::vector<ValueId>& operands)>;
  CompiledFunction(int operand_count, const Make& make, const std::string& cpu) {
    Function function;
    function.name = "f";
    Builder b(function);
    std::vector<ValueId> operands;
    for (int i = 0; i < operand_count; ++i)
      operands.push_back(b.parameter(type_, "x"));
    b.result(make(b, operands), "y");
    CodegenOptions options = codegen_options(cpu);
    code_ = std::make_unique<JitModule>(planned_module(function, options), options);
  }

  // At most kBatch elements each.
  std::vector<double> operator()(std::initializer_list<std::vector<double>> operands) const {
    size_t count = operands.begin()->size();
    std::vector<Tensor> arguments;
    for (const std::vector<double>& x : operands) {
      arguments.push_back({type_, x});
      arguments.back().data.resize(kBatch, 1.0);
    }
    std::vector<double> y = run_entry(*code_->get(), arguments)[0].data;
    y.resize(count);
    return y;
  }

 private:
  Type type_{DType::f32, {kBatch}};
  std::unique_ptr<JitModule> code_;
};

// |y - exact| in units of the last place of `exact` as f32.
inline double ulps(double y, double exact) {
  if (std::isnan(exact) || std::isnan(y))
    return std::isnan(exact) == std::isnan(y) ? 0 : kInfinity;
  auto rounded = static_cast<float>(exact);
  if (std::isinf(rounded) || std::isinf(y))
    return y == rounded || std::abs(exact) > 3.4028234e38 ? 0 : kInfinity;
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::abs(y - exact) / std::ldexp(1.0, std::max(exponent - 24, -149));
}

// Numbers of f32, spread over all bit patterns with denormals, infinities and NaN, and densely over
// [-100, 100].
inline std::vector<double> sample(int batch) {
  std::vector<double> x;
  auto first = static_cast<uint32_t>(batch);
  for (uint32_t i = 0; i < kBatch / 2; ++i)
    x.push_back(std::bit_cast<float>((i << 18) + first * 7919u + (i & 7)));
  for (uint32_t i = 0; i < kBatch / 2; ++i) {
    double step = (i + first / 16.0) / (kBatch / 2);
    x.push_back(static_cast<float>((200 * step - 100) * (i % 3 == 0 ? 0.05 : 1)));
  }
  const float special[] = {0.0f, -0.0f, HUGE_VALF, -HUGE_VALF, NAN, 1e-45f, -1e-45f, 1.0f, -1.0f};
  std::copy(std::begin(special), std::end(special), x.begin());
  return x;
}

}  // namespace gradc::test
