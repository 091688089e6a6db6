#include <catch2/catch.hpp>
#include <string>

#include "ir/diagnostic.h"
#include "ir/eval.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

const std::string kMlp = R"(module @mlp
param @w: f32[3,2] {frozen=true} loc "mlp.model:2"
buffer @mean: f32[2]

func @square(%x: f32[4,2]) {
forward:
  %y: f32[4,2] = mul(%x, %x)
  return %y
}

entry @infer(%x: f32[4,3], %w: f32[3,2] = @w) arena 128 {
forward:
  %z: f32[4,2] @0 = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]} loc "mlp.model:4:7"
  %y: f32[4,2] @64 = call @square(%z)
update:
  %mean: f32[2] = reduce_sum(%y) {axes=[0]}
  return y=%y, %mean -> @mean
}
)";

std::string error_of(const std::string& text) {
  try {
    verify(parse_module(text, "t.ir"));
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

std::string in_function(const std::string& line) {
  return "module @m\nfunc @f(%x: f32[2,3]) {\n  " + line + "\n  return %x\n}\n";
}

}  // namespace

TEST_CASE("a module prints as it was written", "[text]") {
  Module module = parse_module(kMlp, "mlp.ir");
  verify(module);
  CHECK(print(module) == kMlp);
}

TEST_CASE("the evaluator runs calls and stores tied results", "[eval]") {
  Module module = parse_module(kMlp, "mlp.ir");
  State state = {{"w", {{DType::f32, {3, 2}}, {1, 2, 3, 4, 5, 6}}}, {"mean", {{DType::f32, {2}}, {0, 0}}}};
  Tensor x{{DType::f32, {4, 3}}, {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1}};
  std::vector<Tensor> y = eval(module, module.function("infer"), {&x, 1}, state);
  CHECK(y[0].data == std::vector<double>{1, 4, 9, 16, 25, 36, 81, 144});
  CHECK(state["mean"].data == std::vector<double>{116, 200});
}

TEST_CASE("errors of the text form say where, what was seen and what to do", "[text]") {
  CHECK(error_of(in_function("%y = tahn(%x)")) ==
        "t.ir:3:8: error: unknown op `tahn`; did you mean `tanh`?\n    %y = tahn(%x)\n         ^");
  CHECK(error_of(in_function("%y: f32[3] = tanh(%x)")) ==
        "t.ir:3:3: error: %y is written as f32[3], but `tanh` gives f32[2,3]\n    %y: f32[3] = tanh(%x)\n    ^");
  CHECK(error_of(in_function("%y = add(%x, %z)")).find("t.ir:3:16: error: %z is not defined above") == 0);
  CHECK(error_of(in_function("%y = add(%x)")).find("`add` takes 2 operands, got 1") != std::string::npos);
  CHECK(error_of(in_function("%y = reduce_sum(%x) {axes=[2]}")).find("must rise and lie in [0, 2)") !=
        std::string::npos);
  CHECK(error_of(in_function("%y = reduce_sum(%x) {axis=[0]}")).find("has no attribute `axis`") != std::string::npos);
  CHECK(error_of(in_function("%y: f32[2,3] = call @g(%x)")).find("has no function @g") != std::string::npos);
  CHECK(error_of("module @m\nfunc @f(%x: f33[2]) {").find("unknown element type `f33`") != std::string::npos);
}
