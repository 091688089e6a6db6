#include "tools/commands/flags.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <thread>

#include "compiler/codegen/code_cache.h"
#include "compiler/codegen/target.h"
#include "ir/diagnostic.h"
#include "tools/tuning_file.h"

namespace gradc {
namespace {

[[noreturn]] void bad_flag(const std::string& flag, const std::string& text,
                           const std::string& wanted) {
  throw UserError("", fmt::format("{} got `{}`; {}", flag, text, wanted), Fault::command_line);
}

template <typename T>
std::optional<T> parse_whole_text(const std::string& text) {
  T value{};
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  return status == std::errc() && end == text.data() + text.size() ? std::optional(value)
                                                                   : std::nullopt;
}

std::pair<std::string, std::string> split_at_equals(const std::string& text,
                                                    const std::string& flag,
                                                    const std::string& form) {
  size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == text.size())
    bad_flag(flag, text, "its form is " + form);
  return {text.substr(0, equals), text.substr(equals + 1)};
}

std::vector<int64_t> parse_shape(const std::string& text, const std::string& flag) {
  std::vector<int64_t> dims;
  size_t begin = 0;
  while (begin <= text.size()) {
    size_t end = std::min(text.find('x', begin), text.size());
    dims.push_back(parse_integer(text.substr(begin, end - begin), flag, 1));
    begin = end + 1;
  }
  return dims;
}

// One number is a size or the value of an input; several are the elements of an input.
void read_bind(ModelFlags& flags, const std::string& bind) {
  auto [name, value] = split_at_equals(bind, "--bind", "NAME=VALUE");
  std::string flag = "--bind " + name;
  if (flags.options.binds.contains(name) || flags.options.bind_lists.contains(name))
    throw UserError("", fmt::format("{} is given twice", flag), Fault::command_line);
  if (value.find(',') == std::string::npos) {
    flags.options.binds[name] = parse_integer(value, flag, std::numeric_limits<int64_t>::min());
    return;
  }
  std::vector<int64_t>& list = flags.options.bind_lists[name];
  for (size_t begin = 0; begin <= value.size();) {
    size_t end = std::min(value.find(',', begin), value.size());
    list.push_back(
        parse_integer(value.substr(begin, end - begin), flag, std::numeric_limits<int64_t>::min()));
    begin = end + 1;
  }
}

void read_optimizer(ModelFlags& flags) {
  OptimizerOptions& optimizer = flags.options.optimizer;
  const std::string& name = flags.optimizer;
  if (name == "adam" || name == "adamw") {
    optimizer.kind = name == "adam" ? OptimizerKind::adam : OptimizerKind::adamw;
  } else if (name == "rmsprop") {
    optimizer.kind = OptimizerKind::rmsprop;
  } else {
    optimizer.kind = OptimizerKind::sgd;
    optimizer.nesterov = name == "nesterov";
    if ((name == "momentum" || name == "nesterov") && optimizer.momentum == 0)
      optimizer.momentum = 0.9;
  }
  double customary_decay = optimizer.kind == OptimizerKind::adamw ? 0.01 : 0;
  optimizer.weight_decay = flags.weight_decay >= 0 ? flags.weight_decay : customary_decay;
  optimizer.schedule = flags.schedule == "cosine" ? ScheduleKind::cosine : ScheduleKind::constant;
}

void read_tuned(ModelFlags& flags) {
  bool asked = !flags.tune_file.empty();
  std::string path = asked ? flags.tune_file : default_tuning_file();
  if (path.empty() || path == "none" || flags.tunes)
    return;
  TuningFile file = read_tuning(path, !asked);
  auto kernels = file.cpus.find(tuning_cpu(flags.options.target));
  if (kernels == file.cpus.end()) {
    if (asked)
      flags.options.warn(
          fmt::format("{} has nothing measured on {}", path, tuning_cpu(flags.options.target)));
    return;
  }
  for (const TunedKernel& kernel : kernels->second)
    flags.options.tuned[kernel.key] = kernel.choice;
}

// A finite number that `holds`, which `rule` says in words.
CLI::Validator number_that(bool (*holds)(double), const std::string& rule) {
  return CLI::Validator(
      [holds, rule](const std::string& text) {
        std::optional<double> value = parse_whole_text<double>(text);
        bool good = value && holds(*value) && std::isfinite(*value);
        return good ? "" : fmt::format("got `{}`; it takes a number {}", text, rule);
      },
      "");
}

}  // namespace

CLI::Validator finite_number() {
  return number_that([](double value) { return value >= 0; }, "of at least 0");
}

CLI::Validator positive_number() {
  return number_that([](double value) { return value > 0; }, "greater than 0");
}

CLI::Validator whole_number(int64_t least) {
  constexpr int64_t kMost = int64_t{1} << 53;  // such numbers travel as doubles
  return CLI::Validator(
      [least](const std::string& text) {
        std::optional<int64_t> value = parse_whole_text<int64_t>(text);
        bool good = value && *value >= least && *value <= kMost;
        return good ? ""
                    : fmt::format("got `{}`; it takes a whole number of at least {}", text, least);
      },
      "");
}

void add_model_flags(CLI::App& command, ModelFlags& flags) {
  command
      .add_option("model", flags.model,
                  "The model: an .onnx file, a .model description or an .ir dump")
      ->required()
      ->type_name("FILE");
  command.add_option(
      "--bind", flags.binds,
      "NAME=VALUE gives a dim of the model, or an integer input, a value; NAME=1,2 a list");
  command.add_option("--shape", flags.shapes, "INPUT=1x3x224x224 gives an input a shape");
  command.add_option("--batch", flags.batch, "The same as --bind batch=N");
  command.add_option("--loss", flags.options.loss,
                     "Of an .onnx file: NAME[:OUTPUT], one of cross_entropy, nll, bce, bce_logits, "
                     "mse, l1; the input `target` is what the output is compared with");
  command.add_flag("--train-mode", flags.options.train_mode,
                   "Of an .onnx file: batch norm and dropout train in the training step");
  command.add_option("--params", flags.options.parameters,
                     "Of an .onnx file: the float tensors of this pattern are the parameters");
  command
      .add_option("--weights", flags.weights, "Start from the parameters in this .safetensors file")
      ->type_name("FILE");
  command.add_option("--seed", flags.seed, "Seed of initial weights, shuffling and dropout")
      ->check(whole_number(0));
  command.add_option("--threads", flags.threads, "The most threads to run on (default: all cores)");
  command.add_option(
      "--cpu", flags.options.cpu,
      "CPU to compile for: native, x86-64-v2, x86-64-v3, x86-64-v4, znver4, ..., and features "
      "that it has beside or not: x86-64-v4,+avx512bf16");
  command
      .add_option("--precision", flags.precision,
                  "f32, bf16 or f16: what products and convolutions read and write, and what lies "
                  "between them; sums, norms, losses, parameters and updates are f32")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}))
      ->default_val("f32");
  command
      .add_option("--conv", flags.conv,
                  "How convolutions of 3x3 taps are computed: direct, or winograd, with fewer "
                  "multiplications and a rounding error about twice as large, where it is faster")
      ->check(CLI::IsMember({"direct", "winograd"}))
      ->default_val("direct");
  command.add_option("--memory", flags.memory,
                     "Bytes the arena may take, e.g. 8MiB; values are recomputed to keep it");
  command.add_option(
      "--memory-total", flags.memory_total,
      "Bytes that arena, parameters, optimizer state and in- and outputs may take together");
  command.add_option("--keep", flags.options.keep,
                     "Values that no budget makes again: names or glob patterns");
  command.add_option("--recompute", flags.options.recompute,
                     "Values of the forward pass that the backward pass makes again, whatever the "
                     "budget: names or glob patterns");
  command.add_flag("--invert", flags.options.invert,
                   "Within a budget, also get values back from later ones (x = y - f(z)), which "
                   "changes their last digits");
  CLI::Option* effort =
      command
          .add_option("--plan-effort", flags.options.plan_effort,
                      "How many times the usual steps a cheaper plan is searched for, e.g. 10")
          ->check(finite_number());
  command
      .add_option("--plan-time", flags.options.plan_seconds,
                  "Search for a cheaper plan for so many seconds instead of a number of steps; "
                  "results are the same, but not the plan in the next run")
      ->excludes(effort)
      ->check(finite_number());
  command
      .add_option("--tune-file", flags.tune_file,
                  "Schedules that `gradc bench --tune` measured, or `none` (default: "
                  "$XDG_DATA_HOME/gradc/tuning.json or ~/.local/share/gradc/tuning.json)")
      ->type_name("FILE");
  command
      .add_option(
          "--cache", flags.cache,
          "Folder where plans and compiled kernels are kept (default: $XDG_CACHE_HOME/gradc or "
          "~/.cache/gradc)")
      ->type_name("DIR");
  command.add_flag("--no-cache", flags.no_cache, "Compile everything anew and keep nothing");
  command.add_flag("--perf", flags.perf,
                   "Of code that runs here: tell perf and gdb the kernels' names and model lines");
  command.add_flag("--json", flags.json, "Print one JSON object and nothing else");
}

void add_optimizer_flags(CLI::App& command, ModelFlags& flags) {
  OptimizerOptions& optimizer = flags.options.optimizer;
  command
      .add_option("--optimizer", flags.optimizer, "sgd, momentum, nesterov, adam, adamw or rmsprop")
      ->check(CLI::IsMember({"sgd", "momentum", "nesterov", "adam", "adamw", "rmsprop"}))
      ->default_val("adamw");
  command
      .add_option("--lr", flags.learning_rate,
                  "Learning rate (default: 1e-3 for adam and adamw, 0.01 for rmsprop, else 0.05)")
      ->check(finite_number());
  command.add_option("--momentum", optimizer.momentum,
                     "Of sgd: v = momentum * v + gradient; of rmsprop the same of its quotient");
  command.add_option("--beta1", optimizer.beta1, "Of adam and adamw: decay of the first moment");
  command.add_option("--beta2", optimizer.beta2, "Of adam and adamw: decay of the second moment");
  command.add_option("--epsilon", optimizer.epsilon, "Of adam, adamw and rmsprop");
  command.add_option("--alpha", optimizer.alpha, "Of rmsprop: decay of the average square");
  command.add_flag("--centered", optimizer.centered,
                   "Of rmsprop: divide by the gradient's deviation from its average");
  command
      .add_option(
          "--weight-decay", flags.weight_decay,
          "adamw: decoupled; others: added to the gradient (default: 0.01 for adamw, else 0)")
      ->check(finite_number());
  command.add_option("--clip-value", optimizer.clip_value,
                     "Clamp each gradient element to +-VALUE");
  command.add_option("--clip-norm", optimizer.clip_norm,
                     "Scale gradients so that their norm is at most this");
  command.add_option("--schedule", flags.schedule, "Of the learning rate: constant or cosine")
      ->check(CLI::IsMember({"constant", "cosine"}));
  command
      .add_option("--warmup", optimizer.warmup_steps,
                  "Steps in which the learning rate rises from 0")
      ->check(whole_number(0));
  command
      .add_option(
          "--accumulate", flags.options.accumulate,
          "Batches that one step works through, one after the other, before it updates: the "
          "effective batch is as many times larger")
      ->check(whole_number(1));
  command.add_option("--micro-batch", flags.micro_batch,
                     "Work through the batch in parts of so many samples, one after the other; "
                     "auto: of the size that meets the budget in the least time");
  command
      .add_option("--loss-scale", flags.options.loss_scale,
                  "What the loss is multiplied by before the backward pass, and gradients are "
                  "divided by behind it: keeps small ones from vanishing in f16")
      ->check(positive_number());
  command.add_flag("--health", flags.options.health,
                   "Measure each layer in the step: activations, gradients, updates");
  command.add_option("--freeze", flags.options.frozen,
                     "Do not train parameters of this pattern, e.g. 'conv_1.*'");
}

void finish(ModelFlags& flags) {
  flags.options.warn = [](const std::string& message) {
    fmt::print(stderr, "warning: {}\n", message);
  };
  for (const std::string& bind : flags.binds)
    read_bind(flags, bind);
  if (!flags.batch.empty())
    flags.options.binds["batch"] = parse_integer(flags.batch, "--batch", 1);
  for (const std::string& shape : flags.shapes) {
    auto [name, value] = split_at_equals(shape, "--shape", "INPUT=1x3x224x224");
    if (!flags.options.shapes.emplace(name, parse_shape(value, "--shape " + name)).second)
      throw UserError("", fmt::format("--shape {} is given twice", name), Fault::command_line);
  }
  if (!flags.precision.empty())
    flags.options.precision = *dtype_named(flags.precision);
  flags.options.winograd = flags.conv == "winograd";
  if (!flags.memory.empty())
    flags.options.memory = parse_bytes(flags.memory, "--memory");
  if (!flags.memory_total.empty())
    flags.options.memory_total = parse_bytes(flags.memory_total, "--memory-total");
  auto cores = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  flags.options.threads =
      flags.threads.empty()
          ? cores
          : static_cast<int>(std::min<int64_t>(parse_integer(flags.threads, "--threads", 1), 1024));
  flags.options.target = target_for(flags.options.cpu);
  read_tuned(flags);
  if (flags.no_cache)
    flags.cache.clear();
  else if (flags.cache.empty())
    flags.cache = default_cache_folder();
  read_optimizer(flags);
}

double learning_rate(const ModelFlags& flags) {
  if (flags.learning_rate >= 0)
    return flags.learning_rate;
  switch (flags.options.optimizer.kind) {
    case OptimizerKind::sgd:
      return 0.05;
    case OptimizerKind::rmsprop:
      return 0.01;
    default:
      return 1e-3;
  }
}

int64_t parse_integer(const std::string& text, const std::string& flag, int64_t least) {
  std::optional<int64_t> value = parse_whole_text<int64_t>(text);
  if (!value || *value < least)
    bad_flag(flag, text,
             least == std::numeric_limits<int64_t>::min()
                 ? "it takes a whole number"
                 : fmt::format("it takes a whole number of at least {}", least));
  return *value;
}

int64_t parse_bytes(const std::string& text, const std::string& flag) {
  double value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string unit(end, text.data() + text.size());
  unit.erase(std::remove(unit.begin(), unit.end(), ' '), unit.end());
  struct Unit {
    std::string_view name;
    double bytes;
  };
  constexpr std::array<Unit, 8> units = {{{"", 1},
                                          {"B", 1},
                                          {"KiB", 0x1p10},
                                          {"MiB", 0x1p20},
                                          {"GiB", 0x1p30},
                                          {"KB", 1e3},
                                          {"MB", 1e6},
                                          {"GB", 1e9}}};
  for (const Unit& candidate : units)
    if (status == std::errc() && unit == candidate.name && value > 0 &&
        value * candidate.bytes < 0x1p62)
      return static_cast<int64_t>(value * candidate.bytes);
  bad_flag(flag, text, "it takes a size such as 12345, 64KiB, 8MiB, 1.5GB");
}

std::string human_bytes(int64_t bytes) {
  constexpr std::array<std::string_view, 5> units = {"B", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

}  // namespace gradc
