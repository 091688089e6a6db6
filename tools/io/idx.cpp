#include "tools/io/idx.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "ir/diagnostic.h"
#include "runtime/safetensors.h"
#include "tools/io/inflate.h"
#include "tools/io/require.h"

namespace gradc {
namespace {

// The bytes of a file in order, whether it is compressed or not.
class Source {
 public:
  Source(std::span<const std::byte> bytes, const std::string& path) : rest_(bytes), path_(path) {
    bool gzip = bytes.size() >= 2 && bytes[0] == std::byte{0x1f} && bytes[1] == std::byte{0x8b};
    limit_ = bytes.size();
    if (gzip) {
      inflater_ = std::make_unique<Inflater>(bytes, Inflater::Form::gzip, path);
      limit_ *= kMaxInflation;
    }
  }

  // No read can be longer than this.
  uint64_t limit() const { return limit_; }

  std::vector<std::byte> read(size_t size) {
    if (inflater_)
      return inflater_->read(size);
    if (size > rest_.size())
      throw UserError(path_,
                      fmt::format("is cut short: {} bytes are missing", size - rest_.size()));
    std::vector<std::byte> bytes(rest_.begin(), rest_.begin() + static_cast<ptrdiff_t>(size));
    rest_ = rest_.subspan(size);
    return bytes;
  }

  void expect_end() {
    if (inflater_)
      inflater_->expect_end();
    else if (!rest_.empty())
      throw UserError(path_, fmt::format("has {} bytes after its end", rest_.size()));
  }

 private:
  std::span<const std::byte> rest_;
  std::string path_;
  std::unique_ptr<Inflater> inflater_;
  uint64_t limit_ = 0;
};

std::optional<DType> dtype_of(std::byte code) {
  switch (std::to_integer<int>(code)) {
    case 0x08:
      return DType::u8;
    case 0x09:
      return DType::i8;
    case 0x0b:
      return DType::i16;
    case 0x0c:
      return DType::i32;
    case 0x0d:
      return DType::f32;
    case 0x0e:
      return DType::f64;
    default:
      return std::nullopt;
  }
}

int64_t big_endian(std::span<const std::byte> bytes) {
  int64_t value = 0;
  for (std::byte byte : bytes)
    value = value << 8 | std::to_integer<int64_t>(byte);
  return value;
}

}  // namespace

NamedArray read_idx(const std::string& path) {
  FileBytes file = read_file(path);
  require(file.status);
  Source source(file.bytes(), path);
  std::vector<std::byte> magic = source.read(4);
  std::optional<DType> dtype = dtype_of(magic[2]);
  if (magic[0] != std::byte{0} || magic[1] != std::byte{0} || !dtype)
    throw UserError(path,
                    fmt::format("is not an IDX file: it begins with {:02x} {:02x} {:02x} {:02x}",
                                magic[0], magic[1], magic[2], magic[3]));
  NamedArray array = {std::filesystem::path(path).stem(), {*dtype, {}}, {}};
  auto rank = std::to_integer<size_t>(magic[3]);
  std::vector<std::byte> dims = source.read(4 * rank);
  for (size_t i = 0; i < rank; ++i)
    array.type.dims.push_back(big_endian(std::span(dims).subspan(4 * i, 4)));
  int64_t bytes = tensor_bytes(static_cast<gradc_dtype>(*dtype), array.type.dims);
  if (bytes < 0 || static_cast<uint64_t>(bytes) > source.limit())
    throw UserError(path, fmt::format("is cut short or damaged: it says that it holds {}",
                                      to_string(array.type)));
  array.data = source.read(static_cast<size_t>(bytes));
  source.expect_end();
  auto size = static_cast<ptrdiff_t>(byte_size(*dtype));
  for (auto element = array.data.begin(); size > 1 && element != array.data.end(); element += size)
    std::reverse(element, element + size);  // from big-endian
  return array;
}

}  // namespace gradc
