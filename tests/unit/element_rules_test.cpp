// The element rules of the op table, as loops, against the evaluator.
#include <catch2/catch.hpp>

#include "compiler/lower/lower.h"
#include "ir/builder.h"
#include "ir/eval.h"
#include "ir/op_def.h"
#include "tests/support/feed.h"
#include "tests/support/gradient.h"
#include "tests/support/run_loops.h"
#include "tests/support/window_examples.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// A map kernel that is the example's op alone.
Function kernel_of(const Example& example) {
  Function kernel;
  kernel.kind = FunctionKind::kernel;
  kernel.name = "k";
  kernel.attrs = {{"class", std::string("map")}};
  Builder b(kernel);
  std::vector<ValueId> operands;
  for (const Type& type : example.operands)
    operands.push_back(b.parameter(type, "x"));
  for (ValueId result : b.op_multi(example.code, operands, example.attrs))
    b.result(result, "y");
  return kernel;
}

// run_loops computes in double and fails on any access outside of a buffer.
void check_element_rule(const Example& example, uint64_t seed) {
  Feed feed(seed);
  std::vector<Tensor> operands = operands_for(example, feed);
  std::vector<std::vector<double>> data;
  for (const Tensor& operand : operands)
    data.push_back(operand.data);
  Function kernel = kernel_of(example);
  std::vector<Tensor> expected = eval_closed(Module{}, kernel, operands);
  std::vector<std::vector<double>> results = run_loops(lower(kernel, Target{}, 1), data);
  REQUIRE(results.size() == expected.size());
  for (size_t i = 0; i < results.size(); ++i)
    for (size_t k = 0; k < results[i].size(); ++k) {
      INFO("element " << k);
      if (example.code == Opcode::random_uniform)
        CHECK(results[i][k] == expected[i].data[k]);
      CHECK(difference(results[i][k], expected[i].data[k]) < 1e-12);
    }
}

}  // namespace

TEST_CASE("element rules give what the evaluator gives", "[lower][ops]") {
  for (Opcode code : all_opcodes())
    for (std::string_view line : example_lines(def(code).examples)) {
      INFO(line);
      if (def(code).element)
        check_element_rule(parse_example(line), 1);
    }
}

TEST_CASE("windows of all kinds are read inside of their bounds", "[lower][ops]") {
  Feed feed(7);
  for (int i = 0; i < 300; ++i) {
    Example example = random_window(feed);
    INFO(to_string(example.operands[0]) << " " << to_string(example.attrs));
    check_element_rule(example, 8);
    Type windows = infer_types(example.code, example.operands, example.attrs)[0];
    example.code = Opcode::window_max_scatter;
    example.operands.push_back(windows);
    check_element_rule(example, 9);
    example.code = Opcode::window_max_gather;
    example.operands[1] = example.operands[0];
    check_element_rule(example, 10);
    example.code = Opcode::window_sum;
    example.operands.pop_back();
    example.attrs.set("base_dilation", std::vector{1 + feed.below(4)});
    check_element_rule(example, 11);
  }
}
