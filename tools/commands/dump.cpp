// gradc dump: every stage between the model and the machine code, as text that parses back.
#include <fmt/format.h>

#include <memory>

#include "compiler/codegen/codegen.h"
#include "compiler/compile.h"
#include "compiler/lower/lower.h"
#include "ir/diagnostic.h"
#include "ir/loop_text.h"
#include "ir/print.h"
#include "tools/commands/commands.h"
#include "tools/commands/output.h"
#include "tools/session.h"

namespace gradc {
namespace {

struct DumpFlags {
  ModelFlags model;
  std::string after, output;
  bool train = false, all = false;
};

struct Stage {
  std::string name, extension, text;
};

std::string loops_text(const Module& planned, const Options& options) {
  std::vector<loop::Kernel> kernels;
  for (const Function& function : planned.functions)
    if (function.kind == FunctionKind::kernel)
      kernels.push_back(lower(function, options.target, options.threads));
  return print(kernels);
}

std::vector<Stage> stages(const DumpFlags& flags) {
  const Options& options = flags.model.options;
  std::vector<Stage> stages;
  Module imported = load_model(flags.model.model, options);
  stages.push_back({"import", ".ir", print(imported)});
  PipelineObserver observer;
  observer.after_pass = [&](const PassRun& run) {
    stages.push_back({std::string(run.pass.name), ".ir", print(run.after)});
  };
  Module planned = compile(imported, options, observer);
  CodegenOptions codegen = codegen_options(flags.model, planned);
  stages.push_back({"lower", ".loops", loops_text(planned, options)});
  stages.push_back({"codegen", ".ll", generate_code(planned, codegen, CodeFormat::llvm_ir)});
  stages.push_back({"assembly", ".s", generate_code(planned, codegen, CodeFormat::assembly)});
  return stages;
}

// The last stage of that name: a pass may run more than once.
const Stage& stage_named(const std::vector<Stage>& stages, const std::string& name) {
  std::vector<std::string> names;
  const Stage* found = nullptr;
  for (const Stage& stage : stages) {
    names.push_back(stage.name);
    if (stage.name == name)
      found = &stage;
  }
  if (found)
    return *found;
  std::string near = nearest_name(name, names);
  throw UserError("",
                  fmt::format("there is no stage `{}`{}", name,
                              near.empty() ? "" : "; did you mean `" + near + "`?"),
                  Fault::command_line)
      .with_help(fmt::format("the stages are {}", fmt::join(names, ", ")));
}

void dump(DumpFlags& flags) {
  finish(flags.model);
  flags.model.options.train = flags.train;
  if (flags.all && flags.output.empty())
    throw UserError("", "--all writes one file per stage; give a folder with -o",
                    Fault::command_line);
  std::vector<Stage> all = stages(flags);
  if (!flags.all) {
    write_text(flags.output, stage_named(all, flags.after).text);
    return;
  }
  make_folder(flags.output);
  for (size_t i = 0; i < all.size(); ++i)
    write_text(fmt::format("{}/{:02}-{}{}", flags.output, i, all[i].name, all[i].extension),
               all[i].text);
  Session session(flags.model);
  session.save(flags.output + "/weights.safetensors", true, {});
  if (!flags.model.json)
    fmt::print("{} stages and weights.safetensors in {}\n", all.size(), flags.output);
}

}  // namespace

void add_dump(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("dump", "Print a stage of the compilation, or write all of them");
  auto flags = std::make_shared<DumpFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command->add_flag("--train", flags->train, "The training step as well as inference");
  command->add_option("--after", flags->after, "A pass, or import, lower, codegen, assembly")
      ->default_val("plan");
  command->add_flag("--all,--print-ir-after-all", flags->all,
                    "Every stage, as numbered files, with the weights beside");
  command->add_option("-o,--output", flags->output, "A file, or with --all a folder");
  command->callback([flags] { dump(*flags); });
}

}  // namespace gradc
