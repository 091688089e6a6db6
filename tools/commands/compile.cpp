// gradc compile: an object file, a C header and a C++17 wrapper.
#include "compiler/compile.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "compiler/codegen/codegen.h"
#include "ir/print.h"
#include "tools/commands/commands.h"
#include "tools/commands/output.h"
#include "tools/commands/pass_flags.h"
#include "tools/headers.h"
#include "tools/runtime_header.h"
#include "tools/session.h"

namespace gradc {
namespace {

struct CompileFlags {
  ModelFlags model;
  PassFlags passes;
  std::string output, name;
  std::vector<std::string> emit;
  bool train = false;
};

void compile_to_files(CompileFlags& flags) {
  finish(flags.model);
  flags.model.options.train = flags.train;
  const Options& options = flags.model.options;
  PassTimes times;
  Module planned =
      compile(load_model(flags.model.model, options), options, observer_of(flags.passes, times));
  std::string prefix = c_identifier(flags.name.empty() ? planned.name : flags.name);
  CodegenOptions codegen = codegen_options(flags.model, planned);
  codegen.prefix = prefix;
  make_folder(flags.output);
  std::string base = (std::filesystem::path(flags.output) / prefix).string();
  std::vector<std::string> written;
  auto write = [&](const std::string& extension, const std::string& text) {
    write_text(base + extension, text);
    written.push_back(base + extension);
  };
  auto code = [&](CodeFormat format) {
    return times.measure("codegen", [&] { return generate_code(planned, codegen, format); });
  };
  for (const std::string& kind : flags.emit) {
    if (kind == "obj")
      write(".o", code(CodeFormat::object));
    else if (kind == "asm")
      write(".s", code(CodeFormat::assembly));
    else if (kind == "llvm")
      write(".ll", code(CodeFormat::llvm_ir));
    else
      write(".ir", print(planned));
  }
  times.print(flags.passes);
  write(".h", c_header(planned, prefix));
  write(".hpp", cpp_header(planned, prefix));
  write_text((std::filesystem::path(flags.output) / "gradc_runtime.h").string(),
             std::string(kRuntimeHeader()));
  // What the object does not hold: weights that were given, or that the model file brought.
  bool has_content = std::any_of(planned.states.begin(), planned.states.end(),
                                 [](const StateTensor& s) { return !s.content.bytes.empty(); });
  if (!flags.model.weights.empty() || has_content) {
    Session session(flags.model);
    session.save(base + ".safetensors", false, {});
    written.push_back(base + ".safetensors");
  }
  if (!flags.model.json)
    for (const std::string& file : written)
      fmt::print("{}\n", file);
  else
    fmt::print("{}\n", nlohmann::json({{"files", written}}).dump());
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
  command->add_option("-o,--output", flags->output, "The folder to write to")->required();
  command->add_flag("--train", flags->train, "The training step as well as inference");
  command->add_option("--name", flags->name,
                      "Name of the files and prefix of the symbols (default: the model's)");
  command->add_option("--emit", flags->emit, "obj, asm, llvm, ir; several separated by commas")
      ->delimiter(',')
      ->check(CLI::IsMember({"obj", "asm", "llvm", "ir"}))
      ->default_val(std::vector<std::string>{"obj"});
  command->callback([flags] { compile_to_files(*flags); });
}

}  // namespace gradc
