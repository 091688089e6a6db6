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
  State state = {{"w", {{DType::f32, {3, 2}}, {1, 2, 3, 4, 5, 6}}},
                 {"mean", {{DType::f32, {2}}, {0, 0}}}};
  Tensor x{{DType::f32, {4, 3}}, {1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1}};
  std::vector<Tensor> y = eval(module, module.function("infer"), {&x, 1}, state);
  CHECK(y[0].data == std::vector<double>{1, 4, 9, 16, 25, 36, 81, 144});
  CHECK(state["mean"].data == std::vector<double>{116, 200});
}

TEST_CASE("errors of the text form say where, what was seen and what to do", "[text]") {
  CHECK(error_of(in_function("%y = tahn(%x)")) ==
        "t.ir:3:8: error: unknown op `tahn`; did you mean `tanh`?\n    %y = tahn(%x)\n         ^");
  CHECK(error_of(in_function("%y: f32[3] = tanh(%x)")) ==
        "t.ir:3:3: error: %y is written as f32[3], but `tanh` gives f32[2,3]\n    %y: f32[3] = "
        "tanh(%x)\n    ^");
  CHECK(
      error_of(in_function("%y = add(%x, %z)")).find("t.ir:3:16: error: %z is not defined above") ==
      0);
  CHECK(error_of(in_function("%y = add(%x)")).find("`add` takes 2 operands, got 1") !=
        std::string::npos);
  CHECK(
      error_of(in_function("%y = reduce_sum(%x) {axes=[2]}")).find("must rise and lie in [0, 2)") !=
      std::string::npos);
  CHECK(error_of(in_function("%y = reduce_sum(%x) {axis=[0]}")).find("has no attribute `axis`") !=
        std::string::npos);
  CHECK(error_of(in_function("%y: f32[2,3] = call @g(%x)")).find("has no function @g") !=
        std::string::npos);
  CHECK(error_of("module @m\nfunc @f(%x: f33[2]) {").find("unknown element type `f33`") !=
        std::string::npos);
}

TEST_CASE("attributes of calls and scans are checked as those of other ops", "[text]") {
  auto with_scan = [](const std::string& attrs) {
    return error_of(
        "module @m\nfunc @b(%c: f32[2], %s: f32[2]) { return %c, %s }\n"
        "entry @e(%c: f32[2], %s: f32[3,2]) {\n"
        "  %d: f32[2], %t: f32[3,2] = scan @b(%c, %s) {" +
        attrs + "}\n  return %d, %t\n}\n");
  };
  CHECK(with_scan("carries=1, sequences=1, trips=3") == "");
  CHECK(with_scan("carries=1, sequences=1").find("`scan` needs the attribute `trips`") !=
        std::string::npos);
  CHECK(
      with_scan("carries=1, sequences=1, trips=3.0").find("attribute `trips` of `scan` is real") !=
      std::string::npos);
  // -3 + 3 and 1 - 1 must not pass for counts of operands.
  for (const char* attrs : {"carries=-3, sequences=3, trips=3", "carries=1, sequences=-1, trips=3",
                            "carries=3, sequences=-3, trips=3", "carries=1, sequences=1, trips=0"})
    CHECK(with_scan(attrs).find("trips, carries and sequences do not fit") != std::string::npos);
}

TEST_CASE("offsets lie inside of the arena, whatever is written", "[text]") {
  auto placed = [](const std::string& arena, const std::string& offset) {
    return error_of("module @m\nentry @e(%x: f32[4]) arena " + arena + " {\n  %y: f32[4] @" +
                    offset + " = tanh(%x)\n  return %y\n}\n");
  };
  CHECK(placed("64", "48") == "");
  for (const char* offset : {"49", "-1", "9223372036854775807"})
    CHECK(placed("64", offset).find("lies outside of the arena") != std::string::npos);
  CHECK(placed("-64", "0").find("t.ir:2:28: error: an arena has -64 bytes") == 0);
}

TEST_CASE("sizes that would overflow are errors at their op", "[text]") {
  auto error = [](const std::string& line) { return error_of(in_function(line)); };
  CHECK(error_of("module @m\nfunc @f(%x: f32[2,2147483648]) {")
            .find("t.ir:2:13: error: f32[2,2147483648] has a size of 2147483648") == 0);
  CHECK(error_of("module @m\nfunc @f(%x: f32[-2]) {").find("has a size of -2") !=
        std::string::npos);
  CHECK(error_of("module @m\nfunc @f(%x: f32[2147483647,2147483647,2147483647]) {")
            .find("more than 2^40 elements") != std::string::npos);
  CHECK(error("%y = constant() {dtype=f32, shape=[9223372036854775807], value=0.0}")
            .find("attribute `shape` of `constant` holds 9223372036854775807") !=
        std::string::npos);
  CHECK(error("%y = constant() {dtype=f32, shape=[2147483647,2147483647], value=0.0}")
            .find("more than 2^40 elements") != std::string::npos);
  CHECK(error("%y = pad(%x) {low=[0,0], high=[0,0], interior=[2147483647,2147483647], value=0.0}")
            .find("has a size of 2147483649") != std::string::npos);
  CHECK(error("%y = reshape(%x) {shape=[2147483647,2147483647,2147483647]}") != "");
  for (const char* op : {"conv(%i, %w) {", "conv_data_gradient(%i, %w) {size=[3], "})
    CHECK(error("%i = constant() {dtype=f32, shape=[1,2,3], value=0.0}\n"
                "  %w = constant() {dtype=f32, shape=[2,2,3], value=0.0}\n  %y = " +
                std::string(op) +
                "dilation=[1], groups=4611686018427387904, high=[0], low=[0], stride=[1]}")
              .find("`groups` is 4611686018427387904, it must be from 1 to") != std::string::npos);
}
