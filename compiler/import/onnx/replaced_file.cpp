#include "compiler/import/onnx/replaced_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

constexpr size_t kBuffered = size_t{1} << 16;
// Linux moves at most 2 GiB in one call.
constexpr size_t kPiece = size_t{1} << 30;

std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == path.npos ? "." : path.substr(0, slash + 1);
}

// Makes a rename in the folder durable. Some file systems cannot sync a folder (EINVAL), some
// folders may be written to but not opened (EACCES): the file itself is complete either way.
bool sync_folder(const std::string& folder) {
  Descriptor opened(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened)
    return errno == EACCES;
  return fsync(opened.number()) == 0 || errno == EINVAL;
}

}  // namespace

ReplacedFile::ReplacedFile(const std::string& path) : path_(path) {
  struct stat about;
  if (lstat(path.c_str(), &about) == 0 && !S_ISREG(about.st_mode) && !S_ISLNK(about.st_mode))
    throw UserError(path, fmt::format("is {}, a file name is needed", kind_of_file(about.st_mode)));
  // O_EXCL: never through a link or a file that someone else made under this name.
  for (int attempt = 0; attempt < 100 && !file_; ++attempt) {
    temporary_ = fmt::format("{}.tmp-{}-{}", path, getpid(), attempt);
    file_ = Descriptor(open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!file_ && errno != EEXIST)
      break;
  }
  if (!file_)
    fail_at("create");
}

ReplacedFile::~ReplacedFile() {
  if (file_)
    unlink(temporary_.c_str());
}

void ReplacedFile::fail_at(const char* what) const {
  throw UserError(path_, fmt::format("cannot {}: {}", what, std::strerror(errno)));
}

void ReplacedFile::write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBuffered) {
    write_now(buffer_);
    buffer_.clear();
  }
  if (bytes.size() > kBuffered)
    write_now(bytes);
  else
    buffer_ += bytes;
}

void ReplacedFile::write_now(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = ::write(file_.number(), bytes.data(), std::min(bytes.size(), kPiece));
    if (n >= 0)
      bytes.remove_prefix(static_cast<size_t>(n));
    else if (errno != EINTR)
      fail_at("write");
  }
}

void ReplacedFile::commit() {
  write_now(buffer_);
  buffer_.clear();
  if (fsync(file_.number()) != 0)
    fail_at("write");
  if (rename(temporary_.c_str(), path_.c_str()) != 0)
    fail_at("replace");
  file_ = Descriptor();
  if (!sync_folder(folder_of(path_)))
    fail_at("sync the folder");
}

}  // namespace gradc::onnx
