#include "tools/commands/tuner.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "compiler/compile.h"
#include "compiler/entries.h"
#include "compiler/kernel.h"
#include "compiler/lower/contract_choices.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"
#include "tools/commands/output.h"
#include "tools/commands/step_timer.h"
#include "tools/compiled.h"
#include "tools/profile.h"
#include "tools/progress.h"
#include "tools/session.h"
#include "tools/tuning_file.h"

namespace gradc {
namespace {

constexpr int kRounds = 2;
constexpr size_t kLeastSteps = 5;  // of a round
constexpr double kLeastGain = 1.03;  // in each round; two runs of one schedule differ by less

// A compiled model whose kernels are timed.
class Timed {
 public:
  Timed(const Module& imported, const ModelFlags& flags, const std::string& entry,
        const std::vector<NamedArray>& arrays)
      : session_(imported, flags),
        call_(session_, entry),
        kernels_(kernels_of(planned(), planned().function(entry))) {
    if (arrays.empty())
      fill_inputs(call_);
    else
      call_.feed(arrays, flags.model);
    call_.set_scalar(kLearningRate, 0);  // the parameters stay as they are
    call_.set_scalar(kTotalSteps, 1000);
    call_.run();
  }

  const Module& planned() const { return session_.planned(); }
  bool runs(const std::string& kernel) const {
    return std::ranges::count(kernels_, kernel, &ProfiledKernel::name) > 0;
  }

  void begin_round() {
    clock_.reset();
    clock_.emplace(session_.instance(), session_.pool(), kernels_.size());
    step_ = 1e300;
  }

  void step() {
    auto begin = std::chrono::steady_clock::now();
    call_.run();
    step_ = std::min(
        step_, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
                   .count());
    clock_->finish_run();
  }

  // Of the round: milliseconds of a step, and nanoseconds of a call of each kernel, the least.
  double step_milliseconds() const { return step_; }
  std::map<std::string, double> call_nanoseconds() const {
    std::map<std::string, double> least;
    for (size_t i = 0; i < kernels_.size(); ++i) {
      auto time = static_cast<double>(std::max<int64_t>(1, clock_->least_nanoseconds()[i]));
      auto [known, fresh] = least.try_emplace(kernels_[i].name, time);
      known->second = std::min(known->second, time);
    }
    return least;
  }

  // What a step gives, and the state behind it.
  std::vector<NamedArray> results() const { return call_.output_arrays(); }
  std::span<const std::byte> state() const { return session_.state_bytes(); }

 private:
  Session session_;
  EntryCall call_;
  std::vector<ProfiledKernel> kernels_;
  std::optional<KernelClock> clock_;
  double step_ = 0;
};

// Steps of both in turn, so that what else the machine does hits both alike.
void measure_round(Timed& x, Timed& y, double seconds) {
  x.begin_round();
  y.begin_round();
  auto begin = std::chrono::steady_clock::now();
  for (size_t steps = 0;
       steps < kLeastSteps ||
       std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < seconds;
       ++steps) {
    x.step();
    y.step();
  }
}

std::string what(const Function& kernel) {
  for (const Op& op : kernel.ops) {
    if (def(op).kernel != KernelClass::contract)
      continue;
    std::vector<std::string> operands;
    for (ValueId operand : op.operands)
      operands.push_back(to_string(kernel.type(operand)));
    return fmt::format("{}({}) -> {}", def(op).name, fmt::join(operands, ", "),
                       to_string(kernel.type(op.result())));
  }
  return kernel.name;
}

class Tuner {
 public:
  Tuner(ModelFlags& flags, const std::string& entry, const std::vector<NamedArray>& arrays,
        double seconds)
      : flags_(flags), entry_(entry), arrays_(arrays), seconds_(seconds) {}

  void run() {
    std::string path = flags_.tune_file.empty() ? default_tuning_file() : flags_.tune_file;
    if (path.empty())
      throw UserError("", "--tune has no file to write to: neither XDG_DATA_HOME nor HOME is set",
                      Fault::command_line)
          .with_help("say one by --tune-file");
    TuningFile file = read_tuning(path, true);
    make_folder(std::filesystem::absolute(path).parent_path());
    check_can_write(path);
    flags_.marks = true;
    flags_.options.tuned.clear();
    imported_ = load_model(flags_.model, flags_.options);
    usual_ = std::make_unique<Timed>(imported_, flags_, entry_, arrays_);
    find_kernels();
    auto choices = static_cast<int64_t>(contract_choices().size());
    int64_t done = 0;
    Progress progress("tune", choices + 1, flags_.json);
    for (const ContractChoice& choice : contract_choices()) {
      progress.update(done++, std::string(choice.name));
      measure(choice);
    }
    usual_.reset();
    progress.update(choices, "all of them together");
    while (found() > 0 && confirm()) {
    }
    progress.clear();
    write(std::move(file), path);
    print(path);
  }

 private:
  struct Best {
    TunedKernel tuned;
    bool found = false;
  };

  int64_t found() const {
    return std::ranges::count_if(best_, [](const auto& kernel) { return kernel.second.found; });
  }

  void find_kernels() {
    for (const Function& kernel : usual_->planned().functions)
      if (usual_->runs(kernel.name) && kernel_class(kernel) == "contract") {
        std::string key = tuning_key(kernel, flags_.options.threads);
        best_[kernel.name] = {{key, what(kernel), "", 1}};
      }
  }

  // Kernels that another schedule changes.
  std::set<std::string> changed(const Module& planned) const {
    std::set<std::string> names;
    for (const auto& [name, best] : best_) {
      const Function* other = planned.find_function(name);
      if (other && !(other->attrs == usual_->planned().function(name).attrs))
        names.insert(name);
    }
    return names;
  }

  void measure(const ContractChoice& choice) {
    flags_.options.schedule_all = std::string(choice.name);
    std::set<std::string> names = changed(compiled(imported_, flags_.options, flags_.cache));
    if (!names.empty()) {
      Timed other(imported_, flags_, entry_, arrays_);
      std::map<std::string, double> gains;
      for (int round = 0; round < kRounds; ++round) {
        measure_round(*usual_, other, seconds_ / kRounds);
        std::map<std::string, double> x = usual_->call_nanoseconds(), y = other.call_nanoseconds();
        for (const std::string& name : names)
          if (x.contains(name) && y.contains(name)) {
            double gain = x[name] / y[name];
            gains[name] = round == 0 ? gain : std::min(gains[name], gain);
          }
      }
      for (const auto& [name, gain] : gains)
        keep_better(best_[name], choice, gain);
    }
    flags_.options.schedule_all.clear();
  }

  static void keep_better(Best& best, const ContractChoice& choice, double gain) {
    if (gain < kLeastGain || gain <= best.tuned.gain)
      return;
    best.tuned.choice = std::string(choice.name);
    best.tuned.gain = gain;
    best.found = true;
  }

  // Results of other models stay; those of this one's kernels are replaced.
  void write(TuningFile file, const std::string& path) const {
    std::vector<TunedKernel>& kernels = file.cpus[tuning_cpu(flags_.options.target)];
    for (const auto& [name, best] : best_) {
      std::erase_if(kernels, [&](const TunedKernel& old) { return old.key == best.tuned.key; });
      if (best.found)
        kernels.push_back(best.tuned);
    }
    write_text(path, tuning_text(file));
  }

  // Runs with all of them together, whose bits must be those of before. What was the best of many
  // by luck is not faster again: it is dropped, and the result is whether there was such.
  bool confirm() {
    flags_.options.tuned.clear();
    for (const auto& [name, best] : best_)
      if (best.found)
        flags_.options.tuned[best.tuned.key] = best.tuned.choice;
    Timed tuned(imported_, flags_, entry_, arrays_), usual(imported_, untuned(), entry_, arrays_);
    std::vector<NamedArray> x = usual.results(), y = tuned.results();
    bool same = std::ranges::equal(usual.state(), tuned.state()) && x.size() == y.size();
    for (size_t i = 0; i < x.size() && same; ++i)
      same = x[i].data == y[i].data;
    GRADC_CHECK(same, "measured schedules of `{}` give other bits", flags_.model);
    measure_round(usual, tuned, seconds_);
    before_ = usual.step_milliseconds();
    after_ = tuned.step_milliseconds();
    return drop_slower(usual.call_nanoseconds(), tuned.call_nanoseconds());
  }

  bool drop_slower(const std::map<std::string, double>& usual,
                   const std::map<std::string, double>& tuned) {
    bool dropped = false;
    for (auto& [name, best] : best_) {
      if (!best.found)
        continue;
      best.tuned.gain = usual.at(name) / tuned.at(name);
      best.found = best.tuned.gain >= kLeastGain;
      dropped |= !best.found;
    }
    return dropped;
  }

  ModelFlags untuned() const {
    ModelFlags flags = flags_;
    flags.options.tuned.clear();
    return flags;
  }

  void print(const std::string& path) const {
    if (flags_.json)
      return fmt::print("{}\n", json(path).dump(2));
    fmt::print("{} {}: {} of {} products and convolutions are faster with another schedule\n",
               imported_.name, entry_, found(), best_.size());
    for (const auto& [name, best] : best_)
      if (best.found)
        fmt::print("  {:5.2f} times  {:14} {}\n", best.tuned.gain, best.tuned.choice,
                   best.tuned.what);
    if (found() > 0)
      fmt::print("a step takes {:.3f} ms, with them {:.3f} ms\n", before_, after_);
    fmt::print("written to {}\n", path);
  }

  nlohmann::ordered_json json(const std::string& path) const {
    nlohmann::ordered_json kernels = nlohmann::ordered_json::array();
    for (const auto& [name, best] : best_) {
      nlohmann::ordered_json kernel = {{"kernel", name},
                                       {"key", best.tuned.key},
                                       {"what", best.tuned.what},
                                       {"schedule", nullptr},
                                       {"gain", best.tuned.gain}};
      if (best.found)
        kernel["schedule"] = best.tuned.choice;
      kernels.push_back(std::move(kernel));
    }
    nlohmann::ordered_json json = {{"model", imported_.name},
                                   {"entry", entry_},
                                   {"file", path},
                                   {"cpu", tuning_cpu(flags_.options.target)}};
    if (found() > 0)
      json["step_ms"] = {{"before", before_}, {"after", after_}};
    json["kernels"] = std::move(kernels);
    return json;
  }

  ModelFlags& flags_;
  std::string entry_;
  const std::vector<NamedArray>& arrays_;
  double seconds_;
  Module imported_;
  std::unique_ptr<Timed> usual_;
  std::map<std::string, Best> best_;  // by kernel
  double before_ = 0, after_ = 0;
};

}  // namespace

void tune(ModelFlags& flags, const std::string& entry, const std::vector<NamedArray>& arrays,
          double seconds) {
  Tuner(flags, entry, arrays, seconds).run();
}

}  // namespace gradc
