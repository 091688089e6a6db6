// Products and convolutions against the FMA peak of this machine, one thread:
//   contract_bench [dot|lenet|resnet|'dot(f32[64,64], f32[64,64]) {...}']
// Time is the thread's own, the best of many calls, so that a busy machine disturbs little.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "compiler/codegen/target.h"
#include "compiler/passes/fuse.h"
#include "compiler/passes/schedule.h"
#include "compiler/plan/plan.h"
#include "ir/builder.h"
#include "ir/op_def.h"
#include "ir/parse.h"
#include "tools/machine_peak.h"

using namespace gradc;

namespace {

std::string product(int64_t m, int64_t n, int64_t k, bool a_transposed, bool b_transposed) {
  return fmt::format(
      "dot(f32[{},{}], f32[{},{}]) {{batch_a=[], batch_b=[], sum_a=[{}], sum_b=[{}]}}",
      a_transposed ? k : m, a_transposed ? m : k, b_transposed ? n : k, b_transposed ? k : n,
      a_transposed ? 0 : 1, b_transposed ? 1 : 0);
}

struct Layer {
  int64_t batch, inputs, outputs, size, kernel, stride, pad;
};

// The convolution and its gradients.
std::vector<std::string> convolutions(const Layer& c) {
  int64_t out = (c.size + 2 * c.pad - c.kernel) / c.stride + 1;
  std::string x = to_string(Type{DType::f32, {c.batch, c.inputs, c.size, c.size}});
  std::string w = to_string(Type{DType::f32, {c.outputs, c.inputs, c.kernel, c.kernel}});
  std::string y = to_string(Type{DType::f32, {c.batch, c.outputs, out, out}});
  auto attrs = [&](const std::string& size) {
    return fmt::format(
        "{{dilation=[1,1], groups=1, high=[{0},{0}], low=[{0},{0}], {1}stride=[{2},{2}]}}", c.pad,
        size, c.stride);
  };
  return {fmt::format("conv({}, {}) {}", x, w, attrs("")),
          fmt::format("conv_data_gradient({}, {}) {}", y, w,
                      attrs(fmt::format("size=[{0},{0}], ", c.size))),
          fmt::format("conv_weight_gradient({}, {}) {}", x, y,
                      attrs(fmt::format("size=[{0},{0}], ", c.kernel)))};
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<std::string> cases_named(const std::string& name) {
  std::vector<std::string> cases;
  if (name == "dot") {
    for (int64_t n : {64, 128, 256, 512, 1000})
      for (bool a : {false, true})
        for (bool b : {false, true})
          cases.push_back(product(n, n, n, a, b));
  } else if (name == "lenet") {
    append(cases, convolutions({64, 1, 32, 28, 5, 1, 2}));
    cases.erase(cases.begin() + 1);  // nobody asks for the gradient of the images
    append(cases, convolutions({64, 32, 64, 14, 5, 1, 2}));
    append(cases, {product(64, 256, 3136, false, true), product(64, 3136, 256, false, false),
                   product(256, 3136, 64, true, false), product(64, 10, 256, false, true),
                   product(64, 256, 10, false, false), product(10, 256, 64, true, false)});
  } else if (name == "resnet") {
    for (const Layer& layer : {Layer{32, 16, 16, 28, 3, 1, 1}, Layer{32, 16, 32, 28, 3, 2, 1},
                               Layer{32, 32, 32, 14, 3, 1, 1}, Layer{32, 32, 64, 14, 3, 2, 1},
                               Layer{32, 64, 64, 7, 3, 1, 1}, Layer{32, 16, 32, 28, 1, 2, 0}})
      append(cases, convolutions(layer));
  } else {
    cases.push_back(name);
  }
  return cases;
}

struct Compiled {
  std::unique_ptr<JitModule> code;
  double flops = 0, milliseconds = 0;
};

Compiled compile(const std::string& text, const Target& target) {
  Example example = parse_example(text);
  Module module{.name = "bench"};
  Function& entry = module.functions.emplace_back();
  entry.name = "run";
  Builder b(entry);
  ValueId x = b.parameter(example.operands.at(0), "a");
  ValueId y = b.parameter(example.operands.at(1), "b");
  b.result(b.op(example.code, {x, y}, example.attrs), "y");
  Compiled compiled;
  compiled.flops = static_cast<double>(flops_of(entry, entry.ops.at(0)));
  Options options;
  options.target = target;
  auto start = std::chrono::steady_clock::now();
  module = plan(schedule(fuse(module, options), options), options);
  compiled.code = std::make_unique<JitModule>(module, CodegenOptions{target, 1, "bench", ""});
  std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - start;
  compiled.milliseconds = passed.count();
  return compiled;
}

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void run_serially(void*, int64_t count, gradc_body body, void* data) {
  body(data, 0, count, 0);
}

// Aligned memory of small numbers.
class Buffer {
 public:
  explicit Buffer(size_t bytes) : floats_(bytes / 4 + 32) {
    for (size_t i = 0; i < floats_.size(); ++i)
      floats_[i] = static_cast<float>(i % 17) / 8 - 1;
  }
  void* data() {
    auto address = reinterpret_cast<uintptr_t>(floats_.data());
    return reinterpret_cast<void*>((address + 63) / 64 * 64);
  }

 private:
  std::vector<float> floats_;
};

double best_seconds(const gradc_entry& entry) {
  Buffer a(entry.inputs[0].bytes), b(entry.inputs[1].bytes), y(entry.outputs[0].bytes);
  Buffer arena(entry.arena_bytes);
  const void* inputs[] = {a.data(), b.data()};
  void* outputs[] = {y.data()};
  gradc_context context{.arena = arena.data(), .parallel_for = run_serially, .threads = 1};
  double best = 1e9, start = thread_seconds();
  while (thread_seconds() - start < 0.2) {
    auto calls = static_cast<int>(std::clamp(2e-4 / best, 1.0, 1000.0));
    double begin = thread_seconds();
    for (int i = 0; i < calls; ++i)
      entry.function(&context, inputs, outputs);
    best = std::min(best, (thread_seconds() - begin) / calls);
  }
  return best;
}

}  // namespace

int main(int argc, char** argv) {
  Target target = target_for("native");
  double all_flops = 0, all_seconds = 0;
  for (const std::string& text : cases_named(argc > 1 ? argv[1] : "lenet")) {
    Compiled compiled = compile(text, target);
    double seconds = best_seconds(compiled.code->get()->entries[0]);
    double peak = 1e9 * fma_peak_gflops(1);
    fmt::print("{:>9.1f} us {:>6.1f} GFLOP/s {:>5.1f} % of {:.0f}, compiled in {:>4.0f} ms: {}\n",
               1e6 * seconds, 1e-9 * compiled.flops / seconds,
               100 * compiled.flops / seconds / peak, 1e-9 * peak, compiled.milliseconds,
               text.substr(0, text.find(')') + 1));
    all_flops += compiled.flops;
    all_seconds += seconds;
  }
  fmt::print("{:>9.1f} us {:>6.1f} GFLOP/s in all\n", 1e6 * all_seconds,
             1e-9 * all_flops / all_seconds);
}
