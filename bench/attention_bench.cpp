// Attention and its gradient against the FMA peak of this machine, one thread:
//   attention_bench ['24x256x64' ...] [causal|full]
// heads x positions x features. FLOPs are those of the scores that are seen: two products forward,
// four backward. Time is the thread's own, the best of many calls, so that a busy machine disturbs
// little.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "compiler/codegen/codegen.h"
#include "compiler/codegen/target.h"
#include "compiler/passes/expand.h"
#include "compiler/passes/fuse.h"
#include "compiler/passes/schedule.h"
#include "compiler/passes/simplify.h"
#include "compiler/plan/plan.h"
#include "ir/builder.h"
#include "ir/vjp.h"
#include "tools/machine_peak.h"

using namespace gradc;

namespace {

struct Case {
  int64_t heads = 0, positions = 0, features = 0;
  bool causal = true;
};

// q, k, v and, with `backward`, what attention_forward has given and dy.
Module module_of(const Case& c, bool backward) {
  Module module{.name = "bench"};
  Function& entry = module.functions.emplace_back();
  entry.name = "run";
  Builder b(entry);
  Type type{DType::f32, {c.heads, c.positions, c.features}},
      rows{DType::f32, {c.heads, c.positions}};
  Attrs attrs = {{"causal", c.causal}, {"scale", 0.125}};
  ValueId q = b.parameter(type, "q"), k = b.parameter(type, "k"), v = b.parameter(type, "v");
  if (!backward) {
    for (ValueId result : b.op_multi(Opcode::attention_forward, {q, k, v}, attrs))
      b.result(result, "y");
    return module;
  }
  ValueId top = b.parameter(rows, "top"), total = b.parameter(rows, "total");
  ValueId y = b.parameter(type, "y"), dy = b.parameter(type, "dy");
  ValueId delta = b.reduce_sum(b.mul(y, dy), {2});
  for (ValueId result :
       b.op_multi(Opcode::attention_backward, {q, k, v, top, total, delta, dy}, attrs))
    b.result(result, "d");
  return module;
}

std::vector<gradc_tensor> tensors_of(const gradc_entry& entry) {
  std::vector<gradc_tensor> tensors(entry.inputs, entry.inputs + entry.input_count);
  tensors.insert(tensors.end(), entry.outputs, entry.outputs + entry.output_count);
  return tensors;
}

struct Measured {
  double seconds = 1e9, peak = 0;
  int64_t arena = 0;
};

Measured measure(Module module, bool expanded) {
  Options options;
  options.target = target_for("native");
  options.expand_all = expanded;
  module =
      plan(schedule(fuse(simplify(expand(module, options), options), options), options), options);
  JitModule code(module, CodegenOptions{options.target, 1, "bench", ""});
  const gradc_entry& entry = code.get()->entries[0];
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  // All in one region, as a step's values are.
  size_t all = entry.arena_bytes + 64;
  for (const gradc_tensor& tensor : tensors_of(entry))
    all += tensor.bytes + 64;
  bench::Buffer region(all);
  uint32_t state = 1;
  for (float& x : region.floats())
    x = static_cast<float>((state = state * 1664525 + 1013904223) >> 8) * 0x1p-23F - 1;
  size_t used = 0;
  auto buffer = [&](size_t bytes) {
    void* at = static_cast<char*>(region.data()) + used;
    used += (bytes + 63) / 64 * 64;
    return at;
  };
  for (uint32_t i = 0; i < entry.input_count; ++i)
    inputs.push_back(buffer(entry.inputs[i].bytes));
  for (uint32_t i = 0; i < entry.output_count; ++i)
    outputs.push_back(buffer(entry.outputs[i].bytes));
  if (inputs.size() > 3) {  // totals are positive, and scores below their tops
    auto fill = [&](size_t i, float value) {
      auto* x = static_cast<float*>(const_cast<void*>(inputs[i]));
      std::fill(x, x + entry.inputs[i].bytes / 4, value);
    };
    fill(3, 3);
    fill(4, 100);
  }
  gradc_context context{
      .arena = buffer(entry.arena_bytes), .parallel_for = bench::run_serially, .threads = 1};
  Measured m{.arena = static_cast<int64_t>(entry.arena_bytes)};
  double start = bench::thread_seconds();
  while (bench::thread_seconds() - start < 0.4) {
    double begin = bench::thread_seconds();
    entry.function(&context, inputs.data(), outputs.data());
    m.seconds = std::min(m.seconds, bench::thread_seconds() - begin);
  }
  m.peak = 1e9 * fma_peak_gflops(1);
  return m;
}

void run(const Case& c) {
  double seen =
      c.causal ? static_cast<double>(c.positions + 1) / 2 : static_cast<double>(c.positions);
  double product = 2.0 * static_cast<double>(c.heads * c.positions * c.features) * seen;
  for (bool backward : {false, true})
    for (bool expanded : {false, true}) {
      Measured m = measure(module_of(c, backward), expanded);
      double flops = product * (backward ? 4 : 2);
      fmt::print(
          "{:>9.1f} us {:>6.1f} GFLOP/s {:>5.1f} % of {:.0f}, arena {:>6.1f} MiB: {}x{}x{} "
          "{} {}{}\n",
          1e6 * m.seconds, 1e-9 * flops / m.seconds, 100 * flops / m.seconds / m.peak,
          1e-9 * m.peak, static_cast<double>(m.arena) / (1 << 20), c.heads, c.positions, c.features,
          c.causal ? "causal" : "full", backward ? "backward" : "forward",
          expanded ? ", in parts" : "");
      std::fflush(stdout);
    }
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<Case> cases;
  bool causal = true;
  for (int i = 1; i < argc; ++i) {
    std::string text = argv[i];
    Case c;
    if (text == "causal" || text == "full")
      causal = text == "causal";
    else if (std::sscanf(argv[i], "%ldx%ldx%ld", &c.heads, &c.positions, &c.features) == 3)
      cases.push_back(c);
    else
      return fmt::print(stderr, "`{}` is no heads x positions x features\n", text), 2;
  }
  if (cases.empty())
    cases = {{24, 256, 64}, {24, 1024, 64}};
  for (Case& c : cases) {
    c.causal = causal;
    run(c);
  }
}
