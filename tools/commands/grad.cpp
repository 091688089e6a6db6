// gradc grad: the outputs and the gradients of one training step, without an update.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "compiler/compile.h"
#include "compiler/entries.h"
#include "compiler/passes/autodiff.h"
#include "ir/diagnostic.h"
#include "tools/commands/commands.h"
#include "tools/io/npz.h"
#include "tools/session.h"

namespace gradc {
namespace {

struct GradFlags {
  ModelFlags model;
  std::string feed, output, of;
  std::vector<std::string> wrt;
};

// Names are those of the module as it is read, so gradients are made before any pass; what sink
// does is part of that.
Session session_with_gradients(const GradFlags& flags) {
  Module module = load_model(flags.model.model, flags.model.options);
  std::vector<std::string> done = passes_run(module);
  if (std::find(done.begin(), done.end(), "expand") != done.end())
    throw UserError(flags.model.model,
                    "is a stage behind `expand`; --of and --wrt take a model or an earlier stage",
                    Fault::command_line);
  PipelineObserver observer;
  observer.skip = {"sink", "autodiff", "optimizer"};
  std::string of = flags.of.empty() ? std::string(kLoss) : flags.of;
  return Session(gradients_by_name(module, of, flags.wrt, flags.model.options), flags.model,
                 observer);
}

void grad(GradFlags& flags) {
  finish(flags.model);
  flags.model.options.train = true;
  flags.model.options.update = false;
  flags.model.options.input_gradients = true;
  std::vector<NamedArray> arrays = read_feed(flags.model, flags.feed);
  Session session =
      flags.of.empty() && flags.wrt.empty() ? Session(flags.model) : session_with_gradients(flags);
  EntryCall call(session, kTrainStep);
  call.feed(arrays, flags.feed);
  call.set_scalar(kSeed, static_cast<double>(flags.model.seed));
  call.run();
  std::vector<NamedArray> outputs = call.output_arrays();
  write_npz(flags.output, outputs);
  size_t gradients = 0;
  for (const NamedArray& output : outputs)
    gradients +=
        output.name.starts_with(kGradientPrefix) || output.name.starts_with(kInputGradientPrefix);
  bool has_loss = call.has_output(kLoss);
  std::string loss = has_loss ? fmt::format("{:.9g}", call.scalar_output(kLoss)) : "";
  if (flags.model.json)
    fmt::print("{{{}\"gradients\": {}}}\n", has_loss ? "\"loss\": " + loss + ", " : "", gradients);
  else
    fmt::print("{}{} gradient{}\n", has_loss ? "loss " + loss + ", " : "", gradients,
               gradients == 1 ? "" : "s");
}

}  // namespace

void add_grad(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("grad", "Write the gradients of the loss, or of any other value");
  auto flags = std::make_shared<GradFlags>();
  add_model_flags(*command, flags->model);
  command->add_option(
      "--of", flags->of,
      "What to differentiate (default: the loss): an output, a value as `gradc dump --after "
      "import` "
      "names it, or a gradient of the loss (grad/PARAMETER, grad_INPUT). Of a tensor: the "
      "gradient of the sum of its elements");
  command
      ->add_option("--wrt", flags->wrt,
                   "With respect to what, separated by commas: inputs, parameters, values "
                   "(default: all trainable parameters and float inputs)")
      ->delimiter(',');
  command->add_option("--freeze", flags->model.options.frozen,
                      "No gradient for parameters of this pattern");
  command->add_option("--feed", flags->feed, "A .npz file with arrays named as the model's inputs")
      ->required()
      ->type_name("FILE");
  command
      ->add_option("-o,--output", flags->output,
                   "Where to write: outputs, loss, grad/PARAMETER, grad_VALUE (.npz)")
      ->required()
      ->type_name("FILE");
  command->callback([flags] { grad(*flags); });
}

}  // namespace gradc
