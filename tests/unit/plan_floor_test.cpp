#include <catch2/catch.hpp>

#include "compiler/plan/floor.h"
#include "ir/parse.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

int64_t floor_of(const std::string& ops) {
  Module module = parse_module(
      "module @m\nparam @w: f32[64,64]\nparam @b: f32[64]\nentry @f(%x: f32[8,64], "
      "%w: f32[64,64] = @w, %b: f32[64] = @b) {\n" +
          ops + "}\n",
      "t.ir");
  verify(module);
  return floor_bytes(module.function("f"));
}

constexpr int64_t kX = 8 * 64 * 4;

}  // namespace

TEST_CASE("the floor is what the most demanding op reads and writes", "[floor]") {
  CHECK(floor_of("return %x ") == 0);
  CHECK(floor_of("%y = tanh(%x)\n return %y ") == 2 * kX);
  CHECK(floor_of("%y = mul(%x, %x)\n return %y ") == 2 * kX);
  // Parameters are not counted, broadcasts are their operand.
  CHECK(floor_of("%y = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
                 "%all = broadcast(%b) {axes=[1], shape=[8,64]}\n"
                 "%z = add(%y, %all)\n return %z ") == 2 * kX);
  CHECK(floor_of("%s = reduce_sum(%x) {axes=[1]}\n"
                 "%all = broadcast(%s) {axes=[0], shape=[8,64]}\n"
                 "%z = tanh(%all)\n return %z ") == kX + 8 * 4);
  // Nor is what is moved out of them, nor constants.
  CHECK(floor_of("%t = transpose(%w) {permutation=[1,0]}\n"
                 "%y = dot(%x, %t) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
                 " return %y ") == 2 * kX);
  CHECK(floor_of("%one = constant() {dtype=f32, shape=[8,64], value=1.0}\n"
                 "%y = add(%x, %one)\n return %y ") == 2 * kX);
  // A view and what it shows are the same bytes; a transposed activation is not.
  CHECK(floor_of("%v = reshape(%x) {shape=[512]}\n%u = reshape(%v) {shape=[8,64]}\n"
                 "%y = add(%x, %u)\n return %y ") == 2 * kX);
  CHECK(floor_of("%t = transpose(%x) {permutation=[1,0]}\n%u = transpose(%t) "
                 "{permutation=[1,0]}\n%y = add(%x, %u)\n return %y ") == 3 * kX);
  // A slice is what it reads, and its result.
  const std::string kFirst = "{begin=[0,0], end=[2,64], step=[1,1]}\n";
  CHECK(floor_of("%v = slice(%x) " + kFirst + " return %v ") == 2 * kX / 4);
  CHECK(floor_of("%v = slice(%x) " + kFirst + "%y = tanh(%v)\n return %y ") == 2 * kX / 4);
  CHECK(floor_of("%v = slice(%w) " + kFirst + "%y = tanh(%v)\n return %y ") == kX / 4);
}
