#include "compiler/passes/prepack.h"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>

#include "compiler/check.h"
#include "compiler/entries.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/pipeline.h"
#include "tests/support/small_modules.h"

using namespace gradc;
using namespace gradc::test;

namespace {

// A weight that two products read, one that lies as [summed][columns], and a convolution whose
// channels come in parts.
const std::string kNet = R"(module @net
param @w: f32[56,128]
param @v: f32[56,300]
param @c: f32[40,64,3,3]

entry @infer(%x: f32[49,128], %image: f32[1,64,7,7], %w: f32[56,128] = @w, %v: f32[56,300] = @v, %c: f32[40,64,3,3] = @c) {
forward:
  %y: f32[49,56] = dot(%x, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %h: f32[49,56] = tanh(%y)
  %z: f32[49,300] = dot(%h, %v) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[0]}
  %s: f32[49,128] = sin(%x)
  %y2: f32[49,56] = dot(%s, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]}
  %m: f32[1,40,7,7] = conv(%image, %c) {dilation=[1,1], groups=1, high=[1,1], low=[1,1], stride=[1,1]}
  return z=%z, y2=%y2, m=%m
}
)";

Options options_of(int vector_bytes) {
  Options options;
  options.threads = 2;
  options.target = {.cpu = "test",
                    .vector_bytes = vector_bytes,
                    .vector_registers = vector_bytes == 64 ? 32 : 16};
  return options;
}

Module compiled(const std::string& text, const Options& options,
                std::vector<std::string> skipped = {}) {
  PipelineObserver observer;
  observer.skip = std::move(skipped);
  return run_pipeline(parsed(text), options, observer);
}

size_t count_derived(const Module& module) {
  return static_cast<size_t>(std::ranges::count(module.states, Role::derived, &StateTensor::role));
}

}  // namespace

TEST_CASE("weights of inference are packed once, and the sums are the same", "[prepack]") {
  for (int vector_bytes : {16, 32, 64}) {
    CAPTURE(vector_bytes);
    Options options = options_of(vector_bytes);
    Module before = compiled(kNet, options, {"prepack"}), after = compiled(kNet, options);
    CHECK(count_derived(before) == 0);
    REQUIRE(after.find_function(kPrepare));
    // @w for both of its readers once, @v and @c.
    CHECK(count_derived(after) == 3);
    CHECK(after.function(kPrepare).ops.size() == 3);
    CHECK(after.function(kPrepare).arena_bytes == 0);
    for (const Parameter& parameter : after.function(kInfer).parameters)
      CHECK((parameter.state.empty() || after.find_state(parameter.state)->role == Role::derived));
    for (const Function& kernel : after.functions)
      if (kernel.attrs.has("packed_columns")) {
        CHECK(kernel.attrs.flag("packed"));
        CHECK_FALSE(kernel.attrs.flag("stage_b"));
      }
    CHECK(first_difference(before, after, 0) == std::nullopt);
    CHECK(print(prepack(after, options)) == print(after));
    CHECK(print(parse_module(print(after), "net.ir")) == print(after));
  }
}

TEST_CASE("a packed weight ends in whole panels", "[prepack]") {
  Options options = options_of(64);
  Module after = compiled(kNet, options);
  const StateTensor& w = *after.find_state("w.packed");
  // 56 columns are four vectors of 16, the last half full.
  CHECK(w.type.dims == Dims{1, 128, 64});
  State state = random_state(after, 1);
  const Tensor &from = state.at("w"), &to = state.at("w.packed");
  for (size_t k = 0; k < 128; ++k)
    for (size_t column = 0; column < 64; ++column)
      REQUIRE(to.data[k * 64 + column] == (column < 56 ? from.data[column * 128 + k] : 0));
}

TEST_CASE("taps of a weight in order make one pass, whatever the number of pixels", "[prepack]") {
  Module after = compiled(
      "module @m\nparam @w: f32[64,32,3,3]\n\nentry @infer(%x: f32[1,56,56,32], %w: "
      "f32[64,32,3,3] = @w) {\nforward:\n  %y: f32[1,56,56,64] = conv(%x, %w) "
      "{channels_last=true, dilation=[1,1], groups=1, high=[1,1], low=[1,1], stride=[1,1]}\n"
      "  return y=%y\n}\n",
      options_of(64));
  CHECK(count_derived(after) == 1);
  for (const Function& kernel : after.functions)
    if (kernel.attrs.has("packed"))
      CHECK(kernel.attrs.flag("direct_store"));
}

TEST_CASE("weights stay as they are where packing does not pay or may not be", "[prepack]") {
  Options options = options_of(64);
  auto packs = [&](const std::string& text) { return count_derived(compiled(text, options)) > 0; };
  auto product = [](int rows, int columns, const std::string& more = "",
                    const std::string& tied = "") {
    return fmt::format(
        "module @m\nparam @w: f32[{1},64]\n\nentry @infer(%x: f32[{0},64], %w: f32[{1},64] = @w) "
        "{{\nforward:\n  %y: f32[{0},{1}] = dot(%x, %w) {{batch_a=[], batch_b=[], sum_a=[1], "
        "sum_b=[1]}}\n{2}  return y=%y{3}\n}}\n",
        rows, columns, more, tied);
  };
  CHECK(packs(product(40, 48)));
  CHECK_FALSE(packs(product(1, 48)));  // no tiles
  CHECK_FALSE(packs(product(40, 8)));  // few bytes
  CHECK_FALSE(packs(product(2000, 48)));  // many rows
  // What the entry writes.
  CHECK_FALSE(packs(product(40, 48, "  %n: f32[48,64] = neg(%w)\n", ", %n -> @w")));
  // A budget that counts what is kept twice.
  options.memory_total = 1 << 20;
  CHECK_FALSE(packs(product(40, 48)));
  options.memory_total.reset();
  options.memory = 1 << 20;  // of the arena alone
  CHECK(packs(product(40, 48)));
}

TEST_CASE("a weight that is not packed as its kernel reads it is unpacked", "[prepack]") {
  Options options = options_of(64);
  Module module = compiled(kNet, options, {"schedule", "plan"});
  options.target.vector_bytes = 32;
  Module after = run_pipeline(module, options);
  for (const Function& kernel : after.functions)
    if (kernel.attrs.has("packed_columns"))
      CHECK_FALSE(kernel.attrs.flag("packed"));
  CHECK(first_difference(module, after, 0) == std::nullopt);
}

TEST_CASE("what depends on weights alone is made once", "[prepack]") {
  std::string text = R"(module @m
param @w: f32[6,4]
param @b: f32[4]
buffer @count: f32[4]

entry @infer(%x: f32[3,4], %w: f32[6,4] = @w, %b: f32[4] = @b, %count: f32[4] = @count) {
forward:
  %sum: f32[4] = reduce_sum(%w) {axes=[0]}
  %scale: f32[4] = exp(%sum)
  %many: f32[500,4] = broadcast(%b) {axes=[1], shape=[500,4]}
  %sines: f32[500,4] = sin(%many)
  %total: f32[4] = reduce_sum(%sines) {axes=[0]}
  %row: f32[4] = mul(%scale, %total)
  %rows: f32[3,4] = broadcast(%row) {axes=[1], shape=[3,4]}
  %y: f32[3,4] = mul(%x, %rows)
  %next: f32[4] = add(%count, %row)
  %cosines: f32[6,4] = cos(%w)
  return y=%y, cosines=%cosines, %next -> @count
}
)";
  Options options = options_of(64);
  Module before = compiled(text, options, {"prepack"}), after = compiled(text, options);
  CHECK(first_difference(before, after, 0) == std::nullopt);
  const Function &infer = after.function(kInfer), &prepare = after.function(kPrepare);
  CHECK(count_derived(after) >= 1);
  CHECK(infer.ops.size() + prepare.ops.size() == before.function(kInfer).ops.size());
  // What the entry gives, or reads of a state that it writes, is made in each call.
  for (const char* name : {"y", "cosines"})
    CHECK(infer.find_result(name));
  for (const Parameter& parameter : prepare.parameters)
    CHECK(parameter.state != "count");
  CHECK(std::ranges::none_of(infer.parameters,
                             [](const Parameter& parameter) { return parameter.state == "b"; }));
}
