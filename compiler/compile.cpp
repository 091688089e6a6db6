#include "compiler/compile.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "compiler/import/model_text.h"
#include "compiler/import/onnx/onnx_import.h"
#include "compiler/kernel_check.h"
#include "ir/diagnostic.h"
#include "ir/parse.h"
#include "ir/verify.h"

namespace gradc {
namespace {

constexpr uintmax_t kLargestText = uintmax_t{64} << 20;

Module load_ir(const std::string& path) {
  Module module = parse_module(read_text_file(path), path);
  try {
    verify(module);
    check_kernels(module);
  } catch (const UserError& error) {
    throw error.at(path);
  }
  return module;
}

// Flags that only mean something for ONNX files must not be ignored.
void check_no_onnx_options(const Options& options) {
  auto given = [](bool is_given, std::string_view flag) {
    if (is_given)
      throw UserError("", fmt::format("{} is for .onnx files", flag), Fault::command_line);
  };
  given(!options.loss.empty(), "--loss");
  given(options.train_mode, "--train-mode");
  given(!options.parameters.empty(), "--params");
  given(!options.bind_lists.empty(), "--bind with several numbers");
}

}  // namespace

std::string read_text_file(const std::string& path) {
  std::error_code error;
  std::filesystem::file_status status = std::filesystem::status(path, error);
  if (!std::filesystem::exists(status))
    throw UserError(path, "there is no such file");
  if (!std::filesystem::is_regular_file(status))
    throw UserError(path, "is not a file");
  if (std::filesystem::file_size(path, error) > kLargestText)
    throw UserError(path, "is larger than 64 MiB");
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (!file)
    throw UserError(path, fmt::format("cannot be read: {}", std::strerror(errno)));
  return text;
}

Module load_model(const std::string& path, const Options& options) {
  std::string extension = std::filesystem::path(path).extension();
  if (extension != ".onnx")
    check_no_onnx_options(options);
  if (extension == ".ir")
    return load_ir(path);
  if (extension == ".model")
    return import_model_text(read_text_file(path), path, options);
  if (extension == ".onnx")
    return onnx::import_onnx(path, options);
  throw UserError(path, fmt::format("its extension `{}` is not that of a model", extension),
                  Fault::model_or_data)
      .with_help("models are .onnx files, .model descriptions or .ir dumps");
}

Module compile(const Module& imported, const Options& options, const PipelineObserver& observer) {
  return run_pipeline(imported, options, observer);
}

}  // namespace gradc
