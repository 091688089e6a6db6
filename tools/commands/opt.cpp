// gradc opt: passes on a module, from text to text.
#include <fstream>
#include <memory>

#include "compiler/compile.h"
#include "ir/diagnostic.h"
#include "ir/loop_text.h"
#include "ir/print.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"
#include "tools/commands/output.h"
#include "tools/commands/pass_flags.h"
#include "tools/micro_batches.h"

namespace gradc {
namespace {

struct OptFlags {
  ModelFlags model;
  PassFlags watch;
  std::vector<std::string> passes;
  std::string output;
  bool train = false;
};

// Loops are what passes end in: they are read, and printed again.
void print_loops(const OptFlags& flags) {
  if (!flags.passes.empty())
    throw UserError("", "passes work on a .model or an .ir; loops are printed as read",
                    Fault::command_line);
  const std::string& path = flags.model.model;
  write_text(flags.output, print(parse_loop_file(read_text_file(path), path)));
}

void opt(OptFlags& flags) {
  finish(flags.model);
  if (flags.model.model.ends_with(".loops"))
    return print_loops(flags);
  flags.model.options.train = flags.train;
  settle_micro_batches(flags.model);
  Module module = load_model(flags.model.model, flags.model.options);
  PassTimes times;
  module = run_passes(std::move(module), flags.passes, flags.model.options,
                      observer_of(flags.watch, times));
  times.print(flags.watch);
  write_text(flags.output, print(module));
}

}  // namespace

void add_opt(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "opt", "Run passes on a model or a dump (.ir, .loops), and print the result");
  auto flags = std::make_shared<OptFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command
      ->add_option("--passes", flags->passes,
                   "Names of passes, separated by commas; none: print the model as read")
      ->delimiter(',');
  add_watch_flags(*command, flags->watch);
  command->add_flag("--train", flags->train, "Keep the training step of a .model file");
  command->add_option("-o,--output", flags->output, "Write here instead of to standard output")
      ->type_name("FILE");
  command->callback([flags] { opt(*flags); });
}

}  // namespace gradc
