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

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0)
      close(value);
  }
};

// Reads until `size` bytes are there or the file ends; the bytes read, or -1.
ssize_t read_fully(int descriptor, std::byte* to, size_t size) {
  size_t done = 0;
  while (done < size) {
    ssize_t n = read(descriptor, to + done, std::min(size - done, kPiece));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -1;
    if (n == 0)
      break;
    done += static_cast<size_t>(n);
  }
  return static_cast<ssize_t>(done);
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
  Descriptor descriptor{open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (descriptor.value < 0)
    return errno == EACCES;
  return fsync(descriptor.value) == 0 || errno == EINVAL;
}

}  // namespace

FileBytes read_file(const std::string& path, uint64_t limit) {
  auto failed = [&](gradc_status code, const std::string& message) {
    FileBytes file;
    file.status = {code, path, message};
    return file;
  };
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  Descriptor descriptor{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat about;
  if (descriptor.value < 0 || fstat(descriptor.value, &about) != 0)
    return failed(GRADC_IO_ERROR, errno_text("cannot open"));
  if (!S_ISREG(about.st_mode))
    return failed(GRADC_IO_ERROR, S_ISDIR(about.st_mode) ? "is a directory, a file is needed"
                                                         : "is not a regular file");
  auto size = static_cast<uint64_t>(about.st_size);
  if (size > limit)
    return failed(GRADC_BAD_FILE, "has " + std::to_string(size) + " bytes, at most " +
                                      std::to_string(limit) + " are read");
  FileBytes file;
  file.data.reset(new (std::nothrow) std::byte[size]);
  if (!file.data)
    return failed(GRADC_OUT_OF_MEMORY, "no memory for " + std::to_string(size) + " bytes");
  ssize_t n = read_fully(descriptor.value, file.data.get(), size);
  if (n < 0)
    return failed(GRADC_IO_ERROR, errno_text("cannot read"));
  file.size = static_cast<size_t>(n);
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

FileStatus AtomicFile::commit() {
  if (status_.ok() && fsync(descriptor_) != 0)
    fail("cannot write");
  if (status_.ok() && rename(temporary_.c_str(), path_.c_str()) != 0)
    fail("cannot replace");
  if (!status_.ok())
    return status_;  // the destructor removes the temporary file
  close(descriptor_);
  descriptor_ = -1;
  if (!sync_directory(directory_of(path_)))
    fail("cannot sync the directory of this file");
  return status_;
}

}  // namespace gradc
