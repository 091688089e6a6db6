#include "compiler/import/onnx/file_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

// Linux moves at most 2 GiB in one call.
constexpr uint64_t kPiece = uint64_t{1} << 30;

SharedBytes read_all(const Descriptor& file, uint64_t size) {
  std::vector<std::byte> content(size);
  for (uint64_t done = 0; done < size;) {
    ssize_t n = pread(file.number(), content.data() + done, std::min(size - done, kPiece),
                      static_cast<off_t>(done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      fail("cannot read: {}", std::strerror(errno));
    if (n == 0)
      fail("became shorter while it was read");
    done += static_cast<uint64_t>(n);
  }
  return SharedBytes(std::move(content));
}

SharedBytes map_all(const Descriptor& file, uint64_t size) {
  void* begin = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number(), 0);
  if (begin == MAP_FAILED)
    fail("cannot map {} bytes: {}", size, std::strerror(errno));
  std::shared_ptr<const void> owner(
      begin, [size](const void* mapped) { munmap(const_cast<void*>(mapped), size); });
  return {std::move(owner), {static_cast<const std::byte*>(begin), size}};
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0)
    close(number_);
}

SharedBytes bytes_of(const Descriptor& file, uint64_t size) {
  return size <= kMostRead ? read_all(file, size) : map_all(file, size);
}

SharedBytes read_regular_file(const std::string& path) {
  try {
    // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat about;
    if (!file || fstat(file.number(), &about) != 0)
      fail("cannot open: {}", std::strerror(errno));
    if (!S_ISREG(about.st_mode))
      fail("is {}, a regular file is needed", kind_of_file(about.st_mode));
    return bytes_of(file, static_cast<uint64_t>(about.st_size));
  } catch (const UserError& error) {
    throw error.at(path);
  }
}

const char* kind_of_file(uint32_t mode) {
  if (S_ISDIR(mode))
    return "a directory";
  if (S_ISFIFO(mode))
    return "a pipe";
  if (S_ISSOCK(mode))
    return "a socket";
  if (S_ISLNK(mode))
    return "a symbolic link";
  return "a device";
}

}  // namespace gradc::onnx
