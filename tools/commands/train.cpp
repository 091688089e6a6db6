// gradc train: the flags, and what they may not say together.
#include <fmt/format.h>

#include <filesystem>
#include <memory>

#include "ir/diagnostic.h"
#include "tools/commands/commands.h"
#include "tools/commands/trainer.h"
#include "tools/micro_batches.h"

namespace gradc {
namespace {

bool has_extension(const std::string& path, std::string_view extension) {
  return std::filesystem::path(path).extension() == extension;
}

void check_flags(const TrainFlags& flags) {
  auto wrong = [](const std::string& message) {
    throw UserError("", message, Fault::command_line);
  };
  if (flags.data.empty() == flags.feed.empty())
    wrong("train takes either --data or --feed");
  if (!flags.feed.empty() && flags.steps == 0)
    wrong("--feed needs --steps: how often to train on that one batch");
  if (flags.epochs > 0 && flags.steps > 0)
    wrong("give --epochs or --steps, not both");
  if (!flags.feed.empty() && !(flags.dataset.label.empty() && flags.dataset.test.empty()))
    wrong("--label and --test-data are for --data");
  if (!flags.output.empty() && !writes_onnx(flags) && !has_extension(flags.output, ".safetensors"))
    wrong(fmt::format("-o got `{}`; it takes an .onnx or .safetensors file", flags.output));
  if (writes_onnx(flags) && !has_extension(flags.model.model, ".onnx"))
    wrong(
        "-o writes weights into a copy of an .onnx model; of this model they go into a "
        ".safetensors file");
  if (flags.model.verify_invert && !flags.model.options.invert)
    wrong("--verify-invert is for --invert, within a budget");
  if (!flags.resume.empty() && !flags.model.weights.empty())
    wrong("--resume brings its own weights; leave --weights away");
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand("train", "Train a model on data");
  auto flags = std::make_shared<TrainFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command
      ->add_option(
          "--data", flags->data,
          "fashion-mnist, a folder of IDX or .npy files, a .npz file, x.npy,y.npy, a .csv or "
          ".tsv file, or a .txt file for models of bytes")
      ->type_name("FILE");
  command->add_option(
      "--label", flags->dataset.label,
      "The column of a .csv or .tsv file for the model's last input, by name or number "
      "from 0 (default: the one named as that input, else the last)");
  command
      ->add_option("--test-data", flags->dataset.test,
                   "Test on this after each epoch; named as for --data")
      ->type_name("FILE");
  command
      ->add_option("--feed", flags->feed,
                   "Train on the one batch in this .npz file (arrays named as the inputs)")
      ->type_name("FILE");
  command->add_option("--epochs", flags->epochs, "Times to go through the data (default: 1)")
      ->check(whole_number(1));
  command->add_option("--steps", flags->steps, "Exactly this many steps instead")
      ->check(whole_number(1));
  command
      ->add_option("--metrics", flags->metrics,
                   "Write a JSON object per step and per epoch to this file")
      ->type_name("FILE");
  command
      ->add_option(
          "--health-every", flags->health_every,
          "Show what --health measures after every so many steps, and the last (default: 100)")
      ->check(whole_number(1));
  command
      ->add_option("--tensorboard", flags->tensorboard,
                   "Write an event file for TensorBoard into this folder: the loss, with --health "
                   "also layers and weights")
      ->type_name("FILE");
  command->add_flag("--verify-invert", flags->model.verify_invert,
                    "With --invert: hold the values that inverses give back too, beyond the "
                    "budget, and print how far these are off");
  command
      ->add_option("--save", flags->save,
                   "Write a checkpoint (.safetensors) at the end, or on Ctrl-C")
      ->type_name("FILE");
  command->add_option("--resume", flags->resume, "Go on from a checkpoint")->type_name("FILE");
  command
      ->add_option("-o,--output", flags->output,
                   "Write the trained model at the end: an .onnx file like the model's, or the "
                   "weights alone as .safetensors")
      ->type_name("FILE");
  command->callback([flags] {
    check_flags(*flags);
    if (flags->health_every > 0)
      flags->model.options.health = true;
    finish(flags->model);
    flags->model.options.train = true;
    settle_micro_batches(flags->model);
    train(*flags);
  });
}

}  // namespace gradc
