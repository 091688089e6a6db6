#include "compiler/passes/simplify.h"

#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// The ops that `simplify` leaves of an entry over %x: f32[2,3], %y: f32[3,4], %z: f32[2,3].
std::string simplified(const std::string& ops, const std::string& result) {
  Module module = parsed(
      "module @m\nentry @f(%x: f32[2,3], %y: f32[3,4], %z: f32[2,3], %n: i32[2]) {\nforward:\n" +
      ops + "  return r=" + result + "\n}\n");
  Module after = simplify(module, Options{});
  verify(after);
  CHECK(first_difference(module, after) == std::nullopt);
  std::string text = print(after.functions[0]);
  size_t begin = text.find("{\n") + 2;
  return text.substr(begin, text.rfind("}\n") - begin);
}

}  // namespace

TEST_CASE("simplify: what changes nothing goes", "[simplify]") {
  const std::string nothing = "  return r=%x\n";
  for (
      std::string ops : {
          "  %c = constant() {dtype=f32, shape=[2,3], value=0.0}\n  %a = add(%x, %c)\n",
          "  %c = constant() {dtype=f32, shape=[2,3], value=0.0}\n  %a = add(%c, %x)\n",
          "  %c = constant() {dtype=f32, shape=[2,3], value=0.0}\n  %a = sub(%x, %c)\n",
          "  %c = constant() {dtype=f32, shape=[2,3], value=1.0}\n  %a = mul(%x, %c)\n",
          "  %b = neg(%x)\n  %a = neg(%b)\n",
          "  %b = transpose(%x) {permutation=[1,0]}\n  %a = transpose(%b) {permutation=[1,0]}\n",
          "  %b = reshape(%x) {shape=[6]}\n  %a = reshape(%b) {shape=[2,3]}\n",
          "  %a = transpose(%x) {permutation=[0,1]}\n",
          "  %a = broadcast(%x) {axes=[0,1], shape=[2,3]}\n",
          "  %b = reshape(%x) {shape=[2,1,3]}\n  %a = reduce_sum(%b) {axes=[1]}\n",
          "  %b = broadcast(%x) {axes=[0,2], shape=[2,1,3]}\n  %a = reshape(%b) {shape=[2,3]}\n",
          "  %b = reshape(%x) {shape=[1,2,3]}\n  %a = reduce_max(%b) {axes=[0]}\n",
          "  %c = constant() {dtype=f32, shape=[2,3], value=1.0}\n  %a = div(%x, %c)\n",
          "  %c = constant() {dtype=f32, shape=[2,3], value=1.0}\n  %a = pow(%x, %c)\n",
          "  %c = constant() {dtype=bool, shape=[2,3], value=1.0}\n  %a = select(%c, %x, %z)\n",
          "  %c = less(%x, %z)\n  %a = select(%c, %x, %x)\n",
          "  %a = cast(%x) {dtype=f32}\n",
          "  %b = cast(%x) {dtype=f64}\n  %a = cast(%b) {dtype=f32}\n",
          "  %a = slice(%x) {begin=[0,0], end=[2,3], step=[1,1]}\n",
          "  %a = pad(%x) {high=[0,0], low=[0,0], value=0.0}\n",
          "  %a = concat(%x) {axis=0}\n",
          "  %b = concat(%z, %x) {axis=1}\n  %a = slice(%b) {begin=[0,3], end=[2,6], step=[1,1]}\n",
          "  %b = slice(%x) {begin=[0,0], end=[2,1], step=[1,1]}\n"
          "  %c = slice(%x) {begin=[0,1], end=[2,3], step=[1,1]}\n  %a = concat(%b, %c) {axis=1}\n",
          "  %b = reshape(%x) {shape=[2,1,3]}\n  %c = reverse(%b) {axes=[1]}\n"
          "  %a = reshape(%c) {shape=[2,3]}\n",
      }) {
    INFO(ops);
    CHECK(simplified(ops, "%a") == nothing);
  }
}

TEST_CASE("simplify: constants fold", "[simplify]") {
  CHECK(simplified("  %a = constant() {dtype=f32, shape=[2,3], value=3.0}\n  %b = tanh(%a)\n"
                   "  %c = mul(%a, %a)\n  %d = sub(%c, %a)\n  %e = reduce_sum(%d) {axes=[0]}\n",
                   "%e") ==
        "forward:\n  %e: f32[3] = constant() {dtype=f32, shape=[3], value=12.0}\n  return r=%e\n");
  // Elementwise ops and moves fold at any size.
  CHECK(simplified("  %a = constant() {dtype=f32, shape=[500,500], value=3.0}\n"
                   "  %b = mul(%a, %a)\n  %c = transpose(%b) {permutation=[1,0]}\n",
                   "%c") ==
        "forward:\n  %b: f32[500,500] = constant() {dtype=f32, shape=[500,500], value=9.0}\n"
        "  return r=%b\n");
}

TEST_CASE("simplify: arithmetic takes its cheapest form", "[simplify]") {
  const std::string two = "  %c = constant() {dtype=f32, shape=[2,3], value=2.0}\n";
  CHECK(simplified(two + "  %a = div(%x, %c)\n", "%a") ==
        "forward:\n  %constant: f32[2,3] = constant() {dtype=f32, shape=[2,3], value=0.5}\n"
        "  %a: f32[2,3] = mul(%x, %constant)\n  return r=%a\n");
  CHECK(simplified(two + "  %a = pow(%x, %c)\n", "%a") ==
        "forward:\n  %a: f32[2,3] = mul(%x, %x)\n  return r=%a\n");
  CHECK(simplified("  %b = neg(%x)\n  %a = add(%b, %z)\n", "%a") ==
        "forward:\n  %a: f32[2,3] = sub(%z, %x)\n  return r=%a\n");
  CHECK(simplified("  %b = neg(%x)\n  %a = sub(%z, %b)\n", "%a") ==
        "forward:\n  %a: f32[2,3] = add(%z, %x)\n  return r=%a\n");
  // A narrower type between rounds.
  CHECK(simplified("  %b = cast(%x) {dtype=bf16}\n  %a = cast(%b) {dtype=f32}\n", "%a")
            .find("cast(%b)") != std::string::npos);
  // 1/3 is not exact.
  CHECK(simplified("  %c = constant() {dtype=f32, shape=[2,3], value=3.0}\n  %a = div(%x, %c)\n",
                   "%a")
            .find("div(%x, %c)") != std::string::npos);
}

TEST_CASE("simplify: parts of parts", "[simplify]") {
  CHECK(simplified("  %b = slice(%y) {begin=[0,1], end=[3,4], step=[1,1]}\n"
                   "  %a = slice(%b) {begin=[0,0], end=[3,3], step=[2,2]}\n",
                   "%a") ==
        "forward:\n  %a: f32[2,2] = slice(%y) {begin=[0,1], end=[3,4], step=[2,2]}\n"
        "  return r=%a\n");
  CHECK(simplified("  %b = concat(%x, %z) {axis=0}\n  %a = concat(%x, %b, %z) {axis=0}\n", "%a") ==
        "forward:\n  %a: f32[8,3] = concat(%x, %x, %z, %z) {axis=0}\n  return r=%a\n");
  CHECK(simplified("  %b = transpose(%y) {permutation=[1,0]}\n"
                   "  %a = slice(%b) {begin=[1,0], end=[3,3], step=[1,2]}\n",
                   "%a") ==
        "forward:\n  %slice: f32[2,2] = slice(%y) {begin=[0,1], end=[3,3], step=[2,1]}\n"
        "  %a: f32[2,2] = transpose(%slice) {permutation=[1,0]}\n  return r=%a\n");
  const std::string padded = "  %b = pad(%x) {high=[1,0], low=[0,2], value=0.5}\n";
  CHECK(simplified(padded + "  %a = transpose(%b) {permutation=[1,0]}\n", "%a") ==
        "forward:\n  %transpose: f32[3,2] = transpose(%x) {permutation=[1,0]}\n"
        "  %a: f32[5,3] = pad(%transpose) {high=[0,1], low=[2,0], value=0.5}\n  return r=%a\n");
  CHECK(simplified(padded + "  %c = slice(%b) {begin=[1,0], end=[3,4], step=[1,2]}\n"
                            "  %a = transpose(%c) {permutation=[1,0]}\n",
                   "%a") ==
        "forward:\n  %transpose: f32[3,2] = transpose(%x) {permutation=[1,0]}\n"
        "  %pad: f32[5,3] = pad(%transpose) {high=[0,1], low=[2,0], value=0.5}\n"
        "  %a: f32[2,2] = slice(%pad) {begin=[0,1], end=[4,3], step=[2,1]}\n  return r=%a\n");
  // A slice across two pieces stays.
  CHECK(simplified("  %b = concat(%x, %z) {axis=1}\n"
                   "  %a = slice(%b) {begin=[0,2], end=[2,5], step=[1,1]}\n",
                   "%a")
            .find("concat") != std::string::npos);
}

TEST_CASE("simplify: the gradient of n slices is one concatenation", "[simplify]") {
  CHECK(simplified("  %t = tanh(%x)\n"
                   "  %p0 = pad(%x) {high=[4,0], low=[0,0], value=0.0}\n"
                   "  %p1 = pad(%t) {high=[2,0], low=[2,0], value=0.0}\n"
                   "  %p2 = pad(%z) {high=[0,0], low=[4,0], value=0.0}\n"
                   "  %a = add(%p2, %p1)\n  %b = add(%a, %p0)\n",
                   "%b") ==
        "forward:\n  %t: f32[2,3] = tanh(%x)\n  %b: f32[6,3] = concat(%x, %t, %z) {axis=0}\n"
        "  return r=%b\n");
}

TEST_CASE("simplify: relu comes behind a maximum over windows", "[simplify]") {
  const std::string attrs = " {high=[0], low=[1], stride=[2], window=[2]}\n";
  const std::string pooled = "  %b = relu(%x)\n  %a = window_max(%b)" + attrs;
  CHECK(simplified(pooled, "%a") == "forward:\n  %window_max: f32[2,2] = window_max(%x)" + attrs +
                                        "  %a: f32[2,2] = relu(%window_max)\n  return r=%a\n");
  CHECK(simplified(pooled + "  %c = tanh(%b)\n  %d = dot(%c, %a) {batch_a=[], batch_b=[], "
                            "sum_a=[0], sum_b=[0]}\n",
                   "%d")
            .find("window_max(%b)") != std::string::npos);
}

TEST_CASE("simplify: no product waits for a transposed copy", "[simplify]") {
  // x y, from every combination of transposed operands and result.
  const std::string product =
      "forward:\n  %p: f32[2,4] = dot(%x, %y) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
      "  return r=%p\n";
  CHECK(simplified("  %t = transpose(%x) {permutation=[1,0]}\n"
                   "  %p = dot(%t, %y) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}\n",
                   "%p") == product);
  CHECK(simplified("  %t = transpose(%y) {permutation=[1,0]}\n"
                   "  %p = dot(%x, %t) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}\n",
                   "%p") == product);
  CHECK(simplified("  %q = dot(%y, %x) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[1]}\n"
                   "  %p = transpose(%q) {permutation=[1,0]}\n",
                   "%p") == product);
  // Heads of attention: [batch, time, head, width] transposed to [batch, head, time, width].
  CHECK(simplified("  %a = broadcast(%x) {axes=[0,1], shape=[2,3,4,5]}\n"
                   "  %h = tanh(%a)\n  %t = transpose(%h) {permutation=[0,2,1,3]}\n"
                   "  %s = dot(%t, %t) {batch_a=[0,1], batch_b=[0,1], sum_a=[3], sum_b=[3]}\n",
                   "%s") ==
        "forward:\n  %a: f32[2,3,4,5] = broadcast(%x) {axes=[0,1], shape=[2,3,4,5]}\n"
        "  %h: f32[2,3,4,5] = tanh(%a)\n"
        "  %s: f32[2,4,3,3] = dot(%h, %h) {batch_a=[0,2], batch_b=[0,2], sum_a=[3], sum_b=[3]}\n"
        "  return r=%s\n");
}

TEST_CASE("simplify: a data gradient of one pixel is a product", "[simplify]") {
  const std::string pixel =
      "  %a = broadcast(%x) {axes=[0,1], shape=[2,3,1,1]}\n"
      "  %w = broadcast(%y) {axes=[0,1], shape=[3,4,5,6]}\n"
      "  %r = conv_data_gradient(%a, %w) {dilation=[1,1], groups=1, ";
  auto has_dot = [&](const std::string& rest) {
    return simplified(pixel + rest, "%r").find("dot(") != std::string::npos;
  };
  CHECK(has_dot("high=[0,0], low=[0,0], size=[5,6], stride=[2,1]}\n"));
  CHECK_FALSE(has_dot("high=[0,1], low=[0,0], size=[5,5], stride=[2,1]}\n"));
  CHECK_FALSE(has_dot("high=[0,0], low=[1,0], size=[4,6], stride=[2,1]}\n"));
}

TEST_CASE("simplify: an image is enlarged in the order of axes in which it lies", "[simplify]") {
  // [batch, channels, rows, columns] from and to channels last.
  const std::string image =
      "  %i: f32[2,3,4,5] = broadcast(%x) {axes=[0,1], shape=[2,3,4,5]}\n"
      "  %a: f32[2,3,4,5] = tanh(%i)\n";
  const std::string enlarged =
      "  %t = transpose(%a) {permutation=[0,3,1,2]}\n"
      "  %b = broadcast(%t) {axes=[0,1,2,4], shape=[2,5,3,2,4,2]}\n"
      "  %r = reshape(%b) {shape=[2,5,6,8]}\n  %u = transpose(%r) {permutation=[0,2,3,1]}\n";
  CHECK(simplified(image + enlarged, "%u") ==
        "forward:\n" + image +
            "  %broadcast: f32[2,3,2,4,2,5] = broadcast(%a) {axes=[0,1,3,5], shape=[2,3,2,4,2,5]}\n"
            "  %u: f32[2,6,8,5] = reshape(%broadcast) {shape=[2,6,8,5]}\n  return r=%u\n");
  // Its gradient, of an image of 6 by 4.
  const std::string big =
      "  %i: f32[2,6,4,3] = broadcast(%x) {axes=[0,3], shape=[2,6,4,3]}\n"
      "  %a: f32[2,6,4,3] = tanh(%i)\n"
      "  %t = transpose(%a) {permutation=[0,3,1,2]}\n";
  CHECK(simplified(big + "  %s = reshape(%t) {shape=[2,3,3,2,2,2]}\n"
                         "  %d = reduce_sum(%s) {axes=[3,5]}\n"
                         "  %u = transpose(%d) {permutation=[0,2,3,1]}\n",
                   "%u")
            .find("  %reshape: f32[2,3,2,2,2,3] = reshape(%a) {shape=[2,3,2,2,2,3]}\n"
                  "  %reduce_sum: f32[2,3,2,3] = reduce_sum(%reshape) {axes=[2,4]}\n") !=
        std::string::npos);
  // Terms that would be summed in another order, and axes that are no product of others.
  CHECK(simplified(big + "  %s = reshape(%t) {shape=[2,1,3,6,4]}\n"
                         "  %u = reduce_sum(%s) {axes=[2,3,4]}\n",
                   "%u")
            .find("transpose(%a)") != std::string::npos);
  CHECK(simplified(big + "  %s = reshape(%t) {shape=[2,9,2,2,2]}\n"
                         "  %u = reduce_sum(%s) {axes=[4]}\n",
                   "%u")
            .find("transpose(%a)") != std::string::npos);
}

TEST_CASE("simplify: an image that was a list of pixels is that list again", "[simplify]") {
  auto is_list = [&](const std::string& ops) {
    std::string text = simplified(
        "  %w = broadcast(%x) {axes=[0,1], shape=[2,3,2]}\n  %v = reshape(%w) {shape=[2,6]}\n"
        "  %b = broadcast(%v) {axes=[0,1], shape=[2,6,5]}\n  %p = tanh(%b)\n"
        "  %t = transpose(%p) {permutation=[0,2,1]}\n" +
            ops,
        "%u");
    return text.find("transpose") == std::string::npos;
  };
  CHECK(
      is_list("  %i = reshape(%t) {shape=[2,5,2,3]}\n"
              "  %u = transpose(%i) {permutation=[0,2,3,1]}\n"));
  CHECK(
      is_list("  %i = reshape(%t) {shape=[1,2,5,6,1]}\n"
              "  %u = transpose(%i) {permutation=[1,4,3,0,2]}\n"));
  // There and back again; then in another order, and cut across pixels.
  CHECK(
      is_list("  %i = reshape(%t) {shape=[2,5,3,2]}\n"
              "  %m = transpose(%i) {permutation=[0,2,3,1]}\n"
              "  %h = tanh(%m)\n"
              "  %k = transpose(%h) {permutation=[0,3,1,2]}\n  %o = reshape(%k) {shape=[2,5,6]}\n"
              "  %u = transpose(%o) {permutation=[0,2,1]}\n"));
  CHECK_FALSE(
      is_list("  %i = reshape(%t) {shape=[2,5,2,3]}\n"
              "  %u = transpose(%i) {permutation=[0,3,2,1]}\n"));
  CHECK_FALSE(
      is_list("  %i = reshape(%t) {shape=[2,6,5]}\n"
              "  %u = transpose(%i) {permutation=[0,2,1]}\n"));
  CHECK_FALSE(
      is_list("  %i = reshape(%t) {shape=[5,12]}\n"
              "  %u = transpose(%i) {permutation=[1,0]}\n"));
}

TEST_CASE("simplify: a transposed product that is also read as it is stays", "[simplify]") {
  std::string text = simplified(
      "  %q = dot(%y, %x) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[1]}\n"
      "  %p = transpose(%q) {permutation=[1,0]}\n  %t = tanh(%q)\n"
      "  %u = transpose(%t) {permutation=[1,0]}\n  %s = add(%p, %u)\n",
      "%s");
  CHECK(text.find("%p: f32[2,4] = transpose(%q)") != std::string::npos);
}

TEST_CASE("simplify: equal ops are computed once, in either order of a commutative one",
          "[simplify]") {
  CHECK(simplified("  %a = mul(%x, %z)\n  %b = mul(%z, %x)\n  %c = sub(%x, %z)\n"
                   "  %d = sub(%z, %x)\n  %e = sub(%x, %z)\n  %f = mul(%a, %c)\n"
                   "  %g = mul(%b, %e)\n  %h = mul(%g, %d)\n  %i = sub(%h, %f)\n",
                   "%i") ==
        "forward:\n  %a: f32[2,3] = mul(%x, %z)\n  %c: f32[2,3] = sub(%x, %z)\n"
        "  %d: f32[2,3] = sub(%z, %x)\n  %f: f32[2,3] = mul(%a, %c)\n"
        "  %h: f32[2,3] = mul(%f, %d)\n  %i: f32[2,3] = sub(%h, %f)\n  return r=%i\n");
}

TEST_CASE("simplify: constants 0 and -0 differ", "[simplify]") {
  std::string text = simplified(
      "  %a = constant() {dtype=f32, shape=[2,3], value=0.0}\n"
      "  %b = constant() {dtype=f32, shape=[2,3], value=-0.0}\n  %c = mul(%x, %a)\n"
      "  %d = mul(%x, %b)\n  %e = mul(%c, %d)\n",
      "%e");
  CHECK(text.find("value=-0.0") != std::string::npos);
  CHECK(text.find("value=0.0") != std::string::npos);
}

TEST_CASE("simplify: 0 * x is 0 for integers only", "[simplify]") {
  CHECK(simplified("  %c = constant() {dtype=i32, shape=[2], value=0.0}\n  %a = mul(%n, %c)\n",
                   "%a") ==
        "forward:\n  %c: i32[2] = constant() {dtype=i32, shape=[2], value=0.0}\n  return r=%c\n");
  CHECK(simplified("  %c = constant() {dtype=f32, shape=[2,3], value=0.0}\n  %a = mul(%x, %c)\n",
                   "%a")
            .find("mul(%x, %c)") != std::string::npos);
}

TEST_CASE("simplify: unreached functions and unread ops go, parameters stay", "[simplify]") {
  Module module = parsed(R"(module @m
func @used(%a: f32[2]) {
forward:
  %b = tanh(%a)
  return %b
}
func @unused(%a: f32[2]) {
forward:
  %b: f32[2] = call @used(%a)
  return %b
}
entry @f(%x: f32[2], %y: f32[2]) {
forward:
  %dead = tanh(%y)
  %z: f32[2] = call @used(%x)
  return z=%z
}
)");
  Module after = simplify(module, Options{});
  CHECK_FALSE(after.find_function("unused"));
  CHECK(after.find_function("used"));
  CHECK(after.function("f").parameters.size() == 2);
  CHECK(after.function("f").ops.size() == 1);
}
