#include "compiler/passes/batch_mixing.h"

#include <catch2/catch.hpp>
#include <regex>

#include "compiler/check.h"
#include "ir/eval.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// A step whose loss follows from %x, %t and %w; N is the batch, B the reciprocal of it.
Module step_of(const std::string& body, int batch) {
  std::string text =
      "module @m\nparam @w: f32[3,3]\n\nentry @train_step(%x: f32[N,3], %t: f32[N,3], %w: f32[3,3] "
      "= @w) {\nforward:\n" +
      body + "  return loss=%loss\n}\n";
  text = std::regex_replace(text, std::regex(R"(\bN\b)"), std::to_string(batch));
  return parsed(std::regex_replace(text, std::regex(R"(\bB\b)"), std::to_string(1.0 / batch)));
}

const std::string kProduct =
    "  %z: f32[N,3] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}\n";
// Of %y, which has the batch's axis first and two more elements a sample.
const std::string kMean =
    "  %sum: f32[] = reduce_sum(%y) {axes=[0,1]}\n  %b: f32[] = constant() {dtype=f32, shape=[], "
    "value=B}\n  %loss: f32[] = mul(%sum, %b)\n";

double loss_of(const std::string& body, int batch, const std::vector<Tensor>& arguments) {
  Module module = step_of(body, batch);
  return eval_closed(module, module.functions[0], arguments)[0].data[0];
}

// The mean loss of two halves of the batch less the loss of the whole.
double difference(const std::string& body) {
  Module module = step_of(body, 4);
  std::vector<Tensor> whole = random_arguments(module.functions[0], 3);
  whole.push_back(random_state(module, 3).at("w"));
  double halves = 0;
  for (size_t half : {0, 1}) {
    std::vector<Tensor> part = whole;
    for (size_t i : {0, 1}) {
      part[i].type.dims[0] = 2;
      const auto begin = whole[i].data.begin() + static_cast<std::ptrdiff_t>(6 * half);
      part[i].data.assign(begin, begin + 6);
    }
    halves += loss_of(body, 2, part) / 2;
  }
  return halves - loss_of(body, 4, whole);
}

void check_apart(const std::string& body) {
  CAPTURE(body);
  CHECK(!batch_mixing(step_of(body, 4).functions[0]));
  CHECK(std::abs(difference(body)) < 1e-9);
}

void check_mixing(const std::string& body, const std::string& what) {
  CAPTURE(body);
  std::optional<BatchMixing> found = batch_mixing(step_of(body, 4).functions[0]);
  REQUIRE(found);
  CHECK_THAT(found->what, Catch::Contains(what));
  CHECK(std::abs(difference(body)) > 1e-4);
}

}  // namespace

TEST_CASE("a mean of what each sample gives is the mean of its parts' means", "[batch]") {
  check_apart(kProduct + "  %y: f32[N,3] = tanh(%z)\n" + kMean);
  // The factor comes first; samples lie along other axes; a penalty is the same in all parts.
  check_apart(kProduct +
              "  %f: f32[N,3] = constant() {dtype=f32, shape=[N,3], value=B}\n"
              "  %m: f32[N,3] = mul(%z, %f)\n  %s: f32[] = reduce_sum(%m) {axes=[0,1]}\n"
              "  %w2: f32[3,3] = mul(%w, %w)\n  %p: f32[] = reduce_sum(%w2) {axes=[0,1]}\n"
              "  %loss: f32[] = add(%s, %p)\n");
  check_apart(kProduct +
              "  %a: f32[3,N] = transpose(%z) {permutation=[1,0]}\n"
              "  %c: f32[3,N] = cumulative_sum(%a) {axis=0, exclusive=false, reverse=false}\n"
              "  %r: f32[3,N,1] = reshape(%c) {shape=[3,N,1]}\n"
              "  %v: f32[2,N,1] = slice(%r) {begin=[1,0,0], end=[3,N,1], step=[1,1,1]}\n"
              "  %m: f32[N,1] = reduce_max(%v) {axes=[0]}\n"
              "  %y: f32[N,2] = pad(%m) {high=[0,1], low=[0,0], value=0.5}\n" +
              kMean);
  // What each sample's products with itself give, and rows of all samples one behind the other.
  check_apart(kProduct +
              "  %g: f32[N] = dot(%z, %t) {batch_a=[0], batch_b=[0], sum_a=[1], sum_b=[1]}\n"
              "  %q: f32[N,3] = broadcast(%g) {axes=[0], shape=[N,3]}\n"
              "  %y0: f32[N,3] = mul(%q, %t)\n"
              "  %rows: f32[N,3,1] = reshape(%y0) {shape=[N,3,1]}\n"
              "  %y: f32[N,3] = reshape(%rows) {shape=[N,3]}\n" +
              kMean);
}

TEST_CASE("where samples meet other than in the mean, parts give something else", "[batch]") {
  check_mixing(kProduct +
                   "  %s: f32[3] = reduce_sum(%z) {axes=[0]}\n"
                   "  %a: f32[N,3] = broadcast(%s) {axes=[1], shape=[N,3]}\n"
                   "  %c: f32[N,3] = sub(%z, %a)\n  %y: f32[N,3] = mul(%c, %c)\n" +
                   kMean,
               "`sub`");
  check_mixing(kProduct + "  %y: f32[N,3] = reverse(%z) {axes=[0]}\n" +
                   "  %u: f32[N,3] = mul(%y, %t)\n" +
                   std::regex_replace(kMean, std::regex("%y"), "%u"),
               "`reverse`");
  check_mixing(
      kProduct + "  %y: f32[N,3] = cumulative_sum(%z) {axis=0, exclusive=false, reverse=false}\n" +
          kMean,
      "`cumulative_sum`");
  check_mixing(kProduct +
                   "  %m: f32[3] = reduce_max(%z) {axes=[0]}\n"
                   "  %loss: f32[] = reduce_sum(%m) {axes=[0]}\n",
               "`reduce_max`");
  check_mixing(kProduct +
                   "  %g: f32[N,N] = dot(%z, %z) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}\n"
                   "  %y: f32[N,N] = tanh(%g)\n" +
                   kMean,
               "`dot`");
  // A root of the mean, a weighted mean whose weights are counted in each part, a sum.
  check_mixing(kProduct + "  %y: f32[N,3] = mul(%z, %z)\n" +
                   std::regex_replace(kMean, std::regex("%loss"), "%mean") +
                   "  %loss: f32[] = sqrt(%mean)\n",
               "`sqrt`");
  check_mixing(kProduct +
                   "  %v: f32[N,3] = mul(%t, %t)\n  %y: f32[N,3] = mul(%z, %v)\n"
                   "  %above: f32[] = reduce_sum(%y) {axes=[0,1]}\n"
                   "  %below: f32[] = reduce_sum(%v) {axes=[0,1]}\n"
                   "  %loss: f32[] = div(%above, %below)\n",
               "`div`");
  check_mixing(kProduct + "  %loss: f32[] = reduce_sum(%z) {axes=[0,1]}\n", "not a mean");
}
