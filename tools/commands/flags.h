#pragma once
// Flags that several commands share, and how their texts are read. Bad values are UserErrors of the
// command line (exit code 2).
#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/options.h"

namespace gradc {

// What every command that takes a model reads from the command line.
struct ModelFlags {
  std::string model;  // .onnx, .model or .ir
  std::string weights;  // safetensors; "" for fresh ones
  int64_t seed = 0;  // of initialisers and random ops
  bool json = false;
  bool marks = false;  // as CodegenOptions::marks
  bool perf = false;  // CodegenOptions::debugging
  std::string tune_file;  // "": the customary one; `none`
  bool tunes = false;  // measures schedules: the file is not read
  std::string cache;  // CodegenOptions::cache
  bool no_cache = false;
  bool verify_invert = false;  // keep what inverses give back, and measure the difference
  Options options;

  // Texts as given, until finish() reads them.
  std::vector<std::string> binds, shapes;
  std::string batch, micro_batch, memory, memory_total, threads, optimizer, schedule, precision,
      conv;
  double learning_rate = -1, weight_decay = -1;  // negative: the optimizer's customary one
};

// The model, --bind, --shape, --batch, --loss, --train-mode, --params, --weights, --seed,
// --threads, --cpu, --precision, --conv, --memory, --memory-total, --keep, --recompute, --invert,
// --tune-file, --cache, --no-cache, --perf.
void add_model_flags(CLI::App& command, ModelFlags& flags);
// --optimizer, --lr, --momentum, ..., --freeze.
void add_optimizer_flags(CLI::App& command, ModelFlags& flags);
// Reads the texts into flags.options; call it first in a command.
void finish(ModelFlags& flags);
// --lr, or the optimizer's customary rate.
double learning_rate(const ModelFlags& flags);

// For CLI::Option::check: a number that is finite and not negative, one that is finite and
// positive, a whole number from `least` on. CLI11's own checks pass NaN and what lies beyond 64
// bits, and spell out the largest double.
CLI::Validator finite_number();
CLI::Validator positive_number();
CLI::Validator whole_number(int64_t least);

// A decimal number, `least` or more.
int64_t parse_integer(const std::string& text, const std::string& flag, int64_t least);
// "8MiB", "1.5 GB", "12345": bytes.
int64_t parse_bytes(const std::string& text, const std::string& flag);
// 8388608 -> "8.0 MiB".
std::string human_bytes(int64_t bytes);

}  // namespace gradc
