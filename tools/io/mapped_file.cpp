#include "tools/io/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

struct Descriptor {
  int number;
  ~Descriptor() {
    if (number >= 0)
      close(number);
  }
};

}  // namespace

SharedBytes map_file(const std::string& path) {
  // Without O_NONBLOCK, opening a pipe that nobody writes to would wait for ever.
  Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  struct stat about{};
  if (file.number < 0 || fstat(file.number, &about) != 0)
    throw UserError(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  if (!S_ISREG(about.st_mode))
    throw UserError(path, "is not a regular file");
  auto size = static_cast<size_t>(about.st_size);
  if (size == 0)
    return {};
  void* begin = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.number, 0);
  if (begin == MAP_FAILED)
    throw UserError(path, fmt::format("{} bytes cannot be mapped: {}", size, std::strerror(errno)));
  std::shared_ptr<const void> owner(
      begin, [size](const void* mapped) { munmap(const_cast<void*>(mapped), size); });
  return {std::move(owner), {static_cast<const std::byte*>(begin), size}};
}

}  // namespace gradc
