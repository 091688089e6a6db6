#include "compiler/passes/fuse.h"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <set>
#include <string>

#include "compiler/passes/expand.h"
#include "compiler/passes/simplify.h"
#include "ir/eval.h"
#include "ir/op_def.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"
#include "tests/support/random_module.h"

using namespace gradc;

namespace {

// An entry of an MLP layer with its softmax, as `expand` leaves it.
const std::string kSoftmax = R"(module @m
param @b: f32[5]

entry @infer(%x: f32[8,3], %w: f32[3,5], %b: f32[5] = @b) {
forward:
  %z: f32[8,5] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %b.all: f32[8,5] = broadcast(%b) {axes=[1], shape=[8,5]}
  %a: f32[8,5] = add(%z, %b.all)
  %m: f32[8] = reduce_max(%a) {axes=[1]}
  %m.all: f32[8,5] = broadcast(%m) {axes=[0], shape=[8,5]}
  %c: f32[8,5] = sub(%a, %m.all)
  %e: f32[8,5] = exp(%c)
  %s: f32[8] = reduce_sum(%e) {axes=[1]}
  %s.all: f32[8,5] = broadcast(%s) {axes=[0], shape=[8,5]}
  %y: f32[8,5] = div(%e, %s.all)
  return y=%y
}
)";

Module fused(const std::string& text) {
  Module module = parse_module(text, "t.ir");
  verify(module);
  std::string before = print(module);
  Module result = fuse(module, {});
  verify(result);
  CHECK(print(module) == before);
  return result;
}

std::vector<std::string> callees(const Module& module, const std::string& entry) {
  std::vector<std::string> names;
  for (const Op& op : module.function(entry).ops)
    if (!op.callee.empty())
      names.push_back(op.callee);
  return names;
}

std::string entry_text(const std::string& parameters, const std::string& body,
                       const std::string& state = "f32[4]") {
  return "module @m\nparam @w: " + state + "\nentry @e(" + parameters + ") {\n" + body + "}\n";
}

}  // namespace

TEST_CASE("a dense layer with softmax becomes a product with its bias and one reduction",
          "[fuse]") {
  Module module = fused(kSoftmax);
  CHECK(callees(module, "infer") ==
        std::vector<std::string>{"dot_add_1", "reduce_max_sub_exp_reduce_sum_1"});
  const Function& product = module.function("dot_add_1");
  CHECK(product.attrs.string("class") == "contract");
  CHECK(product.results.size() == 1);
  const Function& softmax = module.function("reduce_max_sub_exp_reduce_sum_1");
  CHECK(softmax.attrs.string("class") == "reduce");
  CHECK(softmax.attrs.integers("axes") == std::vector<int64_t>{1});
}

TEST_CASE("equal kernels become one function", "[fuse]") {
  Module module =
      fused(entry_text("%x: f32[4], %y: f32[4]",
                       "  %a: f32[4] = tanh(%x)\n  %b: f32[4] = tanh(%y)\n  return a=%a, b=%b\n"));
  CHECK(callees(module, "e") == std::vector<std::string>{"tanh_1", "tanh_1"});
}

TEST_CASE("an elementwise chain is one kernel that may run in place", "[fuse]") {
  Module module = fused(entry_text(
      "%x: f32[4]", "  %a: f32[4] = tanh(%x)\n  %b: f32[4] = mul(%a, %x)\n  return %b\n"));
  REQUIRE(callees(module, "e").size() == 1);
  CHECK(module.functions[0].attrs.integers("inplace") == std::vector<int64_t>{0, 0});
}

TEST_CASE("a value that is read elsewhere than where it is written goes through memory", "[fuse]") {
  Module module = fused(
      entry_text("%x: f32[4,4]",
                 "  %a: f32[4,4] = tanh(%x)\n  %t: f32[4,4] = transpose(%a) {permutation=[1,0]}\n"
                 "  %b: f32[4,4] = add(%t, %a)\n  return %b\n"));
  CHECK(callees(module, "e").size() == 2);
}

TEST_CASE("a merge that would need a third kernel in between is left undone", "[fuse]") {
  // %s depends on %a through a product, so %b cannot join the kernel of %a.
  Module module = fused(
      entry_text("%x: f32[4,4]",
                 "  %a: f32[4,4] = tanh(%x)\n"
                 "  %s: f32[4,4] = dot(%a, %x) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
                 "  %t: f32[4,4] = transpose(%s) {permutation=[1,0]}\n"
                 "  %b: f32[4,4] = add(%a, %t)\n  return %b\n"));
  CHECK(callees(module, "e").size() == 3);
}

TEST_CASE("a sum of products grows with each product", "[fuse]") {
  std::string dots;
  for (int i = 0; i < 4; ++i)
    dots += fmt::format(
        "  %d{}: f32[4,4] = dot(%x{}, %x{}) {{batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}}\n", i,
        i, i);
  Module module = fused(entry_text("%x0: f32[4,4], %x1: f32[4,4], %x2: f32[4,4], %x3: f32[4,4]",
                                   dots + "  %s1: f32[4,4] = add(%d0, %d1)\n"
                                          "  %s2: f32[4,4] = add(%s1, %d2)\n"
                                          "  %s3: f32[4,4] = add(%s2, %d3)\n  return %s3\n"));
  for (const Op& op : module.function("e").ops)
    CHECK(op.operands.size() <= 3);
}

TEST_CASE("a sum of sums of several tensors needs one of them at a time", "[fuse]") {
  std::string sums, inputs;
  for (int i = 0; i < 4; ++i) {
    inputs += fmt::format("{}%x{}: f32[8,4]", i ? ", " : "", i);
    sums += fmt::format("  %r{}: f32[4] = reduce_sum(%x{}) {{axes=[0]}}\n", i, i);
  }
  Module module = fused(entry_text(inputs, sums + "  %s1: f32[4] = add(%r0, %r1)\n"
                                                  "  %s2: f32[4] = add(%s1, %r2)\n"
                                                  "  %s3: f32[4] = add(%s2, %r3)\n  return %s3\n"));
  CHECK(callees(module, "e").size() == 4);
  for (const Op& op : module.function("e").ops)
    CHECK(op.operands.size() <= 2);
  // Sums of one tensor take one sweep.
  module = fused(entry_text("%x: f32[8,4], %y: f32[8,4]",
                            "  %p: f32[8,4] = mul(%x, %y)\n"
                            "  %r: f32[4] = reduce_sum(%x) {axes=[0]}\n"
                            "  %q: f32[4] = reduce_sum(%p) {axes=[0]}\n"
                            "  %s: f32[4] = add(%q, %r)\n  return %s\n"));
  CHECK(callees(module, "e").size() == 1);
}

TEST_CASE("a slope of what the backward pass holds is computed beside the gradient", "[fuse]") {
  Module module = fused(
      entry_text("%x: f32[4,4], %g: f32[4,4], %v: f32[4,4]",
                 "forward:\n"
                 "  %y: f32[4,4] = tanh(%x)\n"
                 "  %z: f32[4,4] = dot(%y, %v) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
                 "backward:\n"
                 "  %dy: f32[4,4] = dot(%z, %v) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}\n"
                 "  %dv: f32[4,4] = dot(%y, %g) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}\n"
                 "  %square: f32[4,4] = mul(%y, %y)\n"
                 "  %one: f32[4,4] = constant() {dtype=f32, shape=[4,4], value=1.0}\n"
                 "  %slope: f32[4,4] = sub(%one, %square)\n"
                 "  %dx: f32[4,4] = mul(%dy, %slope)\n"
                 "  return z=%z, dv=%dv, dx=%dx\n"));
  CHECK(callees(module, "e") ==
        std::vector<std::string>{"tanh_1", "dot_1", "dot_2", "dot_mul_sub_1"});
  CHECK(module.function("tanh_1").results.size() == 1);
}

TEST_CASE("a slope of what the backward pass does not hold is computed in the forward pass",
          "[fuse]") {
  // %x need not be held: bytes instead of floats are.
  Module module = fused(
      entry_text("%a: f32[4,4], %v: f32[4,4]",
                 "forward:\n"
                 "  %x: f32[4,4] = mul(%a, %a)\n"
                 "  %y: f32[4,4] = relu(%x)\n"
                 "  %z: f32[4,4] = dot(%y, %v) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
                 "backward:\n"
                 "  %dy: f32[4,4] = dot(%z, %v) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}\n"
                 "  %zero: f32[4,4] = constant() {dtype=f32, shape=[4,4], value=0.0}\n"
                 "  %mask: bool[4,4] = less(%zero, %x)\n"
                 "  %dx: f32[4,4] = select(%mask, %dy, %zero)\n"
                 "  return z=%z, dx=%dx\n"));
  std::vector<std::string> names = callees(module, "e");
  REQUIRE(names.size() == 3);
  const Function& forward = module.function(names[0]);
  REQUIRE(forward.results.size() == 2);
  CHECK(forward.type(forward.results[1].value).dtype == DType::boolean);
}

TEST_CASE("a kernel with ops of both passes runs when the forward pass wants it", "[fuse]") {
  // %p can be had at once; it stands behind %y all the same.
  Module module = fused(
      entry_text("%a: f32[4,4], %g: f32[4,4], %v: f32[4,4]",
                 "forward:\n"
                 "  %y: f32[4,4] = tanh(%a)\n"
                 "  %p: f32[4,4] = dot(%g, %v) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
                 "backward:\n"
                 "  %square: f32[4,4] = mul(%y, %y)\n"
                 "  return y=%y, p=%p, square=%square\n"));
  CHECK(callees(module, "e") == std::vector<std::string>{"tanh_mul_1", "dot_1"});
}

// Both gradients of a normalisation's scale and bias: the product's kernel stores %d alone, one
// kernel sweeps over it, and what it sums is computed there.
TEST_CASE("what costs less to compute again is no result", "[fuse]") {
  const std::string sums =
      "  %d: f32[64,32] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
      "  %p: f32[64,32] = mul(%d, %n)\n"
      "  %scale: f32[32] = reduce_sum(%p) {axes=[0]}\n"
      "  %bias: f32[32] = reduce_sum(%d) {axes=[0]}\n"
      "  return scale=%scale, bias=%bias, d=%d\n";
  Module module = fused(entry_text("%x: f32[64,8], %w: f32[8,32], %n: f32[64,32]", sums));
  REQUIRE(callees(module, "e").size() == 2);
  const Op& product = module.function("e").ops[0];
  CHECK(product.results.size() == 1);
  CHECK(module.function("e").ops[1].operands.size() == 2);

  // A function is dear.
  std::string dear = sums;
  dear.replace(dear.find("mul(%d, %n)"), 11, "tanh(%d)");
  module = fused(entry_text("%x: f32[64,8], %w: f32[8,32]", dear));
  CHECK(callees(module, "e").size() == 3);
  CHECK(module.function("e").ops[0].results.size() == 2);
}

// Holding %x and its mean takes hardly more than holding %centered, and the forward pass writes
// less. Two tensors in place of one are more.
TEST_CASE("what the backward pass computes again takes no more to hold", "[fuse]") {
  auto results_for = [](const std::string& shape, const std::string& less) {
    Module module = fused(entry_text(
        "%a: f32[64,8], %w: f32[8,32], %v: f32[32,16]",
        "forward:\n"
        "  %x: f32[64,32] = dot(%a, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
        "  %less: " +
            shape + " = " + less +
            "\n"
            "  %all: f32[64,32] = broadcast(%less) {axes=[" +
            (shape == "f32[32]" ? "1" : "0,1") +
            "], shape=[64,32]}\n"
            "  %centered: f32[64,32] = sub(%x, %all)\n"
            "  %y: f32[64,32] = tanh(%centered)\n"
            "  %z: f32[64,16] = dot(%y, %v) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
            "backward:\n"
            "  %dy: f32[64,32] = dot(%z, %v) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}\n"
            "  %p: f32[64,32] = mul(%dy, %centered)\n"
            "  %d: f32[32] = reduce_sum(%p) {axes=[0]}\n"
            "  return d=%d\n"));
    const Function& entry = module.function("e");
    std::set<std::string> names;
    for (const Op& op : entry.ops)
      for (ValueId value : op.results)
        names.insert(entry[value].name);
    return names;
  };
  CHECK_FALSE(results_for("f32[32]", "reduce_sum(%x) {axes=[0]}").contains("centered"));
  CHECK(results_for("f32[64,32]", "cumulative_sum(%x) {axis=1, exclusive=false, reverse=false}")
            .contains("centered"));
}

// The gradients of a norm by its input, scale and bias.
TEST_CASE("what is summed along rows and across them is one sweep", "[fuse]") {
  const std::string text = entry_text("%dy: f32[512,200], %n: f32[512,200]", R"(backward:
  %p: f32[512,200] = mul(%dy, %n)
  %scale: f32[200] = reduce_sum(%p) {axes=[0]}
  %q: f32[512] = reduce_sum(%p) {axes=[1]}
  %q.all: f32[512,200] = broadcast(%q) {axes=[0], shape=[512,200]}
  %dx: f32[512,200] = sub(%dy, %q.all)
  %bias: f32[200] = reduce_sum(%dx) {axes=[0]}
  return dx=%dx, scale=%scale, bias=%bias
)");
  Module module = fused(text);
  REQUIRE(callees(module, "e").size() == 1);
  const Function& kernel = module.functions[0];
  CHECK(kernel.attrs.integers("axes") == std::vector<int64_t>{1});
  CHECK(kernel.results.size() == 3);
  CHECK(!kernel.attrs.has("inplace"));

  auto kernels_with = [&](std::string_view from, std::string_view to) {
    std::string other = text;
    for (size_t at = 0; (at = other.find(from, at)) != std::string::npos; at += to.size())
      other.replace(at, from.size(), to);
    return callees(fused(other), "e").size();
  };
  CHECK(kernels_with("512", "4") == 3);  // not worth it
  CHECK(kernels_with("%bias: f32[200] = reduce_sum(%dx) {axes=[0]}",
                     "%sum: f32[200] = reduce_sum(%dx) {axes=[0]}\n"
                     "  %bias: f32[200] = tanh(%sum)") == 2);
  // Rows as many as columns: what is summed across is no row's sum.
  CHECK(kernels_with("200", "512") == 1);
  std::string square = text;
  square.replace(square.find("%dx: f32[512,200] ="), 0,
                 "%more: f32[200] = add(%scale, %scale)\n  ");
  square.replace(square.find("scale=%scale"), 12, "scale=%scale, more=%more");
  for (size_t at = 0; (at = square.find("200", at)) != std::string::npos;)
    square.replace(at, 3, "512");
  CHECK(callees(fused(square), "e").size() == 2);
}

// Local response normalisation: the product's kernel does not store the squares that are summed.
TEST_CASE("what is cheap is computed again in each window that has it", "[fuse]") {
  const std::string norm =
      "  %d: f32[64,32] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
      "  %s: f32[64,32] = mul(%d, %d)\n"
      "  %sum: f32[64,32] = window_sum(%s) {high=[0,2], low=[0,2], stride=[1,1], window=[1,5]}\n"
      "  %y: f32[64,32] = mul(%d, %sum)\n"
      "  return y=%y\n";
  Module module = fused(entry_text("%x: f32[64,8], %w: f32[8,32]", norm));
  REQUIRE(callees(module, "e").size() == 2);
  CHECK(module.function("e").ops[0].results.size() == 1);

  // Seen often enough, it is not.
  std::string wide = norm;
  wide.replace(wide.find("high=[0,2], low=[0,2]"), 21, "high=[32,32], low=[31,31]");
  wide.replace(wide.find("window=[1,5]"), 12, "window=[64,64]");
  module = fused(entry_text("%x: f32[64,8], %w: f32[8,32]", wide));
  REQUIRE(callees(module, "e").size() == 2);
  CHECK(module.function("e").ops[0].results.size() == 2);
}

TEST_CASE("a gradient is widened where its update reads it", "[fuse]") {
  Module module = fused(
      entry_text("%x: bf16[4,8], %y: bf16[4,8], %w: f32[8,8] = @w",
                 "  %p: bf16[8,8] = dot(%x, %y) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}\n"
                 "  %g: f32[8,8] = cast(%p) {dtype=f32}\nupdate:\n"
                 "  %n: f32[8,8] = sub(%w, %g)\n  return %n -> @w\n",
                 "f32[8,8]"));
  const Function& entry = module.function("e");
  REQUIRE(entry.ops.size() == 2);
  CHECK(entry.type(entry.ops[0].results[0]).dtype == DType::bf16);
}

// With a matrix unit products bring weights into order, whole and once.
TEST_CASE("products narrow the weights that they alone read", "[fuse]") {
  auto kernels = [](const std::string& more, bool matrix) {
    Options options;
    options.target.matrix_bf16 = matrix;
    Module module = parse_module(
        entry_text(
            "%x: bf16[64,32], %w: f32[32,48] = @w",
            "  %n: bf16[32,48] = cast(%w) {dtype=bf16}\n"
            "  %p: bf16[64,48] = dot(%x, %n) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
            "  %q: bf16[64,32] = dot(%p, %n) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}\n" +
                more,
            "f32[32,48]"),
        "t.ir");
    return callees(fuse(module, options), "e");
  };
  CHECK(kernels("  return %q\n", false) == std::vector<std::string>{"cast_1", "dot_1", "dot_2"});
  CHECK(kernels("  return %q\n", true) == std::vector<std::string>{"cast_dot_1", "cast_dot_2"});
  for (const char* reader :
       {"  return %q, %n\n", "  %t: bf16[32,48] = tanh(%n)\n  return %q, %t\n",
        "  %r: bf16[64,48] = dot(%q, %n) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
        "  return %r\n",
        "  %s: bf16[2,32] = slice(%q) {begin=[0,0], end=[2,32], step=[1,1]}\n"
        "  %r: bf16[2,48] = dot(%s, %n) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n"
        "  return %r\n"}) {
    CAPTURE(reader);
    CHECK(kernels(reader, true)[0].starts_with("cast"));
    CHECK_FALSE(kernels(reader, true)[0].starts_with("cast_dot"));
  }
}

TEST_CASE("updates of small tensors share a kernel", "[fuse]") {
  std::string states, parameters, body, results;
  for (int i = 0; i < 5; ++i) {
    states += fmt::format("param @w{}: f32[{}]\n", i, i < 4 ? 8 : 4096);
    parameters += fmt::format("{0}%g{1}: f32[{2}], %w{1}: f32[{2}] = @w{1}", i ? ", " : "", i,
                              i < 4 ? 8 : 4096);
    body += fmt::format("  %n{0}: f32[{1}] = sub(%w{0}, %g{0})\n", i, i < 4 ? 8 : 4096);
    results += fmt::format("{0}%n{1} -> @w{1}", i ? ", " : "", i);
  }
  Module module = fused("module @m\n" + states + "entry @e(" + parameters + ") {\nupdate:\n" +
                        body + "  return " + results + "\n}\n");
  REQUIRE(callees(module, "e").size() == 2);
  const Op* small = &module.function("e").ops[0];
  if (small->results.size() == 1)
    small = &module.function("e").ops[1];
  CHECK(small->results.size() == 4);
  CHECK(module.function(small->callee).attrs.integers("inplace").size() == 8);
}

TEST_CASE("fuse says why kernels are apart", "[fuse]") {
  std::vector<std::string> lines;
  Options options;
  options.explain = [&](const std::string& line) { lines.push_back(line); };
  Module module = parse_module(
      entry_text("%x: f32[4,4]",
                 "  %a: f32[4,4] = tanh(%x)\n  %t: f32[4,4] = transpose(%a) {permutation=[1,0]}\n"
                 "  %b: f32[4,4] = add(%t, %a)\n  return %b\n"),
      "t.ir");
  CHECK(print(fuse(module, options)) == print(fuse(module, {})));
  REQUIRE(lines.size() == 1);
  CHECK(
      lines[0] ==
      "@e: @tanh_1 and @add_1 are apart, 64 bytes of %a pass: what passes between them is read at "
      "other places than it is written");
}

TEST_CASE("every result has a kernel of its own", "[fuse]") {
  Module module =
      fused(entry_text("%x: f32[4]", "  %a: f32[4] = tanh(%x)\n  return %x, %a, again=%a\n"));
  const Function& entry = module.function("e");
  std::vector<std::optional<OpId>> definitions = defining_ops(entry);
  std::set<ValueId> values;
  for (const Result& result : entry.results) {
    CHECK(definitions[result.value.index].has_value());
    CHECK(values.insert(result.value).second);
  }
}

TEST_CASE("what nobody reads makes no kernel", "[fuse]") {
  Module module = fused(entry_text(
      "%x: f32[4]", "  %dead: f32[4] = exp(%x)\n  %a: f32[4] = tanh(%x)\n  return %a\n"));
  CHECK(callees(module, "e") == std::vector<std::string>{"tanh_1"});
}

TEST_CASE("only primitive ops are fused", "[fuse]") {
  std::string composite =
      entry_text("%x: f32[4,4]", "  %a: f32[4,4] = softmax(%x) {axis=1}\n  return %a\n");
  CHECK_THROWS_WITH(fused(composite),
                    Catch::StartsWith("error: @e: `softmax` is no primitive op that could be "
                                      "fused\nhelp: run `expand` first"));
  Module once = fused(entry_text("%x: f32[4]", "  %a: f32[4] = tanh(%x)\n  return %a\n"));
  CHECK_THROWS_WITH(fuse(once, {}), Catch::StartsWith("error: @e: `call` is no primitive op"));
}

TEST_CASE("a write of state comes after the readers of its old content", "[fuse]") {
  Module module = fused(
      entry_text("%x: f32[4], %w: f32[4] = @w",
                 "  %n: f32[4] = tanh(%x)\n  %y: f32[4] = mul(%w, %w)\n  return y=%y, %n -> @w\n"));
  const Function& entry = module.function("e");
  REQUIRE(entry.ops.size() == 2);
  CHECK(entry.ops[1].results[0] == entry.results[1].value);
  CHECK(entry.ops[1].phase == Phase::update);
}

TEST_CASE("a state whose reader needs its new content is written by a copy", "[fuse]") {
  Module module = fused(entry_text(
      "%x: f32[4], %w: f32[4] = @w",
      "  %n: f32[4] = add(%w, %x)\n  %y: f32[4] = mul(%n, %w)\n  return y=%y, %n -> @w\n"));
  const Function& entry = module.function("e");
  CHECK(entry.ops.back().callee == "copy_1");
  CHECK(entry.ops.back().results[0] == entry.results[1].value);
}

TEST_CASE("a state that is permuted by its own update goes through the arena", "[fuse]") {
  Module module = fused(
      "module @m\nparam @w: f32[4,4]\nentry @e(%w: f32[4,4] = @w) {\n"
      "  %n: f32[4,4] = transpose(%w) {permutation=[1,0]}\n  return %n -> @w\n}\n");
  CHECK(callees(module, "e") == std::vector<std::string>{"transpose_1", "copy_1"});
}

TEST_CASE("fused random modules evaluate to the same bits", "[fuse][property]") {
  size_t kernels = 0, ops = 0;
  for (uint64_t seed = 0; seed < 250; ++seed) {
    INFO("seed " << seed);
    test::RandomModule random = test::random_module(seed);
    Module primitives = simplify(expand(random.module, {}), {});
    Module result = fuse(primitives, {});
    verify(result);
    const Function& before = primitives.function("main");
    const Function& after = result.function("main");
    State state;
    std::vector<Tensor> expected = eval(primitives, before, random.arguments, state);
    std::vector<Tensor> actual = eval(result, after, random.arguments, state);
    REQUIRE(actual.size() == expected.size());
    for (size_t i = 0; i < actual.size(); ++i)
      CHECK(std::equal(actual[i].data.begin(), actual[i].data.end(), expected[i].data.begin(),
                       [](double x, double y) { return x == y || (x != x && y != y); }));
    kernels += callees(result, "main").size();
    ops += before.ops.size();
  }
  CHECK(kernels * 2 < ops);
}
