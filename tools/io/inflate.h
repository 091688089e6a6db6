#pragma once
// Decompression with zlib, bounded by what the caller expects.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace gradc {

// No DEFLATE stream expands further than this (zlib.net/zlib_tech.html): a larger size is a lie.
inline constexpr uint64_t kMaxInflation = 1032;

class Inflater {
 public:
  enum class Form { raw, gzip };
  // `input` must outlive this; `place` is where errors are reported.
  Inflater(std::span<const std::byte> input, Form form, std::string place);
  ~Inflater();

  // The next `size` bytes; fails if the stream is damaged or ends before.
  std::vector<std::byte> read(size_t size);
  // Fails unless the stream ends here, its checksum (if it has one) is right, and the input ends
  // with it.
  void expect_end();

 private:
  // Fills `to` as far as the stream goes; the number of bytes.
  size_t fill(std::span<std::byte> to);

  struct Stream;  // keeps zlib.h out of this header
  std::unique_ptr<Stream> stream_;
  std::string place_;
};

}  // namespace gradc
