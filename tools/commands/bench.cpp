// gradc bench: how fast a model runs here, against what the machine can do at most.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>

#include "compiler/entries.h"
#include "compiler/plan/report.h"
#include "ir/op_def.h"
#include "tools/commands/commands.h"
#include "tools/machine_peak.h"
#include "tools/session.h"

namespace gradc {
namespace {

struct BenchFlags {
  ModelFlags model;
  bool train = false;
  double seconds = 3;
};

struct Times {
  double min = 0, median = 0;
  size_t runs = 0;
};

// Inputs that any model takes: small random floats, and 0 or 1 where a class or an index is wanted.
void fill_inputs(EntryCall& call) {
  std::mt19937 random(1);
  for (uint32_t i = 0; i < call.entry().input_count; ++i) {
    const gradc_tensor& tensor = call.entry().inputs[i];
    std::span<std::byte> bytes = call.input(tensor.name);
    int64_t size = byte_size(type_of(tensor).dtype);
    for (size_t at = 0; at < bytes.size(); at += static_cast<size_t>(size)) {
      if (tensor.dtype == GRADC_F32) {
        float value = std::uniform_real_distribution<float>(-1, 1)(random);
        std::memcpy(&bytes[at], &value, sizeof value);
      } else if (is_integer(type_of(tensor).dtype)) {
        bytes[at] = static_cast<std::byte>(random() & 1);  // little-endian
      }
    }
  }
}

Times measure(EntryCall& call, double seconds) {
  using Clock = std::chrono::steady_clock;
  auto since = [](Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
  };
  for (int i = 0; i < 2; ++i)
    call.run();
  std::vector<double> times;
  for (auto begin = Clock::now();
       times.size() < 5 || (since(begin) < seconds && times.size() < 100000);) {
    auto start = Clock::now();
    call.run();
    times.push_back(1e3 * since(start));
  }
  std::sort(times.begin(), times.end());
  return {times.front(), times[times.size() / 2], times.size()};
}

// FLOPs of products and convolutions in an entry, those of recomputed kernels not counted.
int64_t contraction_flops(const Module& planned, const Function& entry) {
  std::vector<bool> recomputed = recomputed_ops(entry);
  int64_t flops = 0;
  for (size_t i = 0; i < entry.ops.size(); ++i) {
    if (recomputed[i] || entry.ops[i].callee.empty())
      continue;
    const Function& kernel = planned.function(entry.ops[i].callee);
    for (const Op& op : kernel.ops)
      if (def(op).kernel == KernelClass::contract)
        flops += flops_of(kernel, op);
  }
  return flops;
}

void bench(BenchFlags& flags) {
  finish(flags.model);
  flags.model.options.train = flags.train;
  std::string entry(flags.train ? kTrainStep : kInfer);
  Session session(flags.model);
  EntryCall call(session, entry);
  fill_inputs(call);
  call.set_scalar(kLearningRate, 0);  // the parameters stay as they are
  call.set_scalar(kTotalSteps, 1000);
  double peak_before = fma_peak_gflops(session.threads());
  Times times = measure(call, flags.seconds);
  double peak = std::max(peak_before, fma_peak_gflops(session.threads()));
  int64_t flops = contraction_flops(session.planned(), session.planned().function(entry));
  double gflops = static_cast<double>(flops) / times.median * 1e-6;
  if (flags.model.json) {
    nlohmann::ordered_json json;
    json["model"] = session.imported().name;
    json["entry"] = entry;
    json["threads"] = session.threads();
    json["step_ms"] = {{"min", times.min}, {"median", times.median}};
    json["runs"] = times.runs;
    json["gflops"] = gflops;
    json["peak_gflops"] = peak;
    json["fraction_of_peak"] = gflops / peak;
    json["arena_bytes"] = call.entry().arena_bytes;
    json["compile_ms"] = session.compile_milliseconds();
    fmt::print("{}\n", json.dump(2));
    return;
  }
  fmt::print("{} {}: {:.3f} ms median, {:.3f} ms min of {} runs, {} thread{}\n",
             session.imported().name, entry, times.median, times.min, times.runs, session.threads(),
             session.threads() == 1 ? "" : "s");
  fmt::print(
      "products and convolutions: {:.1f} GFLOP/s, {:.0f} % of the {:.1f} GFLOP/s this machine can "
      "do\n",
      gflops, 100 * gflops / peak, peak);
  fmt::print("arena {}, compiled in {:.0f} ms\n",
             human_bytes(static_cast<int64_t>(call.entry().arena_bytes)),
             session.compile_milliseconds());
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand("bench", "Measure a step against the machine's limit");
  auto flags = std::make_shared<BenchFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command->add_flag("--train", flags->train, "The training step instead of inference");
  command->add_option("--seconds", flags->seconds, "How long to measure")->check(finite_number());
  command->callback([flags] { bench(*flags); });
}

}  // namespace gradc
