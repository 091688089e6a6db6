// The polynomials against double precision: the errors that vector_math.h promises.
#include <catch2/catch.hpp>
#include <cmath>

#include "ir/op_def.h"
#include "tests/support/compiled_function.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// An elementwise op of f32 as machine code.
struct Compiled : CompiledFunction {
  Compiled(Opcode code, const std::string& cpu, const Attrs& attrs = {})
      : CompiledFunction(
            def(code).operands,
            [&](Builder& b, const std::vector<ValueId>& x) { return b.op(code, x, attrs); }, cpu) {}
};

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

struct Promise {
  Opcode code;
  double (*exact)(double);
  double ulps;
  double largest_input;  // in magnitude
};

const Promise kPromises[] = {
    {Opcode::exp, std::exp, 1, kInfinity},     {Opcode::log, std::log, 1, kInfinity},
    {Opcode::tanh, std::tanh, 2.5, kInfinity}, {Opcode::sigmoid, sigmoid, 2.5, kInfinity},
    {Opcode::erf, std::erf, 2.5, kInfinity},   {Opcode::expm1, std::expm1, 2, kInfinity},
    {Opcode::log1p, std::log1p, 2, kInfinity}, {Opcode::sin, std::sin, 2, 1e5},
    {Opcode::cos, std::cos, 2, 1e5},           {Opcode::atan, std::atan, 2, kInfinity},
};

// The op on one element.
double single(Opcode code, double x, const char* cpu, const Attrs& attrs = {}) {
  Function function;
  function.name = "f";
  Builder b(function);
  b.result(b.op(code, {b.parameter({DType::f32, {}}, "x")}, attrs), "y");
  std::vector<Tensor> one = {{{DType::f32, {}}, {static_cast<float>(x)}}};
  return run_native(function, one, cpu)[0].data[0];
}

}  // namespace

TEST_CASE("functions keep their promised errors", "[math]") {
  for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"})
    for (const Promise& promise : kPromises) {
      Compiled function(promise.code, cpu);
      double worst = 0, where = 0;
      for (int batch = 0; batch < 16; ++batch) {
        std::vector<double> x = sample(batch), y = function({x});
        for (size_t i = 0; i < x.size(); ++i) {
          double exact = promise.exact(x[i]);
          bool other_zero = x[i] == 0 && std::signbit(y[i]) != std::signbit(exact);
          double error = std::abs(x[i]) > promise.largest_input && std::isfinite(x[i])
                             ? (std::abs(y[i]) <= 1 ? 0 : kInfinity)
                         : other_zero ? kInfinity
                                      : ulps(y[i], exact);
          if (error > worst) {
            worst = error;
            where = x[i];
          }
        }
      }
      INFO(def(promise.code).name << " on " << cpu << ": " << worst << " ulp at " << where);
      CHECK(worst <= promise.ulps);
      CHECK(worst > 0.3);  // else the reference is not a reference
    }
}

TEST_CASE("powers keep their promised error", "[math]") {
  Compiled power(Opcode::pow, "native");
  std::vector<double> x, y;
  for (int i = 0; i < kBatch; ++i) {
    double u = i / static_cast<double>(kBatch),
           v = (i * 40503 % kBatch) / static_cast<double>(kBatch);
    x.push_back(static_cast<float>(std::exp((u - 0.5) * 40)));
    y.push_back(static_cast<float>((v - 0.5) * 12));
  }
  std::vector<double> z = power({x, y});
  double worst = 0;
  for (size_t i = 0; i < x.size(); ++i)
    worst = std::max(worst, ulps(z[i], std::pow(x[i], y[i])));
  CHECK(worst <= 1);
  CHECK(worst > 0.3);
}

TEST_CASE("powers of special numbers are those of C", "[math]") {
  Compiled power(Opcode::pow, "native");
  const double numbers[] = {0.0,   -0.0, 1,   -1,   2,         -2,         0.5,         -0.5,
                            3,     -3,   2.5, -2.5, 1e30,      -1e30,      16777217,    33554431,
                            1e-40, 7,    -7,  255,  kInfinity, -kInfinity, std::nan("")};
  std::vector<double> x, y;
  for (double a : numbers)
    for (double b : numbers) {
      x.push_back(static_cast<float>(a));
      y.push_back(static_cast<float>(b));
    }
  std::vector<double> z = power({x, y});
  for (size_t i = 0; i < x.size(); ++i) {
    double exact = std::pow(x[i], y[i]);
    INFO(x[i] << " ^ " << y[i] << " = " << z[i] << ", exactly " << exact);
    CHECK(ulps(z[i], exact) <= 1);
    CHECK((std::isnan(exact) || std::signbit(z[i]) == std::signbit(exact)));
  }
}

TEST_CASE("exp_normal keeps its promised error up to 88", "[math]") {
  for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"}) {
    Compiled function(Opcode::exp_normal, cpu);
    std::vector<double> x = {-kInfinity, std::nan(""), -1e30, -0.0, 0.0, 88};
    while (static_cast<int64_t>(x.size()) < kBatch)
      x.push_back(static_cast<float>(88 - 190 * static_cast<double>(x.size()) / kBatch));
    std::vector<double> y = function({x});
    for (size_t i = 0; i < x.size(); ++i) {
      INFO("exp_normal(" << x[i] << ") on " << cpu << " gives " << y[i]);
      CHECK((x[i] < -87.33655 ? y[i] == 0 : ulps(y[i], std::exp(x[i])) <= 1));
    }
  }
}

// Below -6 gelu is nearly 0: the error is small beside |x|, not beside the result.
TEST_CASE("gelu and its slope are within three units and a small part", "[math]") {
  std::vector<double> x = {0, 1e-30, -1e-30, 5.95, -5.95, 6.06, -6.06, 1e4, -1e4};
  while (static_cast<int64_t>(x.size()) < kBatch)
    x.push_back(static_cast<float>(8 - 16 * static_cast<double>(x.size()) / kBatch));
  for (bool tanh_form : {false, true})
    for (Opcode code : {Opcode::gelu, Opcode::gelu_slope})
      for (const char* cpu : {"native", "x86-64-v4", "x86-64-v3"}) {
        Attrs attrs;
        if (tanh_form)
          attrs.set("approximate", true);
        Op op{.code = code, .attrs = attrs};
        Type type{DType::f32, {kBatch}};
        std::vector<Tensor> operand = {{type, x}};
        std::vector<double> exact = def(code).eval(operand, op, std::vector<Type>{type})[0].data;
        std::vector<double> y = Compiled(code, cpu, attrs)({x});
        double part = cpu == std::string("x86-64-v3") ? 4e-7 : 5e-8, worst = 0;
        for (size_t i = 0; i < x.size(); ++i) {
          double error = std::max(0.0, std::abs(y[i] - exact[i]) - part);
          worst = std::max(worst, error / std::abs(exact[i]) * 0x1p24);
        }
        INFO(def(code).name << (tanh_form ? ", tanh form, on " : " on ") << cpu);
        CHECK(worst <= 3);
        std::vector<double> special = Compiled(code, cpu, attrs)({{kInfinity, std::nan("")}});
        CHECK(special[0] == (code == Opcode::gelu ? kInfinity : 1));
        CHECK(std::isnan(special[1]));
        for (double one : {-3.1, 0.7})
          CHECK(single(code, one, cpu, attrs) == Compiled(code, cpu, attrs)({{one}})[0]);
      }
}

TEST_CASE("sigmoid is the same for one element as for many", "[math]") {
  const std::vector<double> x = {0,  -0.0,  0.3,    -5.1, 16.7, -16.7,
                                 40, -87.3, -87.34, -95,  -104, -1e30};
  for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"}) {
    Compiled function(Opcode::sigmoid, cpu);
    std::vector<double> y = function({x});
    for (size_t i = 0; i < x.size(); ++i) {
      INFO("sigmoid(" << x[i] << ") on " << cpu);
      CHECK(single(Opcode::sigmoid, x[i], cpu) == y[i]);
    }
  }
}

TEST_CASE("erf and tanh are odd, 1 far out, and the same for one element as for many", "[math]") {
  const std::vector<double> x = {0.03, 0.5, 2.125, 3.9, 3.92, 4, 8.9, 9.02, 9.2, 1e30, kInfinity};
  for (Opcode code : {Opcode::erf, Opcode::tanh})
    for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"}) {
      Compiled function(code, cpu);
      std::vector<double> y = function({x});
      for (size_t i = 0; i < x.size(); ++i) {
        INFO(def(code).name << "(" << x[i] << ") on " << cpu << " gives " << y[i]);
        CHECK(function({{-x[i]}})[0] == -y[i]);
        if (x[i] >= (code == Opcode::erf ? 4 : 9.02))
          CHECK(y[i] == 1);
        CHECK(single(code, x[i], cpu) == y[i]);
      }
    }
}

// A query x sees keys 0 and 1 with values 0 and 1: for x <= 0 it gives e^x / (1 + e^x).
TEST_CASE("weights of attention keep the promised error of exp_normal", "[math]") {
  constexpr int64_t kQueries = 4096;
  Type queries{DType::f32, {1, kQueries, 1}}, keys{DType::f32, {1, 2, 1}};
  Function function;
  function.name = "f";
  Builder b(function);
  std::vector<ValueId> operands = {b.parameter(queries, "q"), b.parameter(keys, "k"),
                                   b.parameter(keys, "v")};
  Attrs attrs = {{"causal", false}, {"scale", 1.0}};
  b.result(b.op_multi(Opcode::attention_forward, operands, attrs)[0], "y");
  std::vector<double> x;
  for (int64_t i = 0; i < kQueries; ++i)
    x.push_back(static_cast<float>(-90.0 * static_cast<double>(i) / kQueries));
  x[1] = -kInfinity;
  for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"}) {
    std::vector<Tensor> results = run_native(
        function, std::vector<Tensor>{{queries, x}, {keys, {0, 1}}, {keys, {0, 1}}}, cpu);
    for (size_t i = 2; i < x.size(); ++i) {
      double y = results[0].data[i];
      INFO(x[i] << " on " << cpu << " gives " << y);
      CHECK((x[i] < -87.34 ? y == 0 : ulps(y, sigmoid(x[i])) <= 2.5));
    }
    CHECK(std::isnan(results[0].data[1]));  // -inf * 0, a score of the first key
  }
}
