// Composites found in the parts that exporters make of them. The forms are those of PyTorch's two
// exporters and of older models.
#include "compiler/passes/raise.h"

#include <catch2/catch.hpp>
#include <cmath>
#include <numbers>

#include "compiler/check.h"
#include "compiler/passes/simplify.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// What is left of an entry over %x: f32[2,6], %w: f32[6], %v: f32[6] after simplify and raise, one
// op a line; what it computes stays the same.
std::string raised(const std::string& ops, double tolerance = kSumTolerance) {
  std::string text = "module @m\nentry @f(%x: f32[2,6], %w: f32[6], %v: f32[6]) {\nforward:\n" +
                     ops + "  return r=%r\n}\n";
  Module module = parsed(text);
  Module before = simplify(module, Options{}), after = raise(before, Options{});
  verify(after);
  CHECK(first_difference(module, after, tolerance) == std::nullopt);
  std::string printed = print(after.functions[0]);
  size_t begin = printed.find("forward:\n") + 9;
  return printed.substr(begin, printed.rfind("  return") - begin);
}

std::string constant(const std::string& name, double value, const std::string& shape = "[2,6]") {
  return "  %" + name + " = constant() {dtype=f32, shape=" + shape +
         ", value=" + to_string(Attr(value)) + "}\n";
}

// Of a value of [2] repeated to [2,6].
std::string repeat(const std::string& name, const std::string& line) {
  return "  %" + name + " = broadcast(%" + line + ") {axes=[0], shape=[2,6]}\n";
}

constexpr const char* kGelu = "  %r: f32[2,6] = gelu(%x)\n";

}  // namespace

TEST_CASE("raise: gelu by erf", "[raise]") {
  std::string gate = constant("half", 0.5) + constant("one", 1) +
                     constant("root", std::numbers::sqrt2) +
                     "  %d = div(%x, %root)\n  %e = erf(%d)\n  %g = add(%e, %one)\n";
  CHECK(raised(gate + "  %p = mul(%x, %g)\n  %r = mul(%p, %half)\n") == kGelu);
  CHECK(raised(gate + "  %p = mul(%half, %x)\n  %r = mul(%p, %g)\n") == kGelu);
  CHECK(raised(gate + "  %p = mul(%g, %half)\n  %r = mul(%x, %p)\n") == kGelu);
  CHECK(raised(gate + constant("two", 2) + "  %p = mul(%g, %x)\n  %r = div(%p, %two)\n") == kGelu);
  std::string scaled = constant("half", 0.5) + constant("one", 1) +
                       constant("root", 1 / std::numbers::sqrt2) +
                       "  %d = mul(%x, %root)\n  %e = erf(%d)\n  %g = add(%one, %e)\n";
  CHECK(raised(scaled + "  %p = mul(%x, %half)\n  %r = mul(%p, %g)\n") == kGelu);
  // A number with the digits of f32.
  std::string rounded = gate;
  size_t at = rounded.find("value=1.414");
  rounded.replace(at, rounded.find('}', at) - at, "value=1.4142135381698608");
  CHECK(raised(rounded + "  %p = mul(%x, %g)\n  %r = mul(%p, %half)\n", 1e-6) == kGelu);
  // Not the function: another number, another factor.
  CHECK(raised(gate + "  %r = mul(%x, %g)\n").find("gelu") == std::string::npos);
  CHECK(raised(gate + "  %p = mul(%d, %g)\n  %r = mul(%p, %half)\n").find("gelu") ==
        std::string::npos);
}

TEST_CASE("raise: gelu by tanh", "[raise]") {
  const std::string expected = "  %r: f32[2,6] = gelu(%x) {approximate=true}\n";
  std::string numbers = constant("half", 0.5) + constant("one", 1) + constant("three", 3) +
                        constant("k", 0.044715) + constant("u", std::sqrt(2 / std::numbers::pi));
  std::string rest =
      "  %m = mul(%i, %u)\n  %t = tanh(%m)\n  %g = add(%t, %one)\n  %h = mul(%x, %half)\n"
      "  %r = mul(%h, %g)\n";
  CHECK(raised(numbers + "  %c = pow(%x, %three)\n  %s = mul(%c, %k)\n  %i = add(%x, %s)\n" +
               rest) == expected);
  CHECK(raised(numbers +
               "  %q = mul(%x, %x)\n  %c = mul(%q, %x)\n  %s = mul(%k, %c)\n  %i = add(%s, %x)\n" +
               rest) == expected);
  CHECK(
      raised(numbers +
             "  %q = mul(%x, %x)\n  %s = mul(%k, %q)\n  %o = add(%one, %s)\n  %i = mul(%x, %o)\n" +
             rest) == expected);
}

TEST_CASE("raise: gates", "[raise]") {
  CHECK(raised("  %s = sigmoid(%x)\n  %r = mul(%x, %s)\n") == "  %r: f32[2,6] = silu(%x)\n");
  CHECK(raised("  %p = softplus(%x)\n  %s = tanh(%p)\n  %r = mul(%s, %x)\n") ==
        "  %r: f32[2,6] = mish(%x)\n");
  std::string one = constant("one", 1);
  CHECK(raised(one +
               "  %n = neg(%x)\n  %e = exp(%n)\n  %s = add(%e, %one)\n  %r = div(%one, %s)\n") ==
        "  %r: f32[2,6] = sigmoid(%x)\n");
  CHECK(
      raised(one + "  %n = neg(%x)\n  %e = exp(%n)\n  %s = add(%one, %e)\n  %r = div(%x, %s)\n") ==
      "  %r: f32[2,6] = silu(%x)\n");
  CHECK(raised(one + "  %e = exp(%x)\n  %s = add(%e, %one)\n  %r = log(%s)\n") ==
        "  %r: f32[2,6] = softplus(%x)\n");
  CHECK(raised("  %s = sigmoid(%x)\n  %r = log(%s)\n") ==
        "  %neg: f32[2,6] = neg(%x)\n  %softplus: f32[2,6] = softplus(%neg)\n"
        "  %r: f32[2,6] = neg(%softplus)\n");
}

TEST_CASE("raise: hard swish and hard sigmoid", "[raise]") {
  std::string cut = constant("three", 3) + constant("zero", 0) + constant("six", 6) +
                    "  %s = add(%x, %three)\n  %a = maximum(%s, %zero)\n  %c = minimum(%a, %six)\n";
  const char* swish = "  %r: f32[2,6] = hard_swish(%x)\n";
  CHECK(raised(cut + "  %p = mul(%x, %c)\n  %r = div(%p, %six)\n") == swish);
  CHECK(raised(cut + "  %p = div(%c, %six)\n  %r = mul(%x, %p)\n") == swish);
  CHECK(raised("  %h = hard_sigmoid(%x) {alpha=" + to_string(Attr(1.0 / 6)) +
               ", beta=0.5}\n"
               "  %r = mul(%h, %x)\n") == swish);
  CHECK(raised(cut + "  %r = div(%c, %six)\n").find(" = hard_sigmoid(%x)") != std::string::npos);
}

TEST_CASE("raise: layer norm", "[raise]") {
  std::string centered = "  %m = reduce_mean(%x) {axes=[1]}\n" + repeat("mean", "m") +
                         "  %d = sub(%x, %mean)\n" + constant("two", 2) + "  %q = pow(%d, %two)\n" +
                         "  %variance = reduce_mean(%q) {axes=[1]}\n";
  // Kept axes are reshapes.
  std::string root = "  %k = reshape(%variance) {shape=[2,1]}\n" + constant("e", 1e-5, "[2,1]") +
                     "  %s = add(%k, %e)\n  %t = sqrt(%s)\n  %u = reshape(%t) {shape=[2]}\n" +
                     repeat("deviation", "u");
  std::string affine =
      "  %a = broadcast(%w) {axes=[1], shape=[2,6]}\n  %b = broadcast(%v) {axes=[1], "
      "shape=[2,6]}\n  %o = mul(%n, %a)\n  %r = add(%o, %b)\n";
  const std::string expected =
      "  %r: f32[2,6] = layer_norm(%x, %w, %v) {axes=[1], epsilon=1e-05}\n";
  CHECK(raised(centered + root + "  %n = div(%d, %deviation)\n" + affine) == expected);
  CHECK(raised(centered + constant("e", 1e-5, "[2]") +
               "  %s = add(%variance, %e)\n  %t = rsqrt(%s)\n" + repeat("inverse", "t") +
               "  %n = mul(%d, %inverse)\n" + affine) == expected);
  CHECK(raised(centered + root + "  %r = div(%d, %deviation)\n").find(" = layer_norm(%x, ") !=
        std::string::npos);
  // Another deviation than that of what is divided.
  std::string other = raised(centered + root + "  %n = div(%x, %deviation)\n" + affine);
  CHECK(other.find("norm(") == std::string::npos);
}

TEST_CASE("raise: rms norm", "[raise]") {
  std::string mean = constant("two", 2) +
                     "  %q = pow(%x, %two)\n  %m = reduce_mean(%q) {axes=[1]}\n" +
                     constant("e", 1e-6, "[2]") + "  %s = add(%m, %e)\n";
  std::string scale = "  %a = broadcast(%w) {axes=[1], shape=[2,6]}\n  %r = mul(%a, %n)\n";
  const std::string expected = "  %r: f32[2,6] = rms_norm(%x, %w) {axes=[1], epsilon=1e-06}\n";
  CHECK(raised(mean + "  %t = rsqrt(%s)\n" + repeat("i", "t") + "  %n = mul(%x, %i)\n" + scale) ==
        expected);
  CHECK(raised(mean + "  %t = sqrt(%s)\n" + constant("one", 1, "[2]") + "  %o = div(%one, %t)\n" +
               repeat("i", "o") + "  %n = mul(%x, %i)\n" + scale) == expected);
  CHECK(raised(mean + "  %t = sqrt(%s)\n" + repeat("i", "t") + "  %n = div(%x, %i)\n" + scale) ==
        expected);
}

TEST_CASE("raise: softmax and its logarithm", "[raise]") {
  std::string top = "  %t = reduce_max(%x) {axes=[1]}\n" + repeat("top", "t") +
                    "  %d = sub(%x, %top)\n  %e = exp(%d)\n  %s = reduce_sum(%e) {axes=[1]}\n";
  CHECK(raised(top + repeat("sum", "s") + "  %r = div(%e, %sum)\n") ==
        "  %r: f32[2,6] = softmax(%x) {axis=1}\n");
  CHECK(raised("  %e = exp(%x)\n  %s = reduce_sum(%e) {axes=[1]}\n" + repeat("sum", "s") +
               "  %r = div(%e, %sum)\n") == "  %r: f32[2,6] = softmax(%x) {axis=1}\n");
  const std::string logarithm = "  %r: f32[2,6] = log_softmax(%x) {axis=1}\n";
  CHECK(raised(top + "  %l = log(%s)\n" + repeat("log", "l") + "  %r = sub(%d, %log)\n") ==
        logarithm);
  CHECK(raised("  %l = reduce_log_sum_exp(%x) {axes=[1]}\n" + repeat("log", "l") +
               "  %r = sub(%x, %log)\n") == logarithm);
  CHECK(raised("  %s = softmax(%x) {axis=1}\n  %r = log(%s)\n") == logarithm);
  // The sum of something else.
  CHECK(raised("  %e = exp(%x)\n  %s = reduce_sum(%x) {axes=[1]}\n" + repeat("sum", "s") +
               "  %r = div(%e, %sum)\n")
            .find("softmax") == std::string::npos);
}

TEST_CASE("raise: attention", "[raise]") {
  auto attention = [](const std::string& ops, const std::string& type = "f32") {
    Module module =
        parsed("module @m\nentry @f(%q: " + type + "[2,5,3,4], %k: " + type +
               "[2,6,3,4], %v: " + type + "[2,6,3,7]) {\nforward:\n" + ops + "  return r=%r\n}\n");
    Module after = raise(simplify(module, Options{}), Options{});
    verify(after);
    CHECK(first_difference(module, after) == std::nullopt);
    return after;
  };
  // Heads come third; q and k each take the root of the scale.
  std::string heads =
      "  %qh = transpose(%q) {permutation=[0,2,1,3]}\n"
      "  %kh = transpose(%k) {permutation=[0,2,3,1]}\n"
      "  %vh = transpose(%v) {permutation=[0,2,1,3]}\n"
      "  %cq = constant() {dtype=f32, shape=[2,3,5,4], value=0.5}\n"
      "  %ck = constant() {dtype=f32, shape=[2,3,4,6], value=0.5}\n"
      "  %qs = mul(%qh, %cq)\n  %ks = mul(%kh, %ck)\n"
      "  %scores = dot(%qs, %ks) {batch_a=[0,1], batch_b=[0,1], sum_a=[3], sum_b=[2]}\n";
  std::string rest = "  %r = dot(%p, %vh) {batch_a=[0,1], batch_b=[0,1], sum_a=[3], sum_b=[2]}\n";
  Module plain = attention(heads + "  %p = softmax(%scores) {axis=3}\n" + rest);
  const Op& last = plain.functions[0].ops.back();
  CHECK(last.code == Opcode::attention);
  CHECK(last.attrs.real("scale") == 0.25);
  // In 16 bits the parts of the scale stay where they are.
  std::string half = heads + "  %p = softmax(%scores) {axis=3}\n" + rest;
  for (size_t at = 0; (at = half.find("dtype=f32", at)) != std::string::npos;)
    half.replace(at, 9, "dtype=f16");
  Module small = attention(half, "f16");
  CHECK(small.functions[0].ops.back().code == Opcode::attention);
  CHECK(small.functions[0].ops.back().attrs.real("scale") == 1);
  // The keys' axis must be the softmax's.
  Module other = attention(heads + "  %p = softmax(%scores) {axis=2}\n" + rest);
  CHECK(other.functions[0].ops.back().code == Opcode::dot);
}

namespace {

// What simplify and raise make of softmax(scores) v, where `ops` make %masked of %s, the scores of
// 5 queries and 6 keys of two batches of three heads; checked to compute the same.
Module raised_attention(const std::string& ops, const std::string& parameters = "",
                        const std::string& weights = "  %p = softmax(%masked) {axis=3}\n") {
  Module module = parsed(
      "module @m\nentry @f(%q: f32[2,3,5,4], %k: f32[2,3,6,4], %v: f32[2,3,6,7]" + parameters +
      ") {\nforward:\n"
      "  %product = dot(%q, %k) {batch_a=[0,1], batch_b=[0,1], sum_a=[3], sum_b=[3]}\n"
      "  %root = constant() {dtype=f32, shape=[2,3,5,6], value=2.0}\n"
      "  %s = div(%product, %root)\n" +
      ops + weights +
      "  %r = dot(%p, %v) {batch_a=[0,1], batch_b=[0,1], sum_a=[3], sum_b=[2]}\n"
      "  return r=%r\n}\n");
  Module after = raise(simplify(module, Options{}), Options{});
  verify(after);
  CHECK(first_difference(module, after) == std::nullopt);
  return after;
}

std::string whole(const std::string& name, double value) {
  return constant(name, value, "[2,3,5,6]");
}

// Whether key <= query + offset, as exporters' masks read: [1,1,5,6] repeated.
std::string past(int offset) {
  return "  %key = iota() {axis=1, dtype=i32, shape=[5,6]}\n"
         "  %row = iota() {axis=0, dtype=i32, shape=[5,6]}\n"
         "  %more = constant() {dtype=i32, shape=[5,6], value=" +
         std::to_string(offset) +
         ".0}\n  %last = add(%row, %more)\n  %square = less_equal(%key, %last)\n"
         "  %four = reshape(%square) {shape=[1,1,5,6]}\n"
         "  %flat = reshape(%four) {shape=[5,6]}\n"
         "  %seen = broadcast(%flat) {axes=[2,3], shape=[2,3,5,6]}\n";
}

const Op& last_op(const Module& module) {
  return module.functions[0].ops.back();
}

bool is_attention(const Module& module, bool causal, size_t operands) {
  const Op& op = last_op(module);
  return op.code == Opcode::attention && op.attrs.flag("causal") == causal &&
         op.attrs.real("scale") == 0.5 && op.operands.size() == operands;
}

}  // namespace

TEST_CASE("raise: attention that hides the future", "[raise]") {
  // Where(bias, scores, -1e4 or the lowest number), and masked_fill.
  for (double number : {-1e4, -3.4028234663852886e38})
    CHECK(is_attention(
        raised_attention(past(1) + whole("low", number) + "  %masked = select(%seen, %s, %low)\n"),
        true, 3));
  CHECK(is_attention(raised_attention(past(1) + whole("low", -HUGE_VAL) +
                                      "  %hidden = logical_not(%seen)\n"
                                      "  %masked = select(%hidden, %low, %s)\n"),
                     true, 3));
  // Numbers to be added, in either order.
  std::string numbers = past(1) + whole("low", -HUGE_VAL) + whole("zero", 0) +
                        "  %bias = select(%seen, %zero, %low)\n";
  CHECK(is_attention(raised_attention(numbers + "  %masked = add(%s, %bias)\n"), true, 3));
  CHECK(is_attention(raised_attention(numbers + "  %masked = add(%bias, %s)\n"), true, 3));
  // Another diagonal is a mask like any other; with -1e4 it is none, as rows may be empty.
  CHECK(is_attention(
      raised_attention(past(0) + whole("low", -3e38) + "  %masked = select(%seen, %s, %low)\n"),
      false, 4));
  CHECK(last_op(raised_attention(past(0) + whole("low", -1e4) +
                                 "  %masked = select(%seen, %s, %low)\n"))
            .code == Opcode::dot);
}

TEST_CASE("raise: attention with a mask", "[raise]") {
  const std::string bias = ", %bias: f32[2,1,1,6]";
  const std::string wide =
      "  %two = reshape(%bias) {shape=[2,6]}\n"
      "  %wide = broadcast(%two) {axes=[0,3], shape=[2,3,5,6]}\n";
  Module added = raised_attention(wide + "  %masked = add(%s, %wide)\n", bias);
  REQUIRE(is_attention(added, false, 4));
  CHECK(added.functions[0].type(last_op(added).operand(3)).dims == Dims{2, 1, 1, 6});
  // The future is hidden and a mask added: one mask.
  CHECK(is_attention(raised_attention(wide + past(1) + whole("low", -3e38) +
                                          "  %kept = select(%seen, %s, %low)\n"
                                          "  %masked = add(%kept, %wide)\n",
                                      bias),
                     false, 4));
  const std::string choice = ", %see: bool[5,6]";
  const std::string chosen = "  %seen = broadcast(%see) {axes=[2,3], shape=[2,3,5,6]}\n" +
                             whole("low", -3e38) + "  %masked = select(%seen, %s, %low)\n";
  CHECK(is_attention(raised_attention(chosen, choice), false, 4));
  // Rows without keys become 0.
  const std::string safe = "  %w = softmax(%masked) {axis=3}\n  %no = is_nan(%w)\n" +
                           whole("zero", 0) + "  %p = select(%no, %zero, %w)\n";
  const std::string infinite = "  %seen = broadcast(%see) {axes=[2,3], shape=[2,3,5,6]}\n" +
                               whole("low", -HUGE_VAL) + whole("none", 0) +
                               "  %bias = select(%seen, %none, %low)\n  %masked = add(%s, %bias)\n";
  CHECK(is_attention(raised_attention(infinite, choice, safe), false, 4));
  // What hides nothing but itself is no mask.
  CHECK(last_op(raised_attention(whole("low", -1e3) +
                                     "  %seen = broadcast(%see) {axes=[2,3], shape=[2,3,5,6]}\n"
                                     "  %masked = select(%seen, %s, %low)\n",
                                 choice))
            .code == Opcode::dot);
}

TEST_CASE("raise: attention whose keys and values several heads share", "[raise]") {
  std::string text =
      "module @m\nentry @f(%q: f32[2,6,5,4], %k: f32[2,3,6,4], %v: f32[2,3,6,7]) {\nforward:\n"
      "  %k5 = broadcast(%k) {axes=[0,1,3,4], shape=[2,3,2,6,4]}\n"
      "  %v5 = broadcast(%v) {axes=[0,1,3,4], shape=[2,3,2,6,7]}\n"
      "  %ks = reshape(%k5) {shape=[2,6,6,4]}\n  %vs = reshape(%v5) {shape=[2,6,6,7]}\n"
      "  %s = dot(%q, %ks) {batch_a=[0,1], batch_b=[0,1], sum_a=[3], sum_b=[3]}\n"
      "  %p = softmax(%s) {axis=3}\n"
      "  %r = dot(%p, %vs) {batch_a=[0,1], batch_b=[0,1], sum_a=[3], sum_b=[2]}\n"
      "  return r=%r\n}\n";
  Module module = parsed(text), after = raise(simplify(module, Options{}), Options{});
  CHECK(first_difference(module, after) == std::nullopt);
  REQUIRE(after.functions[0].ops.size() == 1);
  CHECK(last_op(after).code == Opcode::attention);
}
