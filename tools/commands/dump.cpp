// gradc dump: every stage between the model and the machine code, as text that parses back.
#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "compiler/codegen/codegen.h"
#include "compiler/compile.h"
#include "compiler/lower/lower.h"
#include "ir/diagnostic.h"
#include "ir/loop_text.h"
#include "ir/print.h"
#include "tools/commands/commands.h"
#include "tools/commands/output.h"
#include "tools/commands/pass_flags.h"
#include "tools/micro_batches.h"
#include "tools/session.h"

namespace gradc {
namespace {

struct DumpFlags {
  ModelFlags model;
  PassFlags passes;
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

// Fails with the nearest name when there is no such stage.
void check_stage_name(const std::string& name) {
  std::vector<std::string> names = {"import"};
  for (const Pass& pass : passes())
    if (std::find(names.begin(), names.end(), pass.name) == names.end())
      names.emplace_back(pass.name);
  names.insert(names.end(), {"lower", "codegen", "assembly"});
  if (std::find(names.begin(), names.end(), name) != names.end())
    return;
  std::string near = nearest_name(name, names);
  throw UserError("",
                  fmt::format("there is no stage `{}`{}", name,
                              near.empty() ? "" : "; did you mean `" + near + "`?"),
                  Fault::command_line)
      .with_help(fmt::format("the stages are {}", fmt::join(names, ", ")));
}

// The stages that `flags` ask for, made in order and no further than needed.
class Stages {
 public:
  explicit Stages(const DumpFlags& flags) : flags_(flags) {}

  std::vector<Stage> run() {
    const Options& options = flags_.model.options;
    module_ = times_.measure("import", [&] { return load_model(flags_.model.model, options); });
    if (flags_.all || flags_.after == "import")
      stages_.push_back({"import", ".ir", print(module_)});
    if (flags_.all || flags_.after != "import")
      run_passes();
    if (flags_.all || is_behind_passes()) {
      CodegenOptions codegen = codegen_options(flags_.model, module_);
      add("lower", ".loops", [&] { return loops_text(module_, options); });
      add("codegen", ".ll", [&] { return generate_code(module_, codegen, CodeFormat::llvm_ir); });
      add("assembly", ".s", [&] { return generate_code(module_, codegen, CodeFormat::assembly); });
    }
    times_.print(flags_.passes);
    return std::move(stages_);
  }

  const Module& last() const { return module_; }

 private:
  bool is_behind_passes() const {
    return flags_.after == "lower" || flags_.after == "codegen" || flags_.after == "assembly";
  }

  void run_passes() {
    std::string remarks;  // of `fuse`, as comments
    Options options = flags_.model.options;
    options.explain = [&](const std::string& line) { remarks += "// " + line + "\n"; };
    PipelineObserver observer = observer_of(flags_.passes, times_);
    observer.after_pass = [&, note_time = observer.after_pass](const PassRun& run) {
      if (note_time)
        note_time(run);
      if (flags_.all || flags_.after == run.pass.name)
        stages_.push_back({std::string(run.pass.name), ".ir",
                           print(run.after) + (run.pass.name == "fuse" ? remarks : "")});
    };
    if (!flags_.all && !is_behind_passes())
      observer.stop_after = flags_.after;
    module_ = compile(module_, options, observer);
    // The module where a pass that has nothing to do with these flags would have read it.
    if (stages_.empty() && !is_behind_passes() &&
        !has_work(pass_named(flags_.after), flags_.model.options))
      stages_.push_back({flags_.after, ".ir", print(module_)});
  }

  template <typename F>
  void add(const std::string& name, const std::string& extension, F text) {
    if (flags_.all || flags_.after == name)
      stages_.push_back({name, extension, times_.measure(name, text)});
  }

  const DumpFlags& flags_;
  PassTimes times_;
  Module module_;
  std::vector<Stage> stages_;
};

void dump_all(const DumpFlags& flags) {
  if (flags.output.empty())
    throw UserError("", "--all writes one file per stage; give a folder with -o",
                    Fault::command_line);
  Stages stages(flags);
  std::vector<Stage> all = stages.run();
  make_folder(flags.output);
  for (size_t i = 0; i < all.size(); ++i)
    write_text(fmt::format("{}/{:02}-{}{}", flags.output, i, all[i].name, all[i].extension),
               all[i].text);
  Session session(stages.last(), flags.model);
  session.save(flags.output + "/weights.safetensors", true, {});
  if (!flags.model.json)
    fmt::print("{} stages and weights.safetensors in {}\n", all.size(), flags.output);
}

void dump(DumpFlags& flags) {
  finish(flags.model);
  flags.model.options.train = flags.train;
  settle_micro_batches(flags.model);
  if (flags.all)
    return dump_all(flags);
  check_stage_name(flags.after);
  std::vector<Stage> stages = Stages(flags).run();
  if (stages.empty())
    throw UserError(
        "",
        fmt::format("`{}` did not run: the module has been through it, or it is skipped",
                    flags.after),
        Fault::command_line);
  write_text(flags.output, stages.back().text);  // the last: a pass may run more than once
}

}  // namespace

void add_dump(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("dump", "Print a stage of the compilation, or write all of them");
  auto flags = std::make_shared<DumpFlags>();
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  command->add_flag("--train", flags->train, "The training step as well as inference");
  add_pass_flags(*command, flags->passes);
  command
      ->add_option("--after,--print-after", flags->after,
                   "A pass, or import, lower, codegen, assembly")
      ->default_val("plan");
  command->add_flag("--all,--print-after-all,--print-ir-after-all", flags->all,
                    "Every stage, as numbered files, with the weights beside");
  command->add_option("-o,--output", flags->output, "A file, or with --all a folder")
      ->type_name("FILE");
  command->callback([flags] { dump(*flags); });
}

}  // namespace gradc
