// gradc grad: the outputs and the gradients of one training step, without an update.
#include <fmt/format.h>

#include <memory>

#include "compiler/entries.h"
#include "tools/commands/commands.h"
#include "tools/io/npz.h"
#include "tools/session.h"

namespace gradc {
namespace {

struct GradFlags {
  ModelFlags model;
  std::string feed, output;
};

void grad(GradFlags& flags) {
  finish(flags.model);
  flags.model.options.train = true;
  flags.model.options.update = false;
  flags.model.options.input_gradients = true;
  Session session(flags.model);
  EntryCall call(session, kTrainStep);
  call.feed(read_npz(flags.feed), flags.feed);
  call.set_scalar(kSeed, static_cast<double>(flags.model.seed));
  call.run();
  std::vector<NamedArray> outputs = call.output_arrays();
  write_npz(flags.output, outputs);
  size_t gradients = 0;
  for (const NamedArray& output : outputs)
    gradients +=
        output.name.starts_with(kGradientPrefix) || output.name.starts_with(kInputGradientPrefix);
  float loss = call.scalar_output(kLoss);
  if (flags.model.json)
    fmt::print("{{\"loss\": {:.9g}, \"gradients\": {}}}\n", loss, gradients);
  else
    fmt::print("loss {:.9g}, {} gradients\n", loss, gradients);
}

}  // namespace

void add_grad(CLI::App& app) {
  CLI::App* command = app.add_subcommand("grad", "Write the gradients of the loss");
  auto flags = std::make_shared<GradFlags>();
  add_model_flags(*command, flags->model);
  command->add_option("--freeze", flags->model.options.frozen,
                      "No gradient for parameters of this pattern");
  command->add_option("--feed", flags->feed, "A .npz file with arrays named as the model's inputs")
      ->required();
  command
      ->add_option("-o,--output", flags->output,
                   "Where to write: outputs, loss, grad/PARAMETER, grad_INPUT (.npz)")
      ->required();
  command->callback([flags] { grad(*flags); });
}

}  // namespace gradc
