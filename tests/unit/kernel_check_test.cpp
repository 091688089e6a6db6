// Dumps of late stages that someone has changed: errors, before lowering takes them for its own.
#include "compiler/kernel_check.h"

#include <catch2/catch.hpp>

#include "compiler/passes/schedule.h"
#include "compiler/pipeline.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

// A product, a softmax by hand, a map and a sum along an axis: one kernel of each class.
constexpr const char* kText = R"(module @m
entry @infer(%x: f32[8,16], %w: f32[4,16]) {
  %z: f32[8,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %e: f32[8,4] = exp(%z)
  %s: f32[8] = reduce_sum(%e) {axes=[1]}
  %c: f32[8,4] = cumulative_sum(%e) {axis=1, exclusive=false, reverse=false}
  %t: f32[8,4] = tanh(%c)
  return s=%s, t=%t
}
)";

std::string dumped(const std::string& last_pass, const std::string& text = kText) {
  PipelineObserver until;
  until.stop_after = last_pass;
  return print(run_pipeline(parse_module(text, "m.ir"), {}, until));
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  size_t at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

// The error of loading the text and going on with it, or "".
std::string error_of(const std::string& text) {
  try {
    Module module = parse_module(text, "m.ir");
    verify(module);
    check_kernels(module);
    run_pipeline(module, {});
  } catch (const UserError& error) {
    return error.message();
  }
  return "";
}

bool refuses(const std::string& text, const std::string& message) {
  std::string error = error_of(text);
  INFO(text << error);
  return error.find(message) != std::string::npos;
}

}  // namespace

TEST_CASE("dumps of every stage pass", "[kernel_check]") {
  for (const Pass& pass : passes())
    CHECK(error_of(dumped(std::string(pass.name))) == "");
  std::string fused = dumped("fuse");
  for (const char* name : {"map", "reduce", "contract", "custom"})
    CHECK(fused.find(fmt::format("class=\"{}\"", name)) != std::string::npos);
}

TEST_CASE("a kernel is what its class says", "[kernel_check]") {
  std::string text = dumped("fuse");
  CHECK(refuses(replaced(text, "class=\"map\"", "class=\"mop\""), "its class is `mop`"));
  CHECK(refuses(replaced(text, "class=\"map\"", "class=1"), "attribute `class` is integer"));
  CHECK(refuses(replaced(text, "{class=\"map\", ", "{"), "lacks the attribute `class`"));
  CHECK(refuses(replaced(text, "class=\"reduce\"", "class=\"map\""), "`reduce_sum` is no op of"));
  CHECK(refuses(replaced(text, "class=\"map\"", "class=\"contract\""), "has 0 ops of that class"));
  CHECK(refuses(replaced(text, "class=\"map\"", "class=\"reduce\""), "lacks the attribute `axes`"));
  CHECK(refuses(replaced(text, "class=\"map\"", "class=\"custom\""), "is one op of that class"));
  CHECK(refuses(replaced(text, "domain=[8,4]", "domain=[8,0]"), "the kernel axes [1] of [8,0]"));
  CHECK(refuses(replaced(text, "{axes=[1], class", "{axes=[0], class"), "folds across rows that"));
  CHECK(refuses(replaced(text, "{axes=[1], class", "{axes=[0,1], class"), "the kernel axes [0,1]"));
}

TEST_CASE("what a kernel folds across its rows is a result that it does not read",
          "[kernel_check]") {
  std::string text = dumped("fuse", R"(module @m
entry @infer(%x: f32[512,130]) {
  %s: f32[512] = reduce_sum(%x) {axes=[1]}
  %t: f32[512] = tanh(%s)
  %c: f32[130] = reduce_sum(%x) {axes=[0]}
  return t=%t, c=%c
}
)");
  CHECK(error_of(text) == "");
  CHECK(refuses(replaced(text, "{axes=[1], class", "{axes=[0], class"), "folds across rows that"));
  auto returns = [&](const std::string& made) {
    return replaced(text, "  return %t, %c", "  %d: f32[130] = " + made + "\n  return %t, %d");
  };
  CHECK(refuses(returns("neg(%c)"), "is read in it"));
  CHECK(refuses(returns("constant() {dtype=f32, shape=[130], value=1.0}"), "is no result"));
  CHECK(refuses(
      replaced(text, "reduce_sum(%x) {axes=[1]}", "constant() {dtype=f32, shape=[512], value=1.0}"),
      "folds nothing along its rows"));
}

TEST_CASE("operands give their bytes to results that are there and alike", "[kernel_check]") {
  std::string text = dumped("fuse");
  for (const char* pairs : {"[0,1]", "[1,0]", "[-1,0]", "[0,281474976710656]"})
    CHECK(refuses(replaced(text, "inplace=[0,0]", fmt::format("inplace={}", pairs)),
                  "`inplace` lets result"));
  CHECK(refuses(replaced(text, "inplace=[0,0]", "inplace=[0]"), "they are pairs"));
}

TEST_CASE("what a stage behind `fuse` holds is kernels", "[kernel_check]") {
  std::string fused = dumped("fuse"), simple = dumped("simplify");
  std::string names = parse_module(fused, "").attrs.string("passes");
  CHECK(refuses(replaced(fused, names, "simplify"), "has not been through `fuse`"));
  CHECK(refuses(replaced(simple, "passes=\"simplify", "passes=\"simplify fuse"),
                "outside of a kernel"));
  CHECK(refuses(replaced(fused, "passes=\"" + names + "\"", "passes=3"), "is no list of names"));
}

TEST_CASE("a schedule is the one that would be made now", "[kernel_check]") {
  std::string text = dumped("schedule");
  CHECK(refuses(replaced(text, "method=\"", "method=\"x"), "is scheduled as"));
  CHECK(refuses(replaced(text, "scratch=", "scratch=1"), "is scheduled as"));
}

TEST_CASE("nothing is computed from tensors without elements", "[kernel_check]") {
  for (const char* op : {"tanh(%x)", "reduce_sum(%x) {axes=[0]}", "reduce_sum(%x) {axes=[1]}"}) {
    std::string text =
        fmt::format("module @m\nentry @infer(%x: f32[0,3]) {{\n  %y = {}\n  return y=%y\n}}\n", op);
    CHECK(error_of(text) == "");
    PipelineObserver careless;
    careless.skip = {"simplify", "raise"};  // both take such tensors out
    CHECK_THROWS_WITH(
        run_pipeline(parse_module(text, "m.ir"), {}, careless),
        Catch::Contains("@infer: %x is f32[0,3]; nothing can be computed from or into "
                        "tensors without elements"));
  }
}
