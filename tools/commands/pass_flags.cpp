#include "tools/commands/pass_flags.h"

#include <fmt/format.h>

#include <cstdio>

namespace gradc {

void add_watch_flags(CLI::App& command, PassFlags& flags) {
  command.add_flag("--time-passes,--time", flags.time,
                   "Print to standard error how long each pass takes");
  command.add_flag("--check", flags.check,
                   "Evaluate the model before and after each pass; the first one that changes an "
                   "answer is an error (slow: take small sizes)");
}

void add_pass_flags(CLI::App& command, PassFlags& flags) {
  add_watch_flags(command, flags);
  command.add_option("--skip", flags.skip, "Names of passes to leave out, separated by commas")
      ->delimiter(',');
}

void PassTimes::print(const PassFlags& flags) const {
  if (!flags.time)
    return;
  double total = 0;
  for (const auto& [name, seconds] : rows_)
    total += seconds;
  fmt::print(stderr, "{:<12}{:>10}{:>9}\n", "pass", "ms", "share");
  for (const auto& [name, seconds] : rows_)
    fmt::print(stderr, "{:<12}{:>10.2f}{:>7.1f} %\n", name, 1e3 * seconds,
               total > 0 ? 100 * seconds / total : 0);
  fmt::print(stderr, "{:<12}{:>10.2f}\n", "total", 1e3 * total);
}

PipelineObserver observer_of(const PassFlags& flags, PassTimes& times) {
  PipelineObserver observer;
  observer.check = flags.check;
  observer.skip = flags.skip;
  if (flags.time)
    observer.after_pass = [&times](const PassRun& run) {
      times.add(std::string(run.pass.name), run.seconds);
    };
  return observer;
}

}  // namespace gradc
