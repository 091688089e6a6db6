// gradc compile: an object file, a C header and a C++17 wrapper.
#include "compiler/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "compiler/codegen/codegen.h"
#include "compiler/import/onnx/onnx_file.h"
#include "ir/diagnostic.h"
#include "ir/print.h"
#include "tools/commands/commands.h"
#include "tools/commands/output.h"
#include "tools/commands/pass_flags.h"
#include "tools/compiled.h"
#include "tools/headers.h"
#include "tools/identifiers.h"
#include "tools/micro_batches.h"
#include "tools/runtime_headers.h"
#include "tools/session.h"
#include "tools/weights.h"

namespace gradc {
namespace {

struct CompileFlags {
  ModelFlags model;
  PassFlags passes;
  std::string output, name, depfile;
  std::vector<std::string> emit;
  bool train = false, quiet = false;
};

bool is_onnx(const ModelFlags& flags) {
  return std::filesystem::path(flags.model).extension() == ".onnx";
}

std::vector<std::string> sources_of(const ModelFlags& flags) {
  std::vector<std::string> sources = {flags.model};
  if (is_onnx(flags))
    for (std::string& path : onnx::external_data_paths(flags.model))
      sources.push_back(std::move(path));
  if (!flags.weights.empty())
    sources.push_back(flags.weights);
  return sources;
}

// A rule of make: the first file that is written depends on all that were read.
std::string make_rule(const std::string& target, const std::vector<std::string>& sources) {
  auto escaped = [](const std::string& path) {
    std::string text;
    for (char c : path) {
      if (c == ' ' || c == '#' || c == '\\')
        text += '\\';
      if (c == '$')
        text += '$';
      text += c;
    }
    return text;
  };
  std::string rule = escaped(target) + ":";
  for (const std::string& source : sources)
    rule += " \\\n  " + escaped(source);
  return rule + "\n";
}

bool emits(const CompileFlags& flags, std::string_view kind) {
  return std::find(flags.emit.begin(), flags.emit.end(), kind) != flags.emit.end();
}

std::string extension_of(std::string_view kind) {
  return kind == "obj"    ? ".o"
         : kind == "asm"  ? ".s"
         : kind == "llvm" ? ".ll"
                          : "." + std::string(kind);
}

// The files of one compilation, which begin with the same path.
class OutputFiles {
 public:
  OutputFiles(const CompileFlags& flags, const std::string& prefix)
      : folder_(flags.output), base_((folder_ / prefix).string()) {
    make_folder(flags.output);
    for (const std::string& kind : flags.emit)
      check_differs(base_ + extension_of(kind), flags.model.model);
    check_differs(base_ + ".safetensors", flags.model.weights);
  }

  const std::vector<std::string>& written() const { return written_; }
  // The path of a file that is about to be written.
  std::string add(const std::string& extension) { return written_.emplace_back(base_ + extension); }
  void write(const std::string& extension, const std::string& text) {
    write_text(add(extension), text);
  }
  // A file that all models share.
  void write_shared(const std::string& name, std::string_view text) const {
    write_text((folder_ / name).string(), std::string(text));
  }

 private:
  static void check_differs(const std::string& target, const std::string& source) {
    std::error_code missing;
    if (std::filesystem::equivalent(target, source, missing))
      throw UserError(source, "would be replaced by what is made of it")
          .with_help("give another folder with -o, or another --name");
  }

  std::filesystem::path folder_;
  std::string base_;
  std::vector<std::string> written_;
};

void write_code(const CompileFlags& flags, const Module& planned, const CodegenOptions& codegen,
                PassTimes& times, OutputFiles& files) {
  for (const std::string& kind : flags.emit) {
    if (kind == "ir")
      files.write(".ir", print(planned));
    else if (kind != "onnx")
      files.write(extension_of(kind), times.measure("codegen", [&] {
        CodeFormat format = kind == "obj"   ? CodeFormat::object
                            : kind == "asm" ? CodeFormat::assembly
                                            : CodeFormat::llvm_ir;
        return generate_code(planned, codegen, format);
      }));
  }
}

void write_headers(const CompileFlags& flags, const Module& planned, const std::string& prefix,
                   bool has_weights_file, OutputFiles& files) {
  bool schedule_ends = flags.model.options.optimizer.schedule != ScheduleKind::constant;
  HeaderOptions options = {prefix, learning_rate(flags.model), schedule_ends, has_weights_file};
  files.write(".h", c_header(planned, options));
  files.write(".hpp", cpp_header(planned, options));
  files.write_shared("gradc_runtime.h", kRuntimeHeader());
  files.write_shared("gradc_model.hpp", kModelHeader());
}

void list(const CompileFlags& flags, const std::vector<std::string>& written) {
  if (flags.model.json)
    fmt::print("{}\n", nlohmann::json({{"files", written}}).dump());
  else if (!flags.quiet)
    fmt::print("{}\n", fmt::join(written, "\n"));
}

void compile_to_files(CompileFlags& flags) {
  finish(flags.model);
  if (emits(flags, "onnx") && !is_onnx(flags.model))
    throw UserError("", "--emit onnx writes weights into the model's own .onnx file",
                    Fault::command_line);
  flags.model.options.train = flags.train;
  settle_micro_batches(flags.model);
  const Options& options = flags.model.options;
  PassTimes times;
  Module planned = compiled(load_model(flags.model.model, options), options, flags.model.cache,
                            observer_of(flags.passes, times));
  // What the object does not hold: weights that were given, or that the model file brought.
  Weights weights = weights_of(planned, flags.model.weights);
  std::string prefix = c_identifier(flags.name.empty() ? planned.name : flags.name);
  CodegenOptions codegen = codegen_options(flags.model, planned);
  codegen.prefix = prefix;

  OutputFiles files(flags, prefix);
  write_code(flags, planned, codegen, times, files);
  times.print(flags.passes);
  write_headers(flags, planned, prefix, !weights.tensors.empty(), files);
  if (!weights.tensors.empty())
    write_weights(weights, planned.name, files.add(".safetensors"), Durability::until_power_loss);
  if (emits(flags, "onnx"))
    write_onnx_model(planned, weights, flags.model.model, files.add(".onnx"));
  if (!flags.depfile.empty())
    write_text(flags.depfile, make_rule(files.written().front(), sources_of(flags.model)));
  list(flags, files.written());
}

}  // namespace

void add_compile(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("compile", "Write an object file with a C header and a C++ wrapper");
  auto flags = std::make_shared<CompileFlags>();
  flags->model.options.cpu = "x86-64-v3";
  add_model_flags(*command, flags->model);
  add_optimizer_flags(*command, flags->model);
  add_pass_flags(*command, flags->passes);
  command->add_option("-o,--output", flags->output, "The folder to write to")
      ->required()
      ->type_name("FILE");
  command->add_flag("--train", flags->train, "The training step as well as inference");
  command->add_option("--name", flags->name,
                      "Name of the files and prefix of the symbols (default: the model's)");
  command
      ->add_option("--emit", flags->emit, "obj, asm, llvm, ir, onnx; several separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"obj", "asm", "llvm", "ir", "onnx"}))
      ->default_val(std::vector<std::string>{"obj"});
  command
      ->add_option("--depfile", flags->depfile,
                   "Write what was read as a rule for make or ninja to this file")
      ->type_name("FILE");
  command->add_flag("--quiet", flags->quiet, "Do not list the files that are written");
  command->callback([flags] { compile_to_files(*flags); });
}

}  // namespace gradc
