// Functions made of ops against double precision: values in f32 and f64, and gradients.
#include "compiler/import/composed_functions.h"

#include <catch2/catch.hpp>
#include <numbers>

#include "ir/eval.h"
#include "tests/support/compiled_function.h"
#include "tests/support/gradient.h"

using namespace gradc;
using namespace gradc::test;

namespace {

double root(double x) {
  return std::sqrt(x);
}

struct Promise {
  const ComposedFunction& function;
  double (*exact)(double);
  double (*slope)(double);
  double ulps;
  double largest_input = kInfinity;  // in magnitude
};

const Promise kPromises[] = {
    {composed::acos, std::acos, [](double x) { return -1 / root((1 - x) * (1 + x)); }, 2.5},
    {composed::acosh, std::acosh, [](double x) { return 1 / (root(x - 1) * root(x + 1)); }, 4},
    {composed::asin, std::asin, [](double x) { return 1 / root((1 - x) * (1 + x)); }, 2.5},
    {composed::asinh, std::asinh, [](double x) { return 1 / std::hypot(1, x); }, 3},
    {composed::atanh, std::atanh, [](double x) { return 1 / ((1 - x) * (1 + x)); }, 3},
    {composed::cosh, std::cosh, std::sinh, 6},
    {composed::sinh, std::sinh, std::cosh, 4},
    {composed::tan, std::tan, [](double x) { return 1 / std::pow(std::cos(x), 2); }, 4, 1e5},
};

// All over f32 and densely over [-100, 100], near 0, and near 1 and -1.
std::vector<std::vector<double>> samples() {
  std::vector<std::vector<double>> all;
  for (int batch = 0; batch < 8; ++batch)
    all.push_back(sample(batch));
  std::vector<double> x;
  for (int i = 0; i < kBatch; ++i) {
    double u = (i + 0.5) / kBatch;
    double near = i % 2 == 0 ? 1 + (u - 0.5) * std::exp2(-i % 23) : 2.5 * u;
    x.push_back(static_cast<float>(i % 4 < 2 ? near : -near));
  }
  const float edges[] = {1,
                         -1,
                         std::nextafter(1.0f, 0.0f),
                         -std::nextafter(1.0f, 0.0f),
                         89.4f,
                         -89.4f,
                         3e38f,
                         -3e38f,
                         1.2e18f,
                         -1.2e18f,
                         1e-10f,
                         -2,
                         2};
  std::copy(std::begin(edges), std::end(edges), x.begin());
  all.push_back(x);
  return all;
}

}  // namespace

TEST_CASE("functions made of ops keep their promised errors", "[math]") {
  std::vector<std::vector<double>> all = samples();
  for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"})
    for (const Promise& promise : kPromises) {
      CompiledFunction function(
          1,
          [&](Builder& b, const std::vector<ValueId>& x) {
            return compose(promise.function, b, x[0]);
          },
          cpu);
      double worst = 0, where = 0;
      for (const std::vector<double>& x : all) {
        std::vector<double> y = function({x});
        for (size_t i = 0; i < x.size(); ++i) {
          if (std::isfinite(x[i]) && std::abs(x[i]) > promise.largest_input)
            continue;
          double exact = promise.exact(x[i]);
          bool other_zero = x[i] == 0 && std::signbit(y[i]) != std::signbit(exact);
          double error = other_zero ? kInfinity : ulps(y[i], exact);
          if (error > worst) {
            worst = error;
            where = x[i];
          }
        }
      }
      INFO(promise.function.name << " on " << cpu << ": " << worst << " ulp at " << where);
      CHECK(worst <= promise.ulps);
      CHECK(worst > 0.3);  // else the reference is not a reference
    }
}

TEST_CASE("arcs of 1 and -1 are fractions of pi", "[math]") {
  for (double x : {1.0, -1.0}) {
    CHECK(value_at(composed::asin, x) == x * std::numbers::pi / 2);
    CHECK(value_at(composed::acos, x) == (x == 1 ? 0 : std::numbers::pi));
  }
}

TEST_CASE("functions made of ops keep the digits of f64 and have their slopes", "[math]") {
  const std::vector<double> numbers = {0,   1e-12, 1e-6,     1e-3, 0.1,  0.4,  0.5,  0.7,
                                       0.9, 0.99,  1 - 1e-9, 1.1,  1.5,  3,    10.3, 45,
                                       700, 1e9,   1e17,     2e18, 1e30, 1e300};
  for (const Promise& promise : kPromises)
    for (double number : numbers)
      for (double x : {number, -number, 1 + number}) {
        double exact = promise.exact(x), slope = promise.slope(x);
        if (!std::isfinite(exact) || !std::isfinite(slope))
          continue;
        INFO(promise.function.name << " at " << x);
        double y = value_at(promise.function, x);
        CHECK(std::abs(y - exact) <= 1e-15 * std::abs(exact));
        Function f;
        Builder b(f);
        ValueId operand = b.parameter(scalar_type(DType::f64), "x");
        ValueId of = compose(promise.function, b, operand);
        b.result(append_gradients(f, of, {&operand, 1})[0]);
        Tensor argument{scalar_type(DType::f64), {x}};
        double got = eval_closed({}, f, {&argument, 1})[0].data[0];
        CHECK(std::abs(got - slope) <= 4e-15 * std::abs(slope));
      }
}

TEST_CASE("functions made of ops compute narrow floats in f32", "[math]") {
  Function f;
  Builder b(f);
  ValueId y = compose(composed::asinh, b, b.parameter({DType::f16, {2}}, "x"));
  CHECK(b.type(y).dtype == DType::f16);
  for (const Op& op : f.ops)
    if (op.code == Opcode::log1p)
      CHECK(f.type(op.operand(0)).dtype == DType::f32);
}
