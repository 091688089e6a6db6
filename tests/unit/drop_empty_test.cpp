#include "compiler/passes/drop_empty.h"

#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "ir/rewrite.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// What is left of an entry over %x: f32[2,0,3], %y: f32[2,3] and indices %n: i64[0,2]. It gives
// what it gave.
std::string dropped(const std::string& ops, const std::string& result) {
  Module module = parsed("module @m\nentry @f(%x: f32[2,0,3], %y: f32[2,3], %n: i64[0,2]) {\n" +
                         ops + "  return r=" + result + "\n}\n");
  Module after = module;
  after.functions[0] = without_dead_ops(drop_empty(module.functions[0]));
  verify(after);
  CHECK(first_difference(module, after) == std::nullopt);
  std::string text = print(after.functions[0]);
  // Where ops are left, their phase stands before them.
  std::string before = after.functions[0].ops.empty() ? "{\n" : "forward:\n";
  size_t begin = text.find(before) + before.size();
  return text.substr(begin, text.rfind("}\n") - begin);
}

}  // namespace

TEST_CASE("drop_empty: results without elements are constants", "[drop_empty]") {
  std::string nothing =
      "  %a: f32[2,0,3] = constant() {dtype=f32, shape=[2,0,3], value=0.0}\n  return r=%a\n";
  CHECK(dropped("  %a = tanh(%x)\n", "%a") == nothing);
  CHECK(dropped("  %b = exp(%x)\n  %a = add(%b, %x)\n", "%a") == nothing);
  CHECK(dropped("  %a = broadcast(%y) {axes=[0,2], shape=[2,0,3]}\n", "%a") == nothing);
}

TEST_CASE("drop_empty: reductions of nothing are numbers", "[drop_empty]") {
  auto folded = [](const std::string& op) {
    std::string text = dropped("  %a = " + op + "(%x) {axes=[1]}\n", "%a");
    size_t begin = text.find("value=") + 6;
    return text.substr(begin, text.find('}') - begin);
  };
  CHECK(folded("reduce_sum") == "0.0");
  CHECK(folded("reduce_prod") == "1.0");
  CHECK(folded("reduce_max") == "-inf");
  CHECK(folded("reduce_min") == "inf");
  CHECK(folded("reduce_mean") == "nan");
  CHECK(folded("reduce_l2") == "0.0");
  CHECK(folded("reduce_log_sum_exp") == "-inf");
}

TEST_CASE("drop_empty: the largest of no whole numbers is the least there is", "[drop_empty]") {
  auto folded = [](const std::string& dtype, const std::string& op) {
    Module module = parsed("module @m\nentry @f(%x: " + dtype + "[0]) {\n  %a = " + op +
                           "(%x) {axes=[0]}\n  return r=%a\n}\n");
    return drop_empty(module.functions[0]).ops.at(0).attrs.real("value");
  };
  CHECK(folded("i8", "reduce_max") == -128);
  CHECK(folded("u8", "reduce_min") == 255);
  CHECK(folded("i32", "reduce_min") == 2147483647);
  CHECK(folded("u8", "reduce_max") == 0);
}

TEST_CASE("drop_empty: parts without elements go", "[drop_empty]") {
  CHECK(dropped("  %e = constant() {dtype=f32, shape=[0,3], value=0.0}\n"
                "  %a = concat(%e, %y) {axis=0}\n",
                "%a") == "  return r=%y\n");
  CHECK(dropped("  %e = constant() {dtype=f32, shape=[0,3], value=0.0}\n"
                "  %a = concat(%y, %e, %y) {axis=0}\n",
                "%a") == "  %a: f32[4,3] = concat(%y, %y) {axis=0}\n  return r=%a\n");
  CHECK(dropped("  %u = constant() {dtype=f32, shape=[0], value=1.0}\n"
                "  %a = scatter_nd(%y, %n, %u) {reduction=\"none\"}\n",
                "%a") == "  return r=%y\n");
  CHECK(dropped("  %e = reshape(%x) {shape=[2,0]}\n  %f = reshape(%x) {shape=[3,0]}\n"
                "  %a = dot(%e, %f) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}\n",
                "%a") ==
        "  %a: f32[2,3] = constant() {dtype=f32, shape=[2,3], value=0.0}\n  return r=%a\n");
  CHECK(dropped("  %e = reshape(%x) {shape=[0]}\n  %a = pad(%e) {high=[1], low=[1], value=2.0}\n",
                "%a") ==
        "  %a: f32[2] = constant() {dtype=f32, shape=[2], value=2.0}\n  return r=%a\n");
}

TEST_CASE("drop_empty: without such tensors nothing changes", "[drop_empty]") {
  Module module =
      parsed("module @m\nentry @f(%y: f32[2,3]) {\n  %a = tanh(%y)\n  return r=%a\n}\n");
  CHECK(print(drop_empty(module.functions[0])) == print(module.functions[0]));
}
