#include "runtime/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <new>

namespace gradc {
namespace {

// Large transfers in pieces: Linux moves at most 2 GiB in one call.
constexpr size_t kPiece = size_t{1} << 30;

std::string errno_text(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

// What a symbolic link points to is replaced, not the link.
std::string follow_links(const std::string& path) {
  char resolved[PATH_MAX];
  return realpath(path.c_str(), resolved) ? resolved : path;
}

std::string directory_of(const std::string& path) {
  size_t slash = path.rfind('/');
  return slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// Makes a rename in the directory durable. Some file systems cannot sync a directory (EINVAL), some
// directories may be written to but not opened (EACCES): the file itself is complete either way.
bool sync_directory(const std::string& directory) {
  int descriptor = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0)
    return errno == EACCES;
  bool synced = fsync(descriptor) == 0 || errno == EINVAL;
  close(descriptor);
  return synced;
}

}  // namespace

InputFile::InputFile(const std::string& path) : path_(path) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat about;
  if (descriptor_ < 0 || fstat(descriptor_, &about) != 0)
    status_ = {GRADC_IO_ERROR, path, errno_text("cannot open")};
  else if (!S_ISREG(about.st_mode))
    status_ = {
        GRADC_IO_ERROR, path,
        S_ISDIR(about.st_mode) ? "is a directory, a file is needed" : "is not a regular file"};
  else
    size_ = static_cast<uint64_t>(about.st_size);
}

InputFile::~InputFile() {
  if (descriptor_ >= 0)
    close(descriptor_);
}

FileStatus InputFile::read(uint64_t offset, std::span<std::byte> to) const {
  while (!to.empty()) {
    ssize_t n =
        pread(descriptor_, to.data(), std::min(to.size(), kPiece), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return {GRADC_IO_ERROR, path_, errno_text("cannot read")};
    if (n == 0)
      return {GRADC_IO_ERROR, path_, "cannot read: it became shorter meanwhile"};
    to = to.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

FileBytes read_file(const std::string& path, uint64_t limit) {
  InputFile input(path);
  FileBytes file;
  file.status = input.status();
  if (!file.status.ok())
    return file;
  if (input.size() > limit) {
    file.status = {GRADC_BAD_FILE, path,
                   "has " + std::to_string(input.size()) + " bytes, at most " +
                       std::to_string(limit) + " are read"};
    return file;
  }
  file.size = static_cast<size_t>(input.size());
  file.data.reset(new (std::nothrow) std::byte[file.size]);
  file.status = file.data ? input.read(0, {file.data.get(), file.size})
                          : FileStatus{GRADC_OUT_OF_MEMORY, path,
                                       "no memory for " + std::to_string(file.size) + " bytes"};
  return file;
}

AtomicFile::AtomicFile(const std::string& path) : path_(follow_links(path)) {
  struct stat about;
  if (stat(path_.c_str(), &about) == 0 && !S_ISREG(about.st_mode)) {
    status_ = {
        GRADC_IO_ERROR, path_,
        S_ISDIR(about.st_mode) ? "is a directory, a file name is needed" : "is not a regular file"};
    return;
  }
  // O_EXCL: never through a link or a file that someone else made under this name.
  for (int attempt = 0; attempt < 100 && descriptor_ < 0; ++attempt) {
    temporary_ = path_ + ".tmp-" + std::to_string(getpid()) + "-" + std::to_string(attempt);
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST)
      break;
  }
  if (descriptor_ < 0)
    fail("cannot create");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0)
    return;
  close(descriptor_);
  unlink(temporary_.c_str());
}

void AtomicFile::fail(const char* what) {
  if (status_.ok())
    status_ = {GRADC_IO_ERROR, path_, errno_text(what)};
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty() && status_.ok()) {
    ssize_t n = ::write(descriptor_, bytes.data(), std::min(bytes.size(), kPiece));
    if (n >= 0)
      bytes = bytes.subspan(static_cast<size_t>(n));
    else if (errno != EINTR)
      fail("cannot write");
  }
}

FileStatus AtomicFile::commit(Durability durability) {
  bool syncs = durability == Durability::beyond_power_loss;
  if (status_.ok() && syncs && fsync(descriptor_) != 0)
    fail("cannot write");
  if (status_.ok() && rename(temporary_.c_str(), path_.c_str()) != 0)
    fail("cannot replace");
  if (!status_.ok())
    return status_;  // the destructor removes the temporary file
  close(descriptor_);
  descriptor_ = -1;
  if (syncs && !sync_directory(directory_of(path_)))
    fail("cannot sync the directory of this file");
  return status_;
}

}  // namespace gradc
