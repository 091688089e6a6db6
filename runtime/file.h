#pragma once
// Files as the runtime and the tools treat them: read whole and bounded, replaced at once or not at
// all.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "runtime/gradc_runtime.h"

namespace gradc {

// How a file operation went. If it failed, `message` says what was seen in the file at `path`.
struct FileStatus {
  gradc_status code = GRADC_OK;
  std::string path, message;
  bool ok() const { return code == GRADC_OK; }
  std::string text() const { return path + ": " + message; }
};

// A regular file, open for reading at any place. Errors that opening met are in status().
class InputFile {
 public:
  explicit InputFile(const std::string& path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const FileStatus& status() const { return status_; }
  uint64_t size() const { return size_; }
  // Fills `to` with the bytes from `offset` on; that many must be there.
  FileStatus read(uint64_t offset, std::span<std::byte> to) const;

 private:
  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  FileStatus status_;
};

struct FileBytes {
  FileStatus status;
  std::unique_ptr<std::byte[]> data;
  size_t size = 0;
  std::span<const std::byte> bytes() const { return {data.get(), size}; }
};

// The whole of a regular file, which must not be larger than `limit`.
FileBytes read_file(const std::string& path, uint64_t limit = UINT64_MAX);

// Whether a file must outlive a loss of power: training does not come again, what a command makes
// in seconds does.
enum class Durability { until_power_loss, beyond_power_loss };

// A file that appears under its name complete, or not at all: it is written beside its place under
// a temporary name and renamed. Errors are kept until commit() returns them.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();  // without a commit nothing is left behind
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  FileStatus commit(Durability durability = Durability::beyond_power_loss);
  const FileStatus& status() const { return status_; }  // so far

 private:
  void fail(const char* what);

  std::string path_, temporary_;
  int descriptor_ = -1;
  FileStatus status_;
};

}  // namespace gradc
