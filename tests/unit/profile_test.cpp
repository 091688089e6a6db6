// Kernels' times: what the plan says of each, what the clock sees, and what is shown of both.
#include "tools/profile.h"

#include <catch2/catch.hpp>

#include "compiler/compile.h"
#include "compiler/entries.h"
#include "ir/parse.h"
#include "tests/support/compiled_model.h"

using namespace gradc;
using namespace gradc::test;

namespace {

const char kPlanned[] = R"(module @m
kernel @product(%x: f32[8,16], %w: f32[4,16]) with {class="contract"} {
  %x2: f32[8,16] = mul(%x, %x) loc "m.model:3:1"
  %p: f32[8,4] = dot(%x2, %w) {batch_a=[], batch_b=[], sum_a=[1], sum_b=[1]} loc "m.model:4:7"
  %y: f32[8,4] = tanh(%p) loc "m.model:5:2"
  return %y
}
kernel @square(%x: f32[4,8]) with {class="map"} {
  %c: f32[4,8] = copy(%x)
  %y: f32[4,8] = mul(%c, %c) loc "m.model:6:2"
  return %y
}
entry @f(%x: f32[8,16], %w: f32[4,16]) arena 128 {
forward:
  %y: f32[8,4] @0 = call @product(%x, %w)
  %v: f32[4,8] = reshape(%y) {shape=[4,8]}
backward:
  %z: f32[4,8] = call @square(%v)
  return %z
}
)";

const Roofline kRoofline = {.gflops = 100, .bandwidths = {{1024, 50}, {1 << 20, 10}}};

std::vector<ProfiledKernel> two_kernels() {
  return {{"product", "m.model:4:7", Phase::forward, 4000, 640},
          {"square", "m.model:6:2", Phase::backward, 10, 5000}};
}

// Of the latest runs.
size_t parts_of_thread(const KernelClock& clock, int32_t thread) {
  size_t parts = 0;
  for (const std::vector<KernelClock::Span>& run : clock.latest())
    for (const KernelClock::Span& span : run)
      parts += span.part && span.thread == thread;
  return parts;
}

}  // namespace

TEST_CASE("what a kernel computes and moves is read off the plan", "[profile]") {
  Module module = parse_module(kPlanned, "t.ir");
  std::vector<ProfiledKernel> kernels = kernels_of(module, module.function("f"));
  REQUIRE(kernels.size() == 2);
  CHECK(kernels[0].name == "product");
  CHECK(kernels[0].place == "m.model:4:7");
  CHECK(kernels[0].flops == 8 * 16 + 2 * 8 * 4 * 16 + 8 * 4);
  CHECK(kernels[0].bytes == 4 * (8 * 16 + 4 * 16 + 8 * 4));
  CHECK(kernels[1].name == "square");
  CHECK(kernels[1].place == "m.model:6:2");
  CHECK(kernels[1].phase == Phase::backward);
  CHECK(kernels[1].flops == 32);
  CHECK(kernels[1].bytes == 4 * (32 + 32));
}

TEST_CASE("a kernel's least time is that of its FLOPs or of its bytes", "[profile]") {
  CHECK(kRoofline.gigabytes(1024) == 50);
  CHECK(kRoofline.gigabytes(1025) == 10);
  CHECK(kRoofline.gigabytes(int64_t{1} << 30) == 10);
  CHECK(kRoofline.least_nanoseconds(two_kernels()[0]) == Approx(40));  // 4000 / 100, not 640 / 50
  CHECK(kRoofline.least_nanoseconds(two_kernels()[1]) == Approx(500));
}

TEST_CASE("the slowest kernel is the first row", "[profile]") {
  nlohmann::ordered_json rows = profile_json(two_kernels(), {250, 750}, kRoofline);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["kernel"] == "square");
  CHECK(rows[0]["calls"] == 1);
  CHECK(rows[0]["share"].get<double>() == Approx(0.75));
  CHECK(rows[0]["us"].get<double>() == Approx(0.75));
  CHECK(rows[0]["gigabytes"].get<double>() == Approx(5000.0 / 750));
  CHECK(rows[0]["fraction_of_roofline"].get<double>() == Approx(500.0 / 750));
  CHECK(rows[1]["gflops"].get<double>() == Approx(16));
  CHECK(rows[1]["place"] == "m.model:4:7");
  std::string table = profile_table(two_kernels(), {250, 750}, kRoofline);
  CHECK(table.find("square") < table.find("product"));
  CHECK(table.find("75.0 %") != std::string::npos);
  CHECK(table.find("m.model:6:2") != std::string::npos);
  CHECK(table.find("all kernels") != std::string::npos);
}

TEST_CASE("calls of one kernel are one row", "[profile]") {
  std::vector<ProfiledKernel> kernels = two_kernels();
  kernels.push_back(kernels[0]);
  nlohmann::ordered_json rows = profile_json(kernels, {300, 500, 400}, kRoofline);
  REQUIRE(rows.size() == 2);
  CHECK(rows[0]["kernel"] == "product");
  CHECK(rows[0]["calls"] == 2);
  CHECK(rows[0]["flops"] == 8000);
  CHECK(rows[0]["us"].get<double>() == Approx(0.7));
  CHECK(rows[0]["share"].get<double>() == Approx(700.0 / 1200));
  CHECK(rows[0]["fraction_of_roofline"].get<double>() == Approx(80.0 / 700));
}

TEST_CASE("a machine's roofline is measured", "[profile]") {
  Roofline roofline = measure_roofline(1);
  CHECK(roofline.gflops > 1);
  REQUIRE(roofline.bandwidths.size() > 2);
  for (const Roofline::Bandwidth& bandwidth : roofline.bandwidths)
    CHECK(bandwidth.gigabytes > 0.5);
}

TEST_CASE("the clock sees each kernel of each run, and each thread's part", "[profile]") {
  constexpr int kThreads = 2;
  Options options = native_training(kThreads);
  options.binds = {{"batch", 64}};
  Module planned = compile(load_model(GRADC_SOURCE_DIR "/examples/mlp.model", options), options);
  JitModule code(planned, {options.target, kThreads, "mlp", "", true});
  JitModule plain(planned, {options.target, kThreads, "mlp", ""});
  Pool pool(gradc_pool_create(kThreads));
  Training unmarked(*plain.get(), pool.get()), unseen(*code.get(), pool.get()),
      seen(*code.get(), pool.get());
  std::vector<ProfiledKernel> kernels = kernels_of(planned, planned.function(kTrainStep));
  KernelClock clock(seen.instance(), pool.get(), kernels.size());
  // On a busy machine the second thread may come too late for a part.
  constexpr size_t kRuns = 5, kMostRuns = 5000;
  for (size_t run = 0; run < kRuns || (parts_of_thread(clock, 1) == 0 && run < kMostRuns); ++run) {
    REQUIRE((unmarked.step() && unseen.step() && seen.step()));
    clock.finish_run();
  }
  CHECK(unseen.bytes() == unmarked.bytes());
  CHECK(seen.bytes() == unmarked.bytes());
  CHECK(clock.runs() >= kRuns);
  CHECK(clock.latest().size() < kRuns);
  for (const std::vector<KernelClock::Span>& run : clock.latest()) {
    REQUIRE(run.size() >= kernels.size());
    for (size_t i = 0; i < run.size(); ++i) {
      const KernelClock::Span& span = run[i];
      CHECK(span.begin <= span.end);
      REQUIRE(span.kernel < kernels.size());
      const KernelClock::Span& whole = run[span.kernel];
      CHECK(span.part == (i >= kernels.size()));
      CHECK(whole.kernel == span.kernel);
      CHECK(span.begin >= whole.begin);
      CHECK(span.end <= whole.end);
      CHECK(span.end - span.begin >= (span.part ? 0 : clock.least_nanoseconds()[i]));
    }
  }
  CHECK(parts_of_thread(clock, 1) > 0);

  nlohmann::ordered_json trace = profile_trace("mlp", kernels, clock.latest());
  size_t complete = 0;
  for (const auto& event : trace["traceEvents"])
    complete += event["ph"] == "X";
  size_t spans = 0;
  for (const std::vector<KernelClock::Span>& run : clock.latest())
    spans += run.size();
  CHECK(complete == spans);
}
