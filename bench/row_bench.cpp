// Maps, reductions and updates against the copy bandwidth of this machine, one thread:
//   row_bench [NAME [ROW]]     all cases, those whose name begins so, with rows of that length only
// Each case runs on data that fits the L2 cache and on data that does not; bytes are those that
// must move: inputs once, results once, state there and back. Copy loops over as many bytes, with
// and without streaming stores, take turns with the case. Time is the thread's own, the best of
// many calls, so that a busy machine disturbs little.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bench/measure.h"
#include "compiler/codegen/codegen.h"
#include "compiler/codegen/target.h"
#include "compiler/passes/autodiff.h"
#include "compiler/passes/expand.h"
#include "compiler/passes/fuse.h"
#include "compiler/passes/optimizer.h"
#include "compiler/passes/schedule.h"
#include "compiler/passes/simplify.h"
#include "compiler/plan/plan.h"
#include "ir/builder.h"
#include "ir/parse.h"
#include "tools/machine_peak.h"

using namespace gradc;

namespace {

// What is measured, for n rows of r elements.
struct Case {
  std::string name;
  int tensors = 2;  // large ones, which share the bytes
  // The body of an entry that ends in `return y=%y`, after its parameters.
  std::string parameters, body;
  std::vector<std::string> wrt = {};  // gradients of sum(y * dy) instead of y
  OptimizerOptions optimizer = {};
  bool is_update = false;
};

std::vector<Case> all_cases() {
  const std::string x = "%x: f32[{n},{r}]", vectors = ", %s: f32[{r}], %b: f32[{r}]";
  const std::string layer_norm =
      "%y: f32[{n},{r}] = layer_norm(%x, %s, %b) "
      "{{axes=[1], epsilon=1e-05}}";
  const std::string entropy = "%y: f32[] = cross_entropy(%x, %label) {{axis=1}}";
  const std::string batch_norm =
      "%y: f32[{n},{r}], %m: f32[{r}], %v: f32[{r}] = batch_norm(%x, %s, %b, %rm, %rv) "
      "{{axis=1, epsilon=1e-05, momentum=0.1}}";
  const std::string channels = vectors + ", %rm: f32[{r}], %rv: f32[{r}]";
  const std::string images = "%x: f32[{n},16,{r}]";
  const std::string image_norm =
      "%y: f32[{n},16,{r}], %m: f32[16], %v: f32[16] = batch_norm(%x, %s, %b, %rm, %rv) "
      "{{axis=1, epsilon=1e-05, momentum=0.1}}";
  const std::string image_channels = ", %s: f32[16], %b: f32[16], %rm: f32[16], %rv: f32[16]";
  const std::string window = "{{high=[0], low=[0], stride=[2], window=[2]}}";
  std::vector<Case> cases = {
      {"add", 3, x + ", %z: f32[{n},{r}]", "%y: f32[{n},{r}] = add(%x, %z)"},
      {"relu", 2, x, "%y: f32[{n},{r}] = relu(%x)"},
      {"row_sum", 1, x, "%y: f32[{n}] = reduce_sum(%x) {{axes=[1]}}"},
      {"column_sum", 1, x, "%y: f32[{r}] = reduce_sum(%x) {{axes=[0]}}"},
      {"log", 2, x, "%y: f32[{n},{r}] = log(%x)"},
      {"sigmoid", 2, x, "%y: f32[{n},{r}] = sigmoid(%x)"},
      {"exp", 2, x, "%y: f32[{n},{r}] = exp(%x)"},
      {"tanh", 2, x, "%y: f32[{n},{r}] = tanh(%x)"},
      {"gelu", 2, x, "%y: f32[{n},{r}] = gelu(%x)"},
      {"gelu.gradient", 3, x, "%y: f32[{n},{r}] = gelu(%x)", {"x"}},
      {"gelu_tanh", 2, x, "%y: f32[{n},{r}] = gelu(%x) {{approximate=true}}"},
      {"gelu_tanh.gradient", 3, x, "%y: f32[{n},{r}] = gelu(%x) {{approximate=true}}", {"x"}},
      {"softmax", 2, x, "%y: f32[{n},{r}] = softmax(%x) {{axis=1}}"},
      {"softmax.gradient", 3, "%y: f32[{n},{r}], %dy: f32[{n},{r}]",
       "%p: f32[{n},{r}] = mul(%y, %dy)\n  %q: f32[{n}] = reduce_sum(%p) {{axes=[1]}}\n"
       "  %q.all: f32[{n},{r}] = broadcast(%q) {{axes=[0], shape=[{n},{r}]}}\n"
       "  %t: f32[{n},{r}] = mul(%y, %q.all)\n  %dx: f32[{n},{r}] = sub(%p, %t)"},
      {"log_softmax", 2, x, "%y: f32[{n},{r}] = log_softmax(%x) {{axis=1}}"},
      {"cross_entropy", 1, x + ", %label: i32[{n}]", entropy},
      {"cross_entropy.gradient", 2, x + ", %label: i32[{n}]", entropy, {"x"}},
      {"layer_norm", 2, x + vectors, layer_norm},
      {"layer_norm.gradient", 3, x + vectors, layer_norm, {"x"}},
      {"layer_norm.gradients", 3, x + vectors, layer_norm, {"x", "s", "b"}},
      {"batch_norm", 2, x + channels, batch_norm},
      {"batch_norm.gradients", 3, x + channels, batch_norm, {"x", "s", "b"}},
      {"image_norm", 2, images + image_channels, image_norm},
      {"image_norm.gradients", 3, images + image_channels, image_norm, {"x", "s", "b"}},
      {"max_pool", 2, x, "%y: f32[{n},{half}] = window_max(%x) " + window},
      {"max_pool.gradient", 3, x, "%y: f32[{n},{half}] = window_max(%x) " + window, {"x"}},
      {"avg_pool", 2, x,
       "%y: f32[{n},{half}] = avg_pool(%x) {{count_include_pad=false, high=[0], low=[0], "
       "stride=[2], window=[2]}}"},
      {"gather", 2, "%x: f32[512,{r}], %label: i32[{n}]",
       "%y: f32[{n},{r}] = gather(%x, %label) {{axis=0}}"},
      {"scatter_add", 2, "%x: f32[{n},{r}], %label: i32[{n}]",
       "%y: f32[512,{r}] = scatter_add(%label, %x) {{axis=0, size=512}}"},
  };
  auto update = [&](const std::string& name, int tensors, OptimizerOptions options) {
    cases.push_back({name, tensors, "", "", {}, options, true});
  };
  update("sgd", 2, {.kind = OptimizerKind::sgd});
  update("momentum", 3, {.kind = OptimizerKind::sgd, .momentum = 0.9});
  update("adam", 4, {.kind = OptimizerKind::adam});
  update("adamw", 4, {.kind = OptimizerKind::adamw, .weight_decay = 0.01});
  return cases;
}

Module forward(const Case& c, int64_t n, int64_t r) {
  std::string text = "module @bench\nentry @infer(" + c.parameters + ") {{\nforward:\n  " + c.body +
                     "\n  return {y}\n}}\n";
  std::string last =
      c.body.substr(c.body.rfind('\n') == std::string::npos ? 0 : c.body.rfind('\n') + 1);
  last = last.substr(last.find('%'));
  return parse_module(
      fmt::format(fmt::runtime(text), fmt::arg("n", n), fmt::arg("r", r), fmt::arg("half", r / 2),
                  fmt::arg("y", "y=" + last.substr(0, last.find(':')))),
      c.name);
}

// Of sum(y * dy), where dy is one more parameter.
Module gradients(const Case& c, int64_t n, int64_t r) {
  Module module = forward(c, n, r);
  Function& entry = module.functions[0];
  Builder b(entry);
  ValueId y = entry.results[0].value;
  ValueId dy = b.parameter(entry.type(y), "dy");
  entry.results.clear();
  b.result(b.mul(y, dy), "sum");
  module = gradient(module, "infer", "sum", c.wrt);
  std::vector<Result>& results = module.functions[0].results;
  results.erase(results.begin());
  return module;
}

Module update(const Case& c, int64_t n, int64_t r) {
  Module module = parse_module(
      fmt::format("module @bench\nparam @w: f32[{0},{1}]\nentry @train_step(%g: f32[{0},{1}], "
                  "%lr: f32[], %step: i64[], %total_steps: i64[], %seed: i64[], "
                  "%w: f32[{0},{1}] = @w) {{\nforward:\n  %loss: f32[] = constant() {{dtype=f32, "
                  "shape=[], value=0.5}}\n  return loss=%loss\n}}\n",
                  n, r),
      c.name);
  Function& step = module.functions[0];
  Builder(step).result(step.parameters[0].value, "grad/w");
  Options options;
  options.train = true;
  options.optimizer = c.optimizer;
  module = optimizer(module, options);
  std::erase_if(module.functions, [](const Function& f) { return f.name != "train_step"; });
  return module;
}

std::unique_ptr<JitModule> compile(const Case& c, int64_t n, int64_t r, const Target& target) {
  Options options;
  options.target = target;
  Module module = c.is_update     ? update(c, n, r)
                  : c.wrt.empty() ? forward(c, n, r)
                                  : gradients(c, n, r);
  module = simplify(expand(module, options), options);
  module = plan(schedule(fuse(module, options), options), options);
  return std::make_unique<JitModule>(module, CodegenOptions{target, 1, "bench", ""});
}

// Of each call, which take turns.
std::vector<double> best_seconds(const std::vector<std::function<void()>>& calls) {
  std::vector<double> best(calls.size(), 1e9);
  double start = bench::thread_seconds();
  for (int round = 0; round < 3 || bench::thread_seconds() - start < 0.3; ++round)
    for (size_t i = 0; i < calls.size(); ++i) {
      auto times = static_cast<int>(std::clamp(1e-4 / best[i], 1.0, 1000.0));
      if (times > 1)
        calls[i]();  // what the others took out of the cache comes back
      double begin = bench::thread_seconds();
      for (int k = 0; k < times; ++k)
        calls[i]();
      best[i] = std::min(best[i], (bench::thread_seconds() - begin) / times);
    }
  return best;
}

// Small numbers of a type.
bench::Buffer filled(size_t bytes, uint8_t dtype) {
  bench::Buffer buffer(bytes);
  std::span<float> floats = buffer.floats();
  for (size_t i = 0; i < floats.size(); ++i) {
    size_t mixed = i * 2654435761u >> 7;
    if (dtype == GRADC_F32)
      floats[i] = static_cast<float>(mixed % 1021) / 256 - 2;
    else
      floats[i] = std::bit_cast<float>(static_cast<uint32_t>(dtype == GRADC_I32 ? mixed % 61 : 0));
  }
  return buffer;
}

struct Measured {
  double seconds = 0, bytes = 0;
  double copy_bandwidth = 0;  // bytes read and written per second, by the better copy loop
};

Measured measure(const gradc_module& module, size_t copied) {
  const gradc_entry& entry = module.entries[0];
  std::vector<bench::Buffer> buffers;
  std::vector<const void*> inputs;
  std::vector<void*> outputs;
  Measured measured;
  measured.bytes = static_cast<double>(2 * module.state_bytes);
  for (uint32_t i = 0; i < entry.input_count; ++i) {
    buffers.push_back(filled(entry.inputs[i].bytes, entry.inputs[i].dtype));
    inputs.push_back(buffers.back().data());
    measured.bytes += static_cast<double>(entry.inputs[i].bytes);
  }
  for (uint32_t i = 0; i < entry.output_count; ++i) {
    buffers.push_back(filled(entry.outputs[i].bytes, entry.outputs[i].dtype));
    outputs.push_back(buffers.back().data());
    measured.bytes += static_cast<double>(entry.outputs[i].bytes);
  }
  bench::Buffer state = filled(module.state_bytes, GRADC_I64);
  bench::Buffer arena = filled(entry.arena_bytes, GRADC_F32);
  gradc_context context{.state = state.data(),
                        .arena = arena.data(),
                        .parallel_for = bench::run_serially,
                        .pool = nullptr,
                        .threads = 1,
                        .reserved = 0};
  bench::Buffer from = filled(copied / 2, GRADC_F32), to = filled(copied / 2, GRADC_F32);
  auto copy = [&](bool streaming) {
    copy_bytes(static_cast<char*>(to.data()), static_cast<const char*>(from.data()), copied / 2,
               streaming);
  };
  std::vector<double> seconds =
      best_seconds({[&] { entry.function(&context, inputs.data(), outputs.data()); },
                    [&] { copy(false); }, [&] { copy(true); }});
  measured.seconds = seconds[0];
  measured.copy_bandwidth = static_cast<double>(copied) / std::min(seconds[1], seconds[2]);
  return measured;
}

}  // namespace

int main(int argc, char** argv) {
  Target target = target_for("native");
  std::string wanted = argc > 1 ? argv[1] : "";
  std::vector<int64_t> lengths = {64, 384, 1024, 4096};
  if (argc > 2)
    lengths = {std::stoll(argv[2])};
  struct Size {
    const char* name;
    size_t bytes;
  };
  for (const Size& size : {Size{"L2", size_t{1} << 20}, Size{"memory", size_t{96} << 20}})
    for (const Case& c : all_cases())
      for (int64_t r : lengths) {
        if (c.name.rfind(wanted, 0) != 0)
          continue;
        int64_t n = static_cast<int64_t>(size.bytes) / 4 / c.tensors / r;
        if (c.name.find("image") == 0)
          n = std::max<int64_t>(1, n / 16);
        std::unique_ptr<JitModule> code = compile(c, n, r, target);
        Measured measured = measure(*code->get(), size.bytes);
        double rate = measured.bytes / measured.seconds;
        fmt::print(
            "{:<6} {:<22} {:>6} x {:<5} {:>9.1f} us {:>6.1f} GB/s {:>5.1f} % of {:.0f}, "
            "{:.3f} ns an element\n",
            size.name, c.name, n, r, 1e6 * measured.seconds, 1e-9 * rate,
            100 * rate / measured.copy_bandwidth, 1e-9 * measured.copy_bandwidth,
            1e9 * measured.seconds / static_cast<double>(n * r) /
                (c.name.find("image") == 0 ? 16 : 1));
        std::fflush(stdout);
      }
}
