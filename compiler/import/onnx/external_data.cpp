#include "compiler/import/onnx/external_data.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "compiler/import/onnx/message.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
constexpr int kOpenFile = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY;

void check_location(std::string_view location) {
  if (location.empty())
    fail("has external data without a location");
  if (location.find('\0') != location.npos)
    fail("has external data at {}, a path with a zero byte", shown(location));
  if (location.front() == '/')
    fail("has external data at {}, an absolute path; only files below the model's folder are read",
         shown(location));
  for (size_t begin = 0; begin <= location.size();) {
    size_t end = std::min(location.find('/', begin), location.size());
    if (location.substr(begin, end - begin) == "..")
      fail(
          "has external data at {}, a path with `..`; only files below the model's folder are "
          "read",
          shown(location));
    begin = end + 1;
  }
}

// What openat2 says where it is missing or a sandbox forbids it.
bool is_unavailable(int error) {
  return error == ENOSYS || error == EPERM || error == EINVAL || error == E2BIG;
}

int open_by_kernel(int folder, const std::string& location) {
  open_how how = {};
  how.flags = kOpenFile;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  long number = -1;
  // EAGAIN: something was renamed while the kernel walked.
  for (int attempt = 0; attempt < 100; ++attempt) {
    number = syscall(SYS_openat2, folder, location.c_str(), &how, sizeof how);
    if (number >= 0 || (errno != EAGAIN && errno != EINTR))
      break;
  }
  return static_cast<int>(number);
}

int open_by_folder(int folder, const std::string& location) {
  Descriptor parent;
  std::string_view rest = location;
  for (size_t slash; (slash = rest.find('/')) != rest.npos; rest.remove_prefix(slash + 1)) {
    std::string name(rest.substr(0, slash));
    if (name.empty() || name == ".")
      continue;
    int at = parent ? parent.number() : folder;
    int next = openat(at, name.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0) {
      // A link is not a directory either; say what it is.
      int error = errno;
      struct stat about;
      bool is_link =
          fstatat(at, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(about.st_mode);
      errno = is_link ? ELOOP : error;
      return -1;
    }
    parent = Descriptor(next);
  }
  std::string name(rest.empty() ? "." : rest);
  return openat(parent ? parent.number() : folder, name.c_str(), kOpenFile);
}

}  // namespace

ExternalFile open_below(const Descriptor& folder, const std::string& location, PathWalk walk) {
  check_location(location);
  int number = -1;
  if (walk == PathWalk::best)
    number = open_by_kernel(folder.number(), location);
  if (walk == PathWalk::by_folder || (number < 0 && is_unavailable(errno)))
    number = open_by_folder(folder.number(), location);
  ExternalFile file{Descriptor(number)};
  struct stat about;
  if (!file.descriptor || fstat(file.descriptor.number(), &about) != 0) {
    if (errno == ELOOP)
      fail("has external data at {}, a path through a symbolic link; links are not followed",
           shown(location));
    fail("has external data at {}, which cannot be opened: {}", shown(location),
         std::strerror(errno));
  }
  if (!S_ISREG(about.st_mode))
    fail("has external data at {}, which is {}; a regular file is needed", shown(location),
         kind_of_file(about.st_mode));
  if (about.st_nlink > 1)
    fail("has external data at {}, a file with {} names (hard links); it must have one",
         shown(location), about.st_nlink);
  file.size = static_cast<uint64_t>(about.st_size);
  file.identity = {about.st_dev, about.st_ino};
  return file;
}

ExternalData::ExternalData(const std::string& model_path) {
  size_t slash = model_path.rfind('/');
  folder_path_ = slash == model_path.npos ? "." : model_path.substr(0, slash + 1);
}

const SharedBytes& ExternalData::file(const std::string& location) {
  if (auto found = by_location_.find(location); found != by_location_.end())
    return found->second;
  if (!folder_)
    folder_ = Descriptor(open(folder_path_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!folder_)
    fail("has external data, but {} cannot be opened: {}", folder_path_, std::strerror(errno));
  ExternalFile opened = open_below(folder_, location);
  // By identity as well, so that one file is held once under all its spellings (`a`, `./a`).
  auto [entry, is_new] = by_identity_.try_emplace(opened.identity);
  if (is_new) {
    try {
      entry->second = bytes_of(opened.descriptor, opened.size);
    } catch (const UserError& error) {
      by_identity_.erase(entry);
      fail("has external data at {}: it {}", shown(location), error.message());
    }
  }
  return by_location_.emplace(location, entry->second).first->second;
}

SharedBytes ExternalData::read(const std::string& location, uint64_t offset,
                               std::optional<uint64_t> length, uint64_t wanted) {
  const SharedBytes& whole = file(location);
  uint64_t size = whole.bytes.size();
  uint64_t taken = length.value_or(wanted);
  if (offset > size || taken > size - offset)
    fail("has external data of {} bytes at {} from byte {}, but this file has {} bytes", taken,
         shown(location), offset, size);
  return {whole.owner, whole.bytes.subspan(offset, taken)};
}

std::vector<std::string> ExternalData::paths() const {
  std::vector<std::string> paths;
  for (const auto& [location, bytes] : by_location_)
    paths.push_back(folder_path_ == "." ? location : folder_path_ + location);
  return paths;
}

}  // namespace gradc::onnx
