// gradc opt: passes on a module, from text to text.
#include <fstream>
#include <memory>

#include "compiler/compile.h"
#include "ir/print.h"
#include "tools/commands/commands.h"
#include "tools/commands/flags.h"
#include "tools/commands/output.h"

namespace gradc {
namespace {

struct OptFlags {
  ModelFlags model;
  std::vector<std::string> passes;
  std::string output;
  bool train = false;
};

void opt(OptFlags& flags) {
  finish(flags.model);
  flags.model.options.train = flags.train;
  Module module = load_model(flags.model.model, flags.model.options);
  for (const std::string& name : flags.passes)
    module = run_pass(pass_named(name), module, flags.model.options);
  write_text(flags.output, print(module));
}

}  // namespace

void add_opt(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("opt", "Run passes on a model or a dump, and print the result");
  auto flags = std::make_shared<OptFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command
      ->add_option("--passes", flags->passes,
                   "Names of passes, separated by commas; none: print the model as read")
      ->delimiter(',');
  command->add_flag("--train", flags->train, "Keep the training step of a .model file");
  command->add_option("-o,--output", flags->output, "Write here instead of to standard output");
  command->callback([flags] { opt(*flags); });
}

}  // namespace gradc
