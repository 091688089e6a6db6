#pragma once
// A file that appears under its name complete and synced to disk, or not at all: it is written
// beside its place under a temporary name and renamed. As runtime/file.h's AtomicFile, which the
// compiler does not link. Failures are UserErrors at `path`.
#include <string>
#include <string_view>

#include "compiler/import/onnx/file_bytes.h"

namespace gradc::onnx {

class ReplacedFile {
 public:
  // A link at `path` is replaced itself, not what it points to.
  explicit ReplacedFile(const std::string& path);
  ~ReplacedFile();  // without a commit nothing is left behind
  ReplacedFile(const ReplacedFile&) = delete;
  ReplacedFile& operator=(const ReplacedFile&) = delete;

  void write(std::string_view bytes);
  void commit();

 private:
  void write_now(std::string_view bytes);
  [[noreturn]] void fail_at(const char* what) const;

  std::string path_, temporary_;
  Descriptor file_;
  std::string buffer_;  // small writes, gathered
};

}  // namespace gradc::onnx
