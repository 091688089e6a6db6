#include "ir/magnitude.h"

#include <array>
#include <catch2/catch.hpp>
#include <cmath>

#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/op_def.h"
#include "ir/print.h"
#include "tests/support/feed.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Type kRow{DType::f32, {4}};

// Some value made of parameters and numbers.
ValueId random_value(Builder& b, Feed& feed, int depth) {
  int64_t choice = depth == 0 ? feed.below(2) : feed.below(9);
  if (choice == 0)
    return b.parameter(kRow, "x");
  if (choice == 1)
    return b.constant(kRow, static_cast<double>(feed.below(9)) / 4 - 1);
  ValueId x = random_value(b, feed, depth - 1);
  if (choice == 8)
    return b.shift(b.op(Opcode::abs, {x}), static_cast<double>(feed.below(9)) / 4 - 1);
  if (choice >= 6)
    return b.op(choice == 6 ? Opcode::add : Opcode::mul, {x, random_value(b, feed, depth - 1)});
  constexpr std::array kUnary = {Opcode::abs, Opcode::relu, Opcode::neg, Opcode::tanh};
  return b.op(kUnary[static_cast<size_t>(choice - 2)], {x});
}

}  // namespace

TEST_CASE("no element is nearer to 0 than its bound", "[magnitude]") {
  Feed feed(3);
  int bounded = 0;
  for (int i = 0; i < 3000; ++i) {
    Function function;
    Builder b(function);
    ValueId value = random_value(b, feed, 4);
    double least = least_magnitude(function, value);
    b.result(value);
    std::vector<Tensor> arguments;
    for (const Parameter& parameter : function.parameters) {
      Tensor x{function.type(parameter.value), {}};
      for (int element = 0; element < 4; ++element)
        x.data.push_back(static_cast<double>(feed.below(17)) / 4 - 2);
      arguments.push_back(std::move(x));
    }
    bounded += least > 0 && !arguments.empty();
    INFO(print(function));
    Tensor result = eval_closed(Module{}, function, arguments)[0];
    for (double element : result.data)
      REQUIRE(std::abs(element) >= least);
  }
  CHECK(bounded > 100);
}

TEST_CASE("a quotient's error grows where its divisor is small here and not there", "[magnitude]") {
  Function function;
  Builder b(function);
  ValueId x = b.parameter(kRow, "x"), known = b.parameter(kRow, "known");
  set_least_magnitude(function, known, 0.5);
  CHECK(std::isinf(growth_of_quotient(function, x)));
  CHECK(growth_of_quotient(function, b.constant(kRow, 1e-6)) == 1);
  CHECK(std::isinf(growth_of_quotient(function, b.constant(kRow, 0))));
  CHECK(growth_of_quotient(function, known) == 2);
  CHECK(growth_of_quotient(function, b.shift(b.op(Opcode::abs, {x}), 0.01)) == Approx(100));
  CHECK(growth_of_quotient(function, b.op(Opcode::exp, {x})) == 1);
}
