// Native code against the evaluator, for every example of the op table.
#include <catch2/catch.hpp>
#include <cmath>

#include "ir/eval.h"
#include "ir/op_def.h"
#include "tests/support/feed.h"
#include "tests/support/native.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// What rounding may cost: a few units in the last place of the largest term, which the feeds keep
// near 1.
double tolerance(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return 1e-12;
    case DType::f32:
      return 2e-6;
    case DType::f16:
      return 4e-3;
    case DType::bf16:
      return 3e-2;
    default:
      return 0;
  }
}

void check_equal(const std::vector<Tensor>& results, const std::vector<Tensor>& expected) {
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    REQUIRE(results[i].type == expected[i].type);
    for (size_t k = 0; k < results[i].data.size(); ++k) {
      double x = results[i].data[k], y = expected[i].data[k];
      INFO("element " << k << ": " << x << ", expected " << y);
      CHECK(std::abs(x - y) <= tolerance(results[i].type.dtype) * std::max(1.0, std::abs(y)));
    }
  }
}

}  // namespace

TEST_CASE("every op computes natively what it evaluates to", "[native]") {
  for (Opcode code : all_opcodes()) {
    if (def(code).kernel == KernelClass::control)
      continue;
    for (std::string_view line : example_lines(def(code).examples)) {
      INFO(line);
      Example example = parse_example(line);
      Feed feed(1);
      std::vector<Tensor> operands = operands_for(example, feed);
      Function function = function_of(example);
      std::vector<Tensor> expected = eval_closed(Module{}, function, operands);
      for (const char* cpu : {"native", "x86-64-v3", "x86-64-v2"}) {
        INFO(cpu);
        check_equal(run_native(function, operands, cpu), expected);
      }
    }
  }
}
