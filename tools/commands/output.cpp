#include "tools/commands/output.h"

#include <cstdio>
#include <filesystem>

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
  FileStatus status = file.commit();
  if (!status.ok())
    throw UserError(status.path, status.message);
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error || !std::filesystem::is_directory(path))
    throw UserError(path,
                    fmt::format("cannot be made a folder{}", error ? ": " + error.message() : ""));
}

}  // namespace gradc
