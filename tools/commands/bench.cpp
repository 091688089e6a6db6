// gradc bench: how fast a model runs here, against what the machine can do at most.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "compiler/entries.h"
#include "compiler/plan/report.h"
#include "ir/op_def.h"
#include "tools/commands/commands.h"
#include "tools/commands/output.h"
#include "tools/commands/step_timer.h"
#include "tools/commands/tuner.h"
#include "tools/machine_peak.h"
#include "tools/micro_batches.h"
#include "tools/profile.h"
#include "tools/session.h"

namespace gradc {
namespace {

struct BenchFlags {
  ModelFlags model;
  std::string feed;
  bool train = false, on_request = false, tune = false;
  double seconds = 3;
  std::string profile;  // a file for the trace; "" for none
};

// FLOPs of products and convolutions in an entry, those inside of attention included, those of
// recomputed kernels not.
int64_t contraction_flops(const Module& planned, const Function& entry) {
  std::vector<bool> recomputed = recomputed_ops(planned, entry);
  int64_t flops = 0;
  for (size_t i = 0; i < entry.ops.size(); ++i) {
    if (recomputed[i] || entry.ops[i].callee.empty())
      continue;
    const Function& kernel = planned.function(entry.ops[i].callee);
    for (const Op& op : kernel.ops)
      if (def(op).kernel == KernelClass::contract || def(op).expand)
        flops += flops_of(kernel, op);
  }
  return flops;
}

class Bench {
 public:
  explicit Bench(BenchFlags& flags)
      : flags_(flags),
        entry_(flags.train ? kTrainStep : kInfer),
        arrays_(flags.feed.empty() ? std::vector<NamedArray>()
                                   : read_feed(flags.model, flags.feed)),
        session_(flags.model),
        call_(session_, entry_) {
    if (flags.feed.empty())
      fill_inputs(call_);
    else
      call_.feed(arrays_, flags.feed);
    call_.set_scalar(kLearningRate, 0);  // the parameters stay as they are
    call_.set_scalar(kTotalSteps, 1000);
    const Module& planned = session_.planned();
    flops_ = contraction_flops(planned, planned.function(entry_));
    if (flags.model.marks) {
      kernels_ = kernels_of(planned, planned.function(entry_));
      roofline_ = measure_roofline(session_.threads());
      clock_.emplace(session_.instance(), session_.pool(), kernels_.size());
    }
  }

  void run() {
    if (!flags_.on_request) {
      measure_once();
      if (clock_)
        write_text(flags_.profile,
                   profile_trace(session_.imported().name, kernels_, clock_->latest()).dump());
      flags_.model.json ? fmt::print("{}\n", json().dump(2)) : print();
      return;
    }
    // A script that runs several programs in turn waits for this line, then asks for each round.
    call_.run();
    fmt::print("{}\n", facts().dump());
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
      measure_once();
      fmt::print("{}\n", json().dump());
      std::fflush(stdout);
    }
  }

 private:
  void measure_once() {
    double before = fma_peak_gflops(session_.threads());
    times_ = time_steps(call_, flags_.seconds, clock_ ? &*clock_ : nullptr);
    peak_ = std::max(before, fma_peak_gflops(session_.threads()));
    roofline_.gflops = std::max(roofline_.gflops, peak_);
    gflops_ = static_cast<double>(flops_) / times_.median * 1e-6;
  }

  // What does not depend on the time.
  nlohmann::ordered_json facts() const {
    nlohmann::ordered_json json;
    json["model"] = session_.imported().name;
    json["entry"] = entry_;
    json["threads"] = session_.threads();
    json["contraction_flops"] = flops_;
    json["arena_bytes"] = call_.entry().arena_bytes;
    json["compile_ms"] = session_.compile_milliseconds();
    if (flags_.train)
      json["loss"] = call_.scalar_output(kLoss);
    return json;
  }

  nlohmann::ordered_json json() const {
    nlohmann::ordered_json json = facts();
    json["step_ms"] = {{"min", times_.min}, {"median", times_.median}};
    json["runs"] = times_.runs;
    json["gflops"] = gflops_;
    json["peak_gflops"] = peak_;
    json["fraction_of_peak"] = gflops_ / peak_;
    if (clock_)
      json["kernels"] = profile_json(kernels_, clock_->least_nanoseconds(), roofline_);
    return json;
  }

  void print() const {
    fmt::print("{} {}: {:.3f} ms median, {:.3f} ms min of {} runs, {} thread{}\n",
               session_.imported().name, entry_, times_.median, times_.min, times_.runs,
               session_.threads(), session_.threads() == 1 ? "" : "s");
    fmt::print(
        "products and convolutions: {:.1f} GFLOP/s, {:.0f} % of the {:.1f} GFLOP/s this machine "
        "can do\n",
        gflops_, 100 * gflops_ / peak_, peak_);
    fmt::print("arena {}, compiled in {:.0f} ms\n",
               human_bytes(static_cast<int64_t>(call_.entry().arena_bytes)),
               session_.compile_milliseconds());
    if (clock_)
      fmt::print("\n{}", profile_table(kernels_, clock_->least_nanoseconds(), roofline_));
  }

  BenchFlags& flags_;
  std::string entry_;
  std::vector<NamedArray> arrays_;  // of --feed
  Session session_;
  EntryCall call_;
  int64_t flops_ = 0;
  StepTimes times_;  // of the last round
  double peak_ = 0, gflops_ = 0;
  // With --profile.
  std::optional<KernelClock> clock_;
  std::vector<ProfiledKernel> kernels_;
  Roofline roofline_;
};

void bench(BenchFlags& flags) {
  flags.model.tunes = flags.tune;
  finish(flags.model);
  flags.model.options.train = flags.train;
  settle_micro_batches(flags.model);
  flags.model.marks = !flags.profile.empty();
  if (flags.on_request + flags.model.marks + flags.tune > 1)
    throw UserError("", "--on-request, --profile and --tune exclude each other",
                    Fault::command_line);
  check_can_write(flags.profile);
  if (flags.tune) {
    if (flags.model.tune_file == "none")
      throw UserError("", "--tune writes a file; --tune-file is none", Fault::command_line);
    std::vector<NamedArray> arrays;
    if (!flags.feed.empty())
      arrays = read_feed(flags.model, flags.feed);
    return tune(flags.model, std::string(flags.train ? kTrainStep : kInfer), arrays, flags.seconds);
  }
  Bench(flags).run();
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* command = app.add_subcommand("bench", "Measure a step against the machine's limit");
  auto flags = std::make_shared<BenchFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command->add_flag("--train", flags->train, "The training step instead of inference");
  command->add_option("--feed", flags->feed, "A .npz file with arrays named as the model's inputs")
      ->type_name("FILE");
  command->add_flag("--on-request", flags->on_request,
                    "Measure once per line on standard input and print a line of JSON each, for "
                    "scripts that run several programs in turn");
  command->add_option("--seconds", flags->seconds, "How long to measure")->check(finite_number());
  command
      ->add_option("--profile", flags->profile,
                   "Time each kernel: a table, and this trace for Chrome or Perfetto")
      ->type_name("FILE");
  command->add_flag("--tune", flags->tune,
                    "Time each product and convolution with other schedules, for --seconds each, "
                    "and write those that are faster to --tune-file");
  command->callback([flags] { bench(*flags); });
}

}  // namespace gradc
