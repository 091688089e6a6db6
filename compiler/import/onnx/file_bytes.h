#pragma once
// Files as the ONNX reader opens them: regular ones only, never waiting for a pipe.
#include <cstdint>
#include <string>

#include "ir/shared_bytes.h"

namespace gradc::onnx {

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor();
  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

// All bytes of an open regular file of `size` bytes. A small file is read, so that nothing that
// happens to it later matters; a large one is mapped and must stay as it is while its bytes are
// used: whoever cuts it short meanwhile ends this process by SIGBUS. Failures are `fail`ures.
SharedBytes bytes_of(const Descriptor& file, uint64_t size);
inline constexpr uint64_t kMostRead = uint64_t{16} << 20;

// The same for the file at `path`.
SharedBytes read_regular_file(const std::string& path);

// What a file is that is not a regular one, of a `struct stat`'s mode: "a directory".
const char* kind_of_file(uint32_t mode);

}  // namespace gradc::onnx
