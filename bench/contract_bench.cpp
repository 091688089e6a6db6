// Products and convolutions against the FMA peak of this machine, one thread:
//   contract_bench [cpu=NAME] [cold] [dot|dense|few|lenet|...|'dot(f32[64,64], ...) {...}'] ...
//   cpu    whose code is measured, which must run here: x86-64-v4,+avx512bf16
//   cold   operands and results take turns, so that all come from behind the second level cache
//   dot    products as such: A and B each as they are and transposed
//   dense  forward, data gradient and weight gradient of the layers of mlp, deep_mlp, gpt and lstm
//   few    few rows, columns or products; batches of them as in attention; matrix times vector
//   lenet, resnet50 and others: the three ops of each convolution (convolution_cases.h)
// Time is the thread's own, the best of many calls, between which the peak is measured again and
// again: a busy machine disturbs little, and a clock that changes hardly more.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/convolution_cases.h"
#include "bench/measure.h"
#include "compiler/codegen/codegen.h"
#include "compiler/codegen/target.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/lower.h"
#include "compiler/passes/fuse.h"
#include "compiler/plan/plan.h"
#include "ir/builder.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"
#include "ir/parse.h"
#include "runtime/cpu.h"
#include "tools/machine_peak.h"

using namespace gradc;

namespace {

std::string product(int64_t m, int64_t n, int64_t k, bool a_transposed, bool b_transposed) {
  return fmt::format(
      "dot(f32[{},{}], f32[{},{}]) {{batch_a=[], batch_b=[], sum_a=[{}], sum_b=[{}]}}",
      a_transposed ? k : m, a_transposed ? m : k, b_transposed ? n : k, b_transposed ? k : n,
      a_transposed ? 0 : 1, b_transposed ? 1 : 0);
}

struct Dense {
  int64_t batch, inputs, outputs;
};

// The layer, its gradient with respect to its input, and that with respect to its weights.
std::vector<std::string> products(const Dense& d) {
  return {product(d.batch, d.outputs, d.inputs, false, true),
          product(d.batch, d.inputs, d.outputs, false, false),
          product(d.outputs, d.inputs, d.batch, true, false)};
}

// 24 products of m x k and k x n elements; the summed axes as they lie in memory.
std::string attention(int64_t m, int64_t n, int64_t k, int64_t sum_a, int64_t sum_b) {
  std::string a = sum_a == 2 ? fmt::format("{},{}", m, k) : fmt::format("{},{}", k, m);
  std::string b = sum_b == 2 ? fmt::format("{},{}", n, k) : fmt::format("{},{}", k, n);
  return fmt::format(
      "dot(f32[24,{}], f32[24,{}]) {{batch_a=[0], batch_b=[0], sum_a=[{}], sum_b=[{}]}}", a, b,
      sum_a, sum_b);
}

void append(std::vector<std::string>& to, const std::vector<std::string>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

std::vector<std::string> cases_named(const std::string& name) {
  std::vector<std::string> cases;
  if (name == "dot") {
    for (auto [m, n, k] : {std::array<int64_t, 3>{128, 512, 784},
                           {256, 512, 512},
                           {1024, 1024, 1024},
                           {1024, 384, 384},
                           {64, 10, 512},
                           {64, 64, 64},
                           {128, 128, 128},
                           {512, 512, 512},
                           {1000, 1000, 1000}})
      append(cases, {product(m, n, k, false, false), product(m, n, k, false, true),
                     product(m, n, k, true, false)});
  } else if (name == "dense") {
    for (const Dense& layer : {Dense{128, 784, 512},
                               {128, 512, 512},
                               {128, 512, 10},
                               {256, 512, 512},
                               {256, 512, 10},
                               {1024, 384, 1152},
                               {1024, 384, 384},
                               {1024, 384, 1536},
                               {1024, 1536, 384},
                               {1024, 384, 512},
                               {2048, 128, 1024},
                               {32, 256, 1024},
                               {32, 256, 10}})
      append(cases, products(layer));
  } else if (name == "few") {
    for (auto [m, n, k] : {std::array<int64_t, 3>{8, 512, 512},
                           {32, 512, 512},
                           {4, 1000, 1000},
                           {512, 512, 8},
                           {512, 512, 32},
                           {512, 32, 512},
                           {512, 16, 512},
                           {1, 512, 512},
                           {512, 1, 512}})
      append(cases, {product(m, n, k, false, false), product(m, n, k, false, true),
                     product(m, n, k, true, false)});
    append(cases, {attention(256, 256, 64, 2, 2), attention(256, 64, 256, 2, 1),
                   attention(256, 64, 256, 1, 1)});
  }
  append(cases, bench::convolution_cases(name));
  if (name == "lenet")
    append(cases, {product(64, 256, 3136, false, true), product(64, 3136, 256, false, false),
                   product(256, 3136, 64, true, false), product(64, 10, 256, false, true),
                   product(64, 256, 10, false, false), product(10, 256, 64, true, false)});
  if (cases.empty())
    cases.push_back(name);
  return cases;
}

struct Compiled {
  std::unique_ptr<JitModule> code;
  double flops = 0, milliseconds = 0;
};

// Without the limits that the memory of a step of one op alone would set to scratch.
Module schedule_for_speed(Module module, const Options& options) {
  for (Function& kernel : module.functions) {
    if (kernel.kind != FunctionKind::kernel)
      continue;
    set_attributes(kernel, choose_contract_schedule(kernel, options.target, options.threads));
    loop::Kernel loops = lower(kernel, options.target, options.threads);
    kernel.attrs.set("workspace", loop::space_bytes(loops, loop::Space::workspace));
    kernel.attrs.set("scratch", loop::space_bytes(loops, loop::Space::scratch));
  }
  return module;
}

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
  module = plan(schedule_for_speed(fuse(module, options), options), options);
  compiled.code = std::make_unique<JitModule>(module, CodegenOptions{target, 1, "bench", ""});
  std::chrono::duration<double, std::milli> passed = std::chrono::steady_clock::now() - start;
  compiled.milliseconds = passed.count();
  return compiled;
}

bench::Buffer filled(size_t bytes) {
  bench::Buffer buffer(bytes);
  size_t i = 0;
  for (float& x : buffer.floats())
    x = static_cast<float>(i++ % 17) / 8 - 1;
  return buffer;
}

struct Measured {
  double seconds = 1e9, peak = 0;  // of a call; FLOP/s
};

// What calls take turns with.
struct Operands {
  bench::Buffer a, b, y;
  std::array<const void*, 2> inputs{a.data(), b.data()};
  std::array<void*, 1> outputs{y.data()};
};

Measured measure(const gradc_entry& entry, bool cold) {
  constexpr size_t kColdBytes = 16 << 20;
  size_t bytes = entry.inputs[0].bytes + entry.inputs[1].bytes + entry.outputs[0].bytes;
  std::vector<std::unique_ptr<Operands>> sets;
  do {
    sets.push_back(std::make_unique<Operands>(filled(entry.inputs[0].bytes),
                                              filled(entry.inputs[1].bytes),
                                              filled(entry.outputs[0].bytes)));
  } while (cold && sets.size() * bytes < kColdBytes);
  bench::Buffer arena = filled(entry.arena_bytes);
  size_t next = 0;
  gradc_context context{.arena = arena.data(), .parallel_for = bench::run_serially, .threads = 1};
  Measured best;
  for (double start = bench::thread_seconds(); bench::thread_seconds() - start < 0.3;) {
    best.peak = std::max(best.peak, 1e9 * fma_peak_gflops(1));
    double slice = bench::thread_seconds();
    do {
      auto calls = static_cast<int>(std::clamp(2e-4 / best.seconds, 1.0, 1000.0));
      double begin = bench::thread_seconds();
      for (int i = 0; i < calls; ++i, next = (next + 1) % sets.size())
        entry.function(&context, sets[next]->inputs.data(), sets[next]->outputs.data());
      best.seconds = std::min(best.seconds, (bench::thread_seconds() - begin) / calls);
    } while (bench::thread_seconds() - slice < 4e-3);
  }
  return best;
}

// How the operands lie, as the usual names have it: which of them is transposed.
std::string layout_of(const std::string& text) {
  auto ends = [&](std::string_view what) { return text.find(what) != std::string::npos; };
  if (!text.starts_with("dot"))
    return "";
  bool batched = ends("batch_a=[0]");
  bool a = ends(batched ? "sum_a=[1]" : "sum_a=[0]"), b = ends(batched ? "sum_b=[2]" : "sum_b=[1]");
  return fmt::format("{}{} ", a ? 'T' : 'N', b ? 'T' : 'N');
}

struct Total {
  double flops = 0, seconds = 0, ideal = 0;
};

void measure_all(const std::vector<std::string>& cases, const Target& target, bool cold) {
  std::map<std::string, Total> totals;  // by the op's name
  for (const std::string& text : cases) {
    Compiled compiled = compile(text, target);
    std::string_view missing = missing_cpu_feature(compiled.code->get()->cpu_features);
    GRADC_CHECK(missing.empty(), "this CPU has no {}", missing);
    Measured best = measure(compiled.code->get()->entries[0], cold);
    double ideal = compiled.flops / best.peak;
    fmt::print("{:>9.1f} us {:>6.1f} GFLOP/s {:>5.1f} % of {:.0f}, compiled in {:>4.0f} ms: {}{}\n",
               1e6 * best.seconds, 1e-9 * compiled.flops / best.seconds, 100 * ideal / best.seconds,
               1e-9 * best.peak, compiled.milliseconds, layout_of(text), bench::short_name(text));
    std::fflush(stdout);
    for (const std::string& name : {text.substr(0, text.find('(')), std::string("in all")}) {
      totals[name].flops += compiled.flops;
      totals[name].seconds += best.seconds;
      totals[name].ideal += ideal;
    }
  }
  for (const auto& [name, total] : totals)
    if (totals.size() > 2 || name == "in all")
      fmt::print("{:>9.1f} us {:>6.1f} GFLOP/s {:>5.1f} % {}\n", 1e6 * total.seconds,
                 1e-9 * total.flops / total.seconds, 100 * total.ideal / total.seconds, name);
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> names(argv + 1, argv + argc);
  std::string cpu = "native";
  if (!names.empty() && names[0].starts_with("cpu=")) {
    cpu = names[0].substr(4);
    names.erase(names.begin());
  }
  Target target = target_for(cpu);
  bool cold = !names.empty() && names[0] == "cold";
  if (cold)
    names.erase(names.begin());
  if (names.empty())
    names = {"dot", "dense", "few"};
  for (const std::string& name : names)
    measure_all(cases_named(name), target, cold);
}
