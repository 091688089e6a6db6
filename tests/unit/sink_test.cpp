#include "compiler/passes/sink.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

#include "compiler/check.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/unroll.h"
#include "compiler/pipeline.h"
#include "tests/support/finite_differences.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// s = tanh(s + z[t]) over the rows of %z, which `ops` make.
struct Loop {
  std::string ops;
  std::string inputs = "";  // further ones: `, %k: f32[2]`
  std::string attrs = "";  // of the scan: `, reverse=true`
  std::string results = "";  // further ones: `, z=%z`
  int rows = 32, trips = 3;

  std::string text() const {
    std::string text = R"(module @m
param @w: f32[2,4]
param @v: f32[4]

func @cell(%s: f32[32,4], %z: f32[32,4]) {
forward:
  %a: f32[32,4] = add(%s, %z)
  %s.next: f32[32,4] = tanh(%a)
  return %s.next, %a
}

entry @infer(%x: f32[3,32,2], %y: f32[3,32,4], %r: f32[3], %s0: f32[32,4])" +
                       inputs + R"(, %w: f32[2,4] = @w, %v: f32[4] = @v) {
forward:
)" + ops + R"(
  %last: f32[32,4], %all: f32[3,32,4] = scan @cell(%s0, %z) {carries=1, sequences=1, trips=3)" +
                       attrs + "}\n  return last=%last, all=%all" + results + "\n}\n";
    for (size_t at = 0; (at = text.find("32,", at)) != std::string::npos; ++at)
      if (text[at - 1] != 'f')
        text.replace(at, 2, std::to_string(rows));
    for (std::string before : {"[", "trips="})
      for (size_t at = 0; (at = text.find(before + "3", at)) != std::string::npos; ++at)
        if (char after = text[at + before.size() + 1]; after < '0' || after > '9')
          text.replace(at + before.size(), 1, std::to_string(trips));
    return text;
  }
};

const std::string kProduct =
    "  %z: f32[3,32,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]} loc \"m:4\"";

// The module after the pass, which computes the same and leaves nothing to do.
Module sunk(const std::string& text) {
  Module module = parsed(text);
  Module after = sink(module, Options{});
  verify(after);
  CHECK(first_difference(module, after) == std::nullopt);
  CHECK(print(parsed(print(after))) == print(after));
  CHECK(print(sink(after, Options{})) == print(after));
  return after;
}

bool stays(const Loop& loop) {
  return print(sunk(loop.text())) == print(parsed(loop.text()));
}

}  // namespace

TEST_CASE("the product that makes a loop's rows moves into it", "[sink]") {
  Module after = sunk(Loop{kProduct}.text());
  CHECK(print(after.function("cell")) ==
        R"(func @cell(%s: f32[32,4], %x: f32[32,2], %w: f32[2,4]) {
forward:
  %z: f32[32,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]} loc "m:4"
  %a: f32[32,4] = add(%s, %z)
  %s.next: f32[32,4] = tanh(%a)
  return %s.next, %a
}
)");
  std::string infer = print(after.function("infer"));
  CHECK(infer.substr(infer.find("forward:")) == R"(forward:
  %last: f32[32,4], %all: f32[3,32,4] = scan @cell(%s0, %x, %w) {carries=1, sequences=1, trips=3}
  return last=%last, all=%all
}
)");
}

TEST_CASE("so do elementwise ops, constants, and what repeats along rows or by row", "[sink]") {
  for (std::string attrs : {"", ", reverse=true"}) {
    Module after = sunk(Loop{
        .ops = R"(  %p: f32[3,32,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]}
  %b: f32[3,32,4] = broadcast(%v) {axes=[2], shape=[3,32,4]}
  %q: f32[3,32,4] = add(%p, %b)
  %two: f32[3,32,4] = constant() {dtype=f32, shape=[3,32,4], value=2.0}
  %u: f32[3,32,4] = mul(%q, %two)
  %e: f32[3,32,4] = broadcast(%r) {axes=[0], shape=[3,32,4]}
  %z: f32[3,32,4] = mul(%u, %e))",
        .attrs = attrs}
                            .text());
    const Function& infer = after.function("infer");
    REQUIRE(infer.ops.size() == 1);
    CHECK(infer.ops[0].attrs.integer("sequences") == 2);  // %x and %r
    CHECK(after.function("cell").ops.size() == 9);
  }
}

TEST_CASE("what makes a row from other rows, or from its number, stays", "[sink]") {
  CHECK(stays({"  %z: f32[3,32,4] = reverse(%y) {axes=[0]}"}));
  CHECK(stays({"  %z: f32[3,32,4] = cumulative_sum(%y) {axis=0, exclusive=false, reverse=false}"}));
  CHECK(
      stays({"  %n: i64[] = constant() {dtype=i64, shape=[], value=3.0}\n"
             "  %z: f32[3,32,4] = random_uniform(%n, %n) {shape=[3,32,4], stream=1}"}));
  // Each row of the result reads all of %y.
  CHECK(stays({"  %z: f32[3,32,4] = dot(%k, %y) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}",
               ", %k: f32[3,3]"}));
}

TEST_CASE("what others read as well, or what is smaller than its operands, stays", "[sink]") {
  CHECK(stays({kProduct, "", "", ", z=%z"}));
  CHECK(
      stays({kProduct + "\n  %sum: f32[] = reduce_sum(%z) {axes=[0,1,2]}", "", "", ", sum=%sum"}));
  CHECK(stays({"  %z: f32[3,32,4] = mul(%y, %k)", ", %k: f32[3,32,4]"}));
  CHECK(stays({"  %z: f32[3,32,4] = dot(%k, %l) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]}",
               ", %k: f32[3,32,5], %l: f32[5,4]"}));
  // Of the same size as its operand, it moves.
  CHECK_FALSE(stays({"  %z: f32[3,32,4] = exp(%y)"}));
}

TEST_CASE("a product stays where a trip has few rows: it would load its weight each trip",
          "[sink]") {
  CHECK(stays({.ops = kProduct, .rows = 31}));
  CHECK(stays({.ops = kProduct, .rows = 31, .trips = 7}));  // which no chunk divides
  CHECK(stays({.ops = kProduct, .rows = 15, .trips = 16}));  // half of the trips have 120 rows
}

TEST_CASE("of few rows a trip, a chunk of trips has its product in a loop over chunks", "[sink]") {
  for (std::string attrs : {"", ", reverse=true"}) {
    Module after = sunk(Loop{.ops = kProduct, .attrs = attrs, .rows = 16, .trips = 24}.text());
    CHECK(print(after.function("cell.1")) ==
          R"(func @cell.1(%s: f32[16,4], %x: f32[8,16,2], %w: f32[2,4]) {
forward:
  %z: f32[8,16,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]} loc "m:4"
  %s.next: f32[16,4], %a: f32[8,16,4] = scan @cell(%s, %z) {carries=1)" +
              std::string(attrs.empty() ? "" : ", reverse=true") + R"(, sequences=1, trips=8}
  return %s.next, %a
}
)");
    const Function& infer = after.function("infer");
    REQUIRE(infer.ops.size() == 3);
    CHECK(infer.ops[0].code == Opcode::reshape);
    CHECK(infer.ops[1].attrs.integer("trips") == 3);
    CHECK(infer.type(infer.ops[2].result()).dims == Dims{24, 16, 4});
  }
  // With what makes rows beside the product, a repetition by row among it.
  Module after = sunk(
      Loop{.ops = R"(  %p: f32[3,32,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]}
  %e: f32[3,32,4] = broadcast(%r) {axes=[0], shape=[3,32,4]}
  %m: f32[3,32,4] = mul(%p, %e)
  %two: f32[3,32,4] = constant() {dtype=f32, shape=[3,32,4], value=2.0}
  %u: f32[3,32,4] = add(%m, %two)
  %b: f32[3,32,4] = broadcast(%v) {axes=[2], shape=[3,32,4]}
  %z: f32[3,32,4] = add(%u, %b))",
           .rows = 16,
           .trips = 24}
          .text());
  for (const Value& value : after.function("infer").values)
    CHECK(value.name != "p");
}

TEST_CASE("a body that two loops run is copied", "[sink]") {
  std::string text = Loop{kProduct +
                              "\n  %other: f32[32,4], %others: f32[3,32,4] = scan "
                              "@cell(%s0, %y) {carries=1, sequences=1, trips=3}",
                          "", "", ", other=%other"}
                         .text();
  Module after = sunk(text);
  CHECK(print(after.function("cell")) == print(parsed(text).function("cell")));
  CHECK(after.function("cell.1").parameters.size() == 3);
}

TEST_CASE("what moved into a loop moves on, into the loop inside of it", "[sink]") {
  Module after = sunk(R"(module @m
param @w: f32[2,4]

func @inner(%s: f32[32,4], %z: f32[32,4]) {
forward:
  %a: f32[32,4] = add(%s, %z)
  %s.next: f32[32,4] = tanh(%a)
  return %s.next
}

func @outer(%s: f32[32,4], %zs: f32[3,32,4]) {
forward:
  %t: f32[32,4] = scan @inner(%s, %zs) {carries=1, sequences=1, trips=3}
  return %t
}

entry @infer(%x: f32[2,3,32,2], %s0: f32[32,4], %w: f32[2,4] = @w) {
forward:
  %z: f32[2,3,32,4] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[3], sum_b=[0]}
  %s: f32[32,4] = scan @outer(%s0, %z) {carries=1, sequences=1, trips=2}
  return s=%s
}
)");
  CHECK(after.function("infer").ops.size() == 1);
  CHECK(after.function("outer").ops.size() == 1);
  CHECK(after.function("inner").ops[0].code == Opcode::dot);
}

TEST_CASE("gradients through what moved equal finite differences, unrolled or not", "[sink]") {
  std::vector<std::string> wrt = {"w", "x", "s0"};
  for (const Loop& loop : {Loop{kProduct}, Loop{.ops = kProduct, .rows = 64, .trips = 4}})
    for (bool unrolled : {false, true}) {
      Module after = sink(parsed(loop.text()), Options{});
      if (unrolled)
        after = unroll(after, Options{});
      Module gradients = gradient(after, "infer", "last", wrt);
      verify(gradients);
      for (const std::string& name : wrt)
        check_gradient(gradients, "infer", "last", name, "grad/last/" + name);
    }
}

namespace {

// Rows made by random ops of which some move: products, sums, repetitions, reversals, sums of rows.
Loop random_loop(uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::string> tensors = {"%y"};  // f32[3,32,4]
  Loop loop{.ops = "", .inputs = ", %k: f32[4,4]", .attrs = random() % 2 ? ", reverse=true" : ""};
  auto any = [&] { return tensors[random() % tensors.size()]; };
  auto latest = [&] { return tensors.back(); };
  for (int i = 0; i < 8; ++i) {
    std::vector<std::string> makers = {
        fmt::format("add({}, {})", latest(), any()),
        fmt::format("tanh({})", latest()),
        fmt::format("dot({}, %k) {{batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]}}", latest()),
        "dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]}",
        fmt::format("reverse({}) {{axes=[0]}}", any()),
        fmt::format("cumulative_sum({}) {{axis=1, exclusive=false, reverse=false}}", any()),
        "broadcast(%v) {axes=[2], shape=[3,32,4]}",
        "broadcast(%r) {axes=[0], shape=[3,32,4]}",
        "constant() {dtype=f32, shape=[3,32,4], value=0.5}",
    };
    std::string name = i == 7 ? "%z" : fmt::format("%t{}", i);
    loop.ops += fmt::format("  {}: f32[3,32,4] = {}\n", name, makers[random() % makers.size()]);
    tensors.push_back(name);
  }
  return loop;
}

}  // namespace

TEST_CASE("random rows keep what loops compute from them", "[sink]") {
  int moved = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    moved += !stays(random_loop(seed));
  }
  CHECK(moved > 100);
  CHECK(moved < 200);
}

namespace {

const std::string kTrained = R"(module @m
param @w: f32[2,64]
param @u: f32[64,64]
param @b: f32[64]

func @cell(%s: f32[32,64], %z: f32[32,64], %u: f32[64,64]) {
forward:
  %p: f32[32,64] = dot(%s, %u) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %a: f32[32,64] = add(%p, %z)
  %s.next: f32[32,64] = tanh(%a)
  return %s.next
}

entry @train_step(%x: f32[12,32,2], %lr: f32[], %step: i64[], %total_steps: i64[], %seed: i64[], %w: f32[2,64] = @w, %u: f32[64,64] = @u, %b: f32[64] = @b) {
forward:
  %p: f32[12,32,64] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[2], sum_b=[0]}
  %bias: f32[12,32,64] = broadcast(%b) {axes=[2], shape=[12,32,64]}
  %z: f32[12,32,64] = add(%p, %bias)
  %s0: f32[32,64] = constant() {dtype=f32, shape=[32,64], value=0.0}
  %s: f32[32,64] = scan @cell(%s0, %z, %u) {carries=1, sequences=1, trips=12}
  %loss: f32[] = reduce_sum(%s) {axes=[0,1]}
  return loss=%loss
}
)";

}  // namespace

TEST_CASE("gradients by name have the sums of a loop whose rows moved", "[sink]") {
  Module module = parsed(kTrained);
  auto products = [](const Module& gradients) {
    const std::vector<Op>& ops = gradients.function("train_step").ops;
    return std::count_if(ops.begin(), ops.end(),
                         [](const Op& op) { return op.code == Opcode::dot; });
  };
  CHECK(products(gradients_by_name(module, "loss", {}, training())) == 0);
  // What is named stays where it is.
  std::vector<std::string> rows = {"z"};
  Module named = gradients_by_name(module, "loss", rows, training());
  Module direct = gradient(module, "train_step", "loss", rows);
  CHECK(products(named) == 1);
  auto value = [](const Module& gradients, const std::string& result) {
    const Function& step = gradients.function("train_step");
    return result_named(gradients, step, random_inputs(gradients, step), result).data;
  };
  CHECK(value(named, "grad_z") == value(direct, "grad/z"));
}

TEST_CASE("a compiled training step has no tensor of all rows", "[sink]") {
  // The gradients of %b and %w would want one, of 96 KiB.
  Module module = parsed(kTrained);
  Options options = training();
  Module free = run_pipeline(module, options);
  const Function& step = free.function("train_step");
  for (const Value& value : step.values)
    CHECK(value.type.elements() < 12 * 32 * 64);
  options.memory = *step.arena_bytes * 6 / 10;
  Module fitted = run_pipeline(module, options);
  CHECK(*fitted.function("train_step").arena_bytes <= *options.memory);
  CHECK(first_difference(module, fitted) == std::nullopt);
}
