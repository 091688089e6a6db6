#pragma once
// Flags for looking at the passes themselves, and what they print.
#include <CLI/CLI.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "compiler/pipeline.h"

namespace gradc {

struct PassFlags {
  bool time = false, check = false;
  std::vector<std::string> skip;
};

// --time-passes, --check.
void add_watch_flags(CLI::App& command, PassFlags& flags);
// The same and --skip.
void add_pass_flags(CLI::App& command, PassFlags& flags);

// How long passes and code generation took, in order.
class PassTimes {
 public:
  void add(std::string name, double seconds) { rows_.emplace_back(std::move(name), seconds); }
  // The result of f(), whose time is noted.
  template <typename F>
  auto measure(const std::string& name, F f) {
    auto start = std::chrono::steady_clock::now();
    auto result = f();
    add(name, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    return result;
  }
  // A table on standard error, if `flags` ask for it.
  void print(const PassFlags& flags) const;

 private:
  std::vector<std::pair<std::string, double>> rows_;
};

// Checks, skips and notes times as `flags` say.
PipelineObserver observer_of(const PassFlags& flags, PassTimes& times);

}  // namespace gradc
