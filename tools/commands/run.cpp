// gradc run: inference on the arrays of a file.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "compiler/entries.h"
#include "tools/commands/commands.h"
#include "tools/io/npz.h"
#include "tools/session.h"

namespace gradc {
namespace {

struct RunFlags {
  ModelFlags model;
  std::string feed, output;
};

void print_summary(const NamedArray& array) {
  fmt::print("{}: {}", array.name, to_string(array.type));
  if (array.type.dtype == DType::f32 && array.type.elements() > 0) {
    const auto* values = reinterpret_cast<const float*>(array.data.data());
    auto count = static_cast<size_t>(array.type.elements());
    auto [least, most] = std::minmax_element(values, values + count);
    double sum = 0;
    for (size_t i = 0; i < count; ++i)
      sum += values[i];
    fmt::print("  min {:.6g}  max {:.6g}  mean {:.6g}", *least, *most,
               sum / static_cast<double>(count));
  }
  fmt::print("\n");
}

void run(RunFlags& flags) {
  finish(flags.model);
  Session session(flags.model);
  EntryCall call(session, kInfer);
  call.feed(read_npz(flags.feed), flags.feed);
  call.set_scalar(kSeed, static_cast<double>(flags.model.seed));
  call.run();
  std::vector<NamedArray> outputs = call.output_arrays();
  if (!flags.output.empty())
    write_npz(flags.output, outputs);
  if (flags.model.json)
    fmt::print("{{\"outputs\": {}, \"arena_bytes\": {}}}\n", outputs.size(),
               call.entry().arena_bytes);
  else
    for (const NamedArray& output : outputs)
      print_summary(output);
}

}  // namespace

void add_run(CLI::App& app) {
  CLI::App* command = app.add_subcommand("run", "Run inference on a file of arrays");
  auto flags = std::make_shared<RunFlags>();
  add_model_flags(*command, flags->model);
  command
      ->add_option("--feed,--input", flags->feed,
                   "A .npz file with arrays named as the model's inputs")
      ->required()
      ->type_name("FILE");
  command->add_option("-o,--output", flags->output, "Write the outputs to this .npz file")
      ->type_name("FILE");
  command->callback([flags] { run(*flags); });
}

}  // namespace gradc
