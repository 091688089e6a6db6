#include "tools/commands/output.h"

#include <fmt/format.h>

#include <cstdio>
#include <filesystem>

#include "compiler/entries.h"
#include "ir/diagnostic.h"
#include "runtime/file.h"

namespace gradc {

void write_text(const std::string& path, const std::string& text) {
  if (path.empty()) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0)
      throw UserError("standard output", "cannot be written");
    return;
  }
  AtomicFile file(path);
  file.write(text);
  FileStatus status = file.commit(Durability::until_power_loss);
  if (!status.ok())
    throw UserError(status.path, status.message);
}

void check_can_write(const std::string& path) {
  if (path.empty())
    return;
  if (FileStatus status = AtomicFile(path).status(); !status.ok())
    throw UserError(status.path, status.message);
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path))
    throw UserError(path,
                    fmt::format("cannot be made a folder{}", error ? ": " + error.message() : ""));
}

void print_signature(const Function& entry) {
  for (const Parameter& parameter : entry.parameters)
    if (parameter.state.empty() && !is_control_input(entry[parameter.value].name))
      fmt::print("  input   {:20} {}\n", entry[parameter.value].name,
                 to_string(entry.type(parameter.value)));
  for (const Result& result : entry.results)
    if (result.state.empty())
      fmt::print("  output  {:20} {}\n", result.name, to_string(entry.type(result.value)));
}

ParameterTotals parameter_totals(const Module& module) {
  ParameterTotals totals;
  for (const StateTensor& state : module.states)
    if (state.role == Role::parameter) {
      totals.elements += state.type.elements();
      totals.bytes += state.type.bytes();
    }
  return totals;
}

}  // namespace gradc
