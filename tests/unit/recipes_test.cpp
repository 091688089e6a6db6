#include "compiler/passes/recipes.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <set>

#include "compiler/check.h"
#include "compiler/kernel_check.h"
#include "compiler/passes/fuse.h"
#include "ir/eval.h"
#include "ir/parse.h"
#include "ir/print.h"
#include "ir/verify.h"

using namespace gradc;

namespace {

struct Found {
  Module module;
  std::vector<const Function*> kernels;
};

Found recipes_of(const std::string& text, bool rounding) {
  Options options;
  options.invert = rounding;
  Module module = parse_module("module @m\n" + text, "t.ir");
  Found found{recipes(fuse(module, options), options), {}};
  verify(found.module);
  check_kernels(found.module);
  CHECK(print(parse_module(print(found.module), "t.ir")) == print(found.module));
  for (const Function& function : found.module.functions)
    if (function.attrs.has("recipe_of"))
      found.kernels.push_back(&function);
  return found;
}

bool is_part(const Function* recipe) {
  return recipe->name.find("_part_") != std::string::npos;
}

// Runs a kernel and then the recipe on what the kernel has read and given.
double largest_error(const Module& module, const Function& recipe) {
  const Function& kernel = module.function(recipe.attrs.string("recipe_of"));
  std::vector<Tensor> known = random_arguments(kernel, 1);
  for (Tensor& result : eval_closed(module, kernel, known))
    known.push_back(std::move(result));
  std::vector<Tensor> taken;
  for (int64_t number : recipe.attrs.integers("takes"))
    taken.push_back(known[static_cast<size_t>(number)]);
  Tensor given = eval_closed(module, recipe, taken)[0];
  const Tensor& expected = known[static_cast<size_t>(recipe.attrs.integer("gives"))];
  REQUIRE(given.type == expected.type);
  double error = 0;
  for (size_t i = 0; i < given.data.size(); ++i)
    error = std::max(error, std::abs(given.data[i] - expected.data[i]));
  return error;
}

constexpr const char* kCoupling = R"(
entry @train_step(%a: f32[64,64], %z: f32[64,64], %w: f32[64,64]) {
forward:
  %x: f32[64,64] = dot(%a, %a) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %f: f32[64,64] = dot(%z, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %y: f32[64,64] = add(%f, %x)
  %s: f32[64] = reduce_sum(%y) {axes=[0]}
backward:
  %g: f32[64,64] = dot(%x, %y) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}
  return %s, %g
}
)";

}  // namespace

TEST_CASE("a coupling's kernel has an inverse that computes its other part again", "[recipes]") {
  Found found = recipes_of(kCoupling, true);
  REQUIRE(found.kernels.size() == 1);
  const Function& inverse = *found.kernels[0];
  CHECK(inverse.attrs.flag("rounds"));
  CHECK(inverse.attrs.string("class") == "contract");
  CHECK(inverse.parameters.size() == 3);
  CHECK(largest_error(found.module, inverse) < 1e-12);
}

TEST_CASE("an inverse that rounds has to be asked for", "[recipes]") {
  CHECK(recipes_of(kCoupling, false).kernels.empty());
}

TEST_CASE("what moves elements has an inverse of the same bits", "[recipes]") {
  Found found = recipes_of(R"(
entry @train_step(%a: f32[64,32], %b: f32[32,32]) {
forward:
  %x: f32[64,32] = dot(%a, %b) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %e: f32[64,32] = dot(%a, %b) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %c: f32[64,64] = concat(%x, %e) {axis=1}
  %y: f32[64,64] = transpose(%c) {permutation=[1,0]}
  %s: f32[64] = reduce_max(%y) {axes=[0]}
backward:
  %g: f32[32,32] = dot(%x, %e) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}
  %h: f32[64,64] = dot(%y, %y) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}
  return %s, %g, %h
}
)",
                           false);
  CHECK(std::count_if(found.kernels.begin(), found.kernels.end(), [](const Function* kernel) {
          return kernel->name.find("_inverse_") != std::string::npos;
        }) == 2);
  for (const Function* inverse : found.kernels) {
    CHECK(!inverse->attrs.has("rounds"));
    CHECK(largest_error(found.module, *inverse) == 0);
  }
}

TEST_CASE("the inverse of a leaky relu says what errors grow by", "[recipes]") {
  auto inverses_with = [](std::string_view slope) {
    Found found = recipes_of(fmt::format(R"(
entry @train_step(%a: f32[64,64]) {{
forward:
  %x: f32[64,64] = dot(%a, %a) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
  %p: f32[64,64] = dot(%x, %x) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
  %y: f32[64,64] = leaky_relu(%x) {{slope={}}}
  %q: f32[64,64] = dot(%y, %p) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
backward:
  %r: f32[64,64] = dot(%y, %q) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
  %s: f32[64,64] = dot(%x, %r) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
  return %s
}}
)",
                                         slope),
                             true);
    std::erase_if(found.kernels, is_part);
    return found;
  };
  for (auto [slope, growth] : {std::pair{"0.25", 4.0}, {"0.001", 1000.0}, {"2.0", 1.0}}) {
    CAPTURE(slope);
    Found found = inverses_with(slope);
    REQUIRE(found.kernels.size() == 1);
    const Function& inverse = *found.kernels[0];
    CHECK(inverse.attrs.flag("rounds"));
    CHECK(inverse.attrs.real_or("growth", 1) == Approx(growth));
    CHECK(largest_error(found.module, inverse) < 1e-12);
  }
  for (const char* slope : {"0.0", "-0.5", "0.0005"})
    CHECK(inverses_with(slope).kernels.empty());
}

TEST_CASE("a batch norm's input follows from its activation if no scale is near 0", "[recipes]") {
  auto inverses_with = [](std::string_view scale) {
    Found found = recipes_of(fmt::format(R"(
entry @train_step(%a: f32[64,64], %raw: f32[64], %bias: f32[64]) {{
forward:
  %x: f32[64,64] = dot(%a, %a) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
  %sum: f32[64] = reduce_sum(%x) {{axes=[0]}}
  %part: f32[64] = constant() {{dtype=f32, shape=[64], value=0.015625}}
  %mean: f32[64] = mul(%sum, %part)
  %means: f32[64,64] = broadcast(%mean) {{axes=[1], shape=[64,64]}}
  %d: f32[64,64] = sub(%x, %means)
  %dd: f32[64,64] = mul(%d, %d)
  %square: f32[64] = reduce_sum(%dd) {{axes=[0]}}
  %r: f32[64] = rsqrt(%square)
  %least: f32[64] = constant() {{dtype=f32, shape=[64], value=0.0625}}
  %size: f32[64] = abs(%raw)
  %away: f32[64] = add(%size, %least)
  %slope: f32[64] = mul(%r, {})
  %slopes: f32[64,64] = broadcast(%slope) {{axes=[1], shape=[64,64]}}
  %n: f32[64,64] = mul(%d, %slopes)
  %biases: f32[64,64] = broadcast(%bias) {{axes=[1], shape=[64,64]}}
  %z: f32[64,64] = add(%n, %biases)
  %y: f32[64,64] = leaky_relu(%z) {{slope=0.5}}
  %q: f32[64,64] = dot(%y, %a) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
backward:
  %s: f32[64,64] = dot(%y, %q) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
  %t: f32[64,64] = dot(%d, %s) {{batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}}
  %u: f32[64] = mul(%slope, %mean)
  return %t, %u
}}
)",
                                         scale),
                             true);
    std::erase_if(found.kernels, is_part);
    return found;
  };
  Found found = inverses_with("%away");
  REQUIRE(found.kernels.size() == 1);
  const Function& inverse = *found.kernels[0];
  CHECK(inverse.attrs.flag("rounds"));
  CHECK(inverse.attrs.real_or("growth", 1) == Approx(2 * 16));
  CHECK(largest_error(found.module, inverse) < 1e-12);
  CHECK(inverses_with("%raw").kernels.empty());
}

TEST_CASE("what cannot be told from a result has no inverse", "[recipes]") {
  // Read twice: y = x + tanh(x). Cut off: relu. A factor that may be 0. Read once only.
  for (const char* y : {"%t: f32[64,64] = tanh(%x)\n  %y: f32[64,64] = add(%x, %t)",
                        "%y: f32[64,64] = relu(%x)", "%y: f32[64,64] = mul(%x, %a)"}) {
    CAPTURE(y);
    CHECK(recipes_of(R"(
entry @train_step(%a: f32[64,64]) {
forward:
  %x: f32[64,64] = dot(%a, %a) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}
  %p: f32[64,64] = dot(%x, %x) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}
  )" + std::string(y) + R"(
  %q: f32[64,64] = dot(%y, %p) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}
  return %q
}
)",
                     true)
              .kernels.empty());
  }
}

// The backward pass reads an activation, and what was before it.
const char kActivation[] = R"(
entry @train_step(%a: f32[64,64], %b: f32[64,64]) {
forward:
  %z: f32[64,64] = dot(%a, %b) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %x: f32[64,64] = tanh(%z)
  %y: f32[64,64] = dot(%x, %b) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
backward:
  %q: f32[64,64] = dot(%z, %x) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  return %y, %q
}
)";

TEST_CASE("an activation has a recipe from what was before it", "[recipes]") {
  Found found = recipes_of(kActivation, false);
  auto part = std::ranges::find_if(
      found.kernels, [](const Function* recipe) { return recipe->attrs.string("class") == "map"; });
  REQUIRE(part != found.kernels.end());
  CHECK((*part)->parameters.size() == 1);
  CHECK(largest_error(found.module, **part) == 0);
}

TEST_CASE("a result has a recipe without others that are as large", "[recipes]") {
  Found found = recipes_of(kActivation, false);
  std::set<int64_t> given;
  for (const Function* recipe : found.kernels) {
    if (recipe->attrs.string("class") != "contract")
      continue;
    CHECK(recipe->results.size() == 1);
    CHECK(recipe->attrs.integers("takes") == std::vector<int64_t>{0, 1});
    CHECK(largest_error(found.module, *recipe) == 0);
    given.insert(recipe->attrs.integer("gives"));
  }
  CHECK(given == std::set<int64_t>{2, 3});
}

TEST_CASE("a dropout's mask is made again from its counter alone", "[recipes]") {
  Found found = recipes_of(R"(
entry @train_step(%a: f32[64,64], %seed: i64[], %step: i64[]) {
forward:
  %z: f32[64,64] = dot(%a, %a) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %u: f32[64,64] = random_uniform(%seed, %step) {shape=[64,64], stream=0}
  %half: f32[64,64] = constant() {dtype=f32, shape=[64,64], value=0.5}
  %kept: bool[64,64] = less_equal(%half, %u)
  %none: f32[64,64] = constant() {dtype=f32, shape=[64,64], value=0.0}
  %y: f32[64,64] = select(%kept, %z, %none)
  %s: f32[64] = reduce_sum(%y) {axes=[0]}
backward:
  %d: f32[64,64] = dot(%a, %a) {batch_a=[], batch_b=[], sum_a=[0], sum_b=[0]}
  %g: f32[64,64] = select(%kept, %d, %none)
  return %s, %g
}
)",
                           false);
  auto mask = std::ranges::find_if(found.kernels, [](const Function* recipe) {
    return recipe->type(recipe->results[0].value).dtype == DType::boolean;
  });
  REQUIRE(mask != found.kernels.end());
  CHECK((*mask)->attrs.integers("takes") == std::vector<int64_t>{1, 2});
  CHECK(largest_error(found.module, **mask) == 0);
}
