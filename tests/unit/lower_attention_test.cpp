// Attention's loops against the evaluator, with every access checked.
#include <catch2/catch.hpp>

#include "compiler/lower/lower.h"
#include "ir/eval.h"
#include "ir/loop_text.h"
#include "tests/support/attention_cases.h"
#include "tests/support/gradient.h"
#include "tests/support/run_loops.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const Target kWide{.vector_bytes = 64, .vector_registers = 32};
const Target kNarrow{.vector_bytes = 16, .vector_registers = 16};

void check_loops(Function kernel, const std::vector<Tensor>& operands, const Target& target,
                 int threads) {
  kernel.kind = FunctionKind::kernel;
  kernel.attrs = {{"class", std::string("custom")}};
  std::vector<Tensor> expected = eval_closed(Module{}, kernel, operands);
  loop::Kernel loops = lower(kernel, target, threads);
  std::string text = print(loops);
  CHECK(print(parse_loops(text, "kernel.loops")) == text);
  std::vector<std::vector<double>> data;
  for (const Tensor& operand : operands)
    data.push_back(operand.data);
  std::vector<std::vector<double>> results = run_loops(loops, data);
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < results.size(); ++i) {
    double worst = 0;
    for (size_t k = 0; k < results[i].size(); ++k)
      worst = std::max(worst, results[i][k] == expected[i].data[k]
                                  ? 0
                                  : difference(results[i][k], expected[i].data[k]));
    INFO("result " << i);
    CHECK(worst < 1e-12);
  }
}

void check_both(const Function& kernel, const std::vector<Tensor>& operands) {
  check_loops(kernel, operands, kWide, 2);
  check_loops(kernel, operands, kNarrow, 1);
}

}  // namespace

TEST_CASE("loops of attention compute what eval does", "[lower][attention]") {
  for (const AttentionCase& c : attention_cases()) {
    CAPTURE(to_string(c));
    check_both(attention_forward(c), forward_operands(c, 1));
  }
}

TEST_CASE("loops of attention's gradient compute what eval does", "[lower][attention]") {
  for (const AttentionCase& c : attention_cases()) {
    CAPTURE(to_string(c));
    check_both(attention_backward(c), backward_operands(c, 1));
  }
}

TEST_CASE("loops of attention need no result but those that are read", "[lower][attention]") {
  AttentionCase c = attention_cases()[3];
  Function forward = attention_forward(c), backward = attention_backward(c);
  forward.results.resize(1);
  check_both(forward, forward_operands(c, 2));
  for (size_t kept : {0, 1, 2}) {
    Function one = backward;
    one.results = {backward.results[kept]};
    check_both(one, backward_operands(c, 2));
  }
}
