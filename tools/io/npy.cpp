#include "tools/io/npy.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "ir/diagnostic.h"
#include "runtime/safetensors.h"

namespace gradc {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kMaxRank = 64;  // NumPy's own limit

struct Descr {
  std::string_view text;  // without the byte order
  DType dtype;
};
constexpr Descr kDescrs[] = {{"f4", DType::f32}, {"f8", DType::f64}, {"f2", DType::f16},
                             {"i1", DType::i8},  {"u1", DType::u8},  {"i2", DType::i16},
                             {"i4", DType::i32}, {"i8", DType::i64}, {"b1", DType::boolean}};

struct Header {
  std::string descr;
  bool fortran_order = false;
  Dims dims;
};

// Reads the Python dictionary {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : text_(text) {}

  Header run() {
    Header header;
    bool descr = false, order = false, shape = false;
    expect('{');
    while (!accept('}')) {
      std::string key = string();
      expect(':');
      if (key == "descr" && !std::exchange(descr, true))
        header.descr = string();
      else if (key == "fortran_order" && !std::exchange(order, true))
        header.fortran_order = boolean();
      else if (key == "shape" && !std::exchange(shape, true))
        header.dims = tuple();
      else
        fail("its header has an unknown or repeated key `{}`", key);
      if (!accept(',') && peek() != '}')
        fail("its header lacks a `,` or `}}`");
    }
    skip_space();
    if (at_ < text_.size())
      fail("its header has text after its end");
    if (!descr || !order || !shape)
      fail("its header lacks one of descr, fortran_order and shape");
    return header;
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n'))
      ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c)
      return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c))
      fail("its header lacks a `{}`", c);
  }
  bool accept_word(std::string_view word) {
    skip_space();
    if (text_.substr(at_, word.size()) != word)
      return false;
    at_ += word.size();
    return true;
  }

  std::string string() {
    char quote = peek();
    if (quote == '[')
      fail("it holds records with named fields, which are not supported");
    if (quote != '\'' && quote != '"')
      fail("its header lacks a string");
    size_t end = text_.find(quote, ++at_);
    if (end == text_.npos)
      fail("its header ends inside of a string");
    std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }

  bool boolean() {
    bool value = accept_word("True");
    if (!value && !accept_word("False"))
      fail("its header lacks True or False");
    return value;
  }

  int64_t natural() {
    char c = peek();
    if (c < '0' || c > '9')
      fail("its header lacks a natural number in `shape`");
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value))
        fail("its header has a number beyond 64 bits");
    accept_word("L");  // as Python 2 wrote long integers
    return value;
  }

  Dims tuple() {
    Dims dims;
    expect('(');
    while (!accept(')')) {
      if (dims.size() == kMaxRank)
        fail("its shape has more than {} dimensions", kMaxRank);
      dims.push_back(natural());
      if (!accept(',') && peek() != ')')
        fail("its header lacks a `,` or `)`");
    }
    return dims;
  }

  std::string_view text_;
  size_t at_ = 0;
};

DType dtype_of(const std::string& descr) {
  std::string_view type = descr;
  if (type.starts_with('>') && descr != ">i1" && descr != ">u1" && descr != ">b1")
    fail("its type `{}` is big-endian, only little-endian is read", descr);
  if (!type.empty() && std::string_view("<>|=").find(type[0]) != std::string_view::npos)
    type.remove_prefix(1);
  for (const Descr& known : kDescrs)
    if (known.text == type)
      return known.dtype;
  fail("its type `{}` is not supported, only float16 to float64, int8 to int64, uint8 and bool are",
       descr);
}

// Where the dictionary and the data begin: behind the magic string, the version and the header's
// length.
struct Extent {
  size_t header, data;
};

Extent header_extent(std::span<const std::byte> bytes) {
  auto byte = [&](size_t i) { return std::to_integer<size_t>(bytes[i]); };
  if (bytes.size() < kMagic.size() + 4 ||
      std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0)
    fail("is not an array in NumPy's format");
  size_t major = byte(6), minor = byte(7), begin = major == 1 ? 10 : 12;
  if (major < 1 || major > 3 || minor != 0)
    fail("is in version {}.{} of NumPy's format, versions 1.0 to 3.0 are read", major, minor);
  if (bytes.size() < begin)
    fail("is cut short inside of its header");
  size_t length = byte(8) | byte(9) << 8;
  if (major > 1)
    length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - begin)
    fail("is cut short inside of its header: {} of {} bytes", bytes.size() - begin, length);
  return {begin, begin + length};
}

// From column-major to row-major order.
std::vector<std::byte> transposed(std::span<const std::byte> from, const Type& type) {
  struct Axis {
    int64_t dim, stride, index;  // stride in elements of `from`
  };
  std::vector<Axis> axes;
  int64_t stride = 1;
  for (int64_t dim : type.dims) {
    axes.push_back({dim, stride, 0});
    stride *= dim;
  }
  auto size = static_cast<size_t>(byte_size(type.dtype));
  std::vector<std::byte> to(from.size());
  int64_t source = 0;
  for (size_t at = 0; at < to.size(); at += size) {
    std::memcpy(&to[at], &from[static_cast<size_t>(source) * size], size);
    for (auto axis = axes.rbegin(); axis != axes.rend();
         ++axis) {  // the next index in row-major order
      source += axis->stride;
      if (++axis->index < axis->dim)
        break;
      source -= axis->stride * axis->dim;
      axis->index = 0;
    }
  }
  return to;
}

// What a file says of itself: its data are the rest of it.
struct Layout {
  Type type;
  size_t data = 0;  // where they begin
  bool fortran_order = false;
};

Layout layout_of(std::span<const std::byte> bytes) {
  Extent extent = header_extent(bytes);
  Header header = HeaderParser({reinterpret_cast<const char*>(bytes.data()) + extent.header,
                                extent.data - extent.header})
                      .run();
  Layout layout = {
      {dtype_of(header.descr), std::move(header.dims)}, extent.data, header.fortran_order};
  // The two enumerations have one order; tensor_bytes watches for overflow.
  int64_t expected = tensor_bytes(static_cast<gradc_dtype>(layout.type.dtype), layout.type.dims);
  size_t found = bytes.size() - extent.data;
  if (expected < 0 || static_cast<size_t>(expected) != found)
    fail("has {} bytes of data, which is not what {} has", found, to_string(layout.type));
  return layout;
}

}  // namespace

NamedArray parse_npy(std::string name, std::vector<std::byte> bytes, const std::string& place) {
  try {
    Layout layout = layout_of(bytes);
    bytes.erase(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(layout.data));
    if (layout.fortran_order)
      bytes = transposed(bytes, layout.type);
    return {std::move(name), std::move(layout.type), std::move(bytes)};
  } catch (const UserError& error) {
    throw error.at(place);
  }
}

NpyView view_npy(const SharedBytes& file, const std::string& place) {
  try {
    Layout layout = layout_of(file.bytes);
    std::span<const std::byte> data = file.bytes.subspan(layout.data);
    if (layout.fortran_order)
      return {layout.type, SharedBytes(transposed(data, layout.type))};
    return {layout.type, {file.owner, data}};
  } catch (const UserError& error) {
    throw error.at(place);
  }
}

std::string npy_header(const Type& type) {
  const Descr* descr = std::find_if(std::begin(kDescrs), std::end(kDescrs),
                                    [&](const Descr& d) { return d.dtype == type.dtype; });
  GRADC_CHECK(descr != std::end(kDescrs), "NumPy has no {}", name_of(type.dtype));
  std::string shape;
  for (int64_t dim : type.dims)
    shape += fmt::format("{}, ", dim);
  if (type.rank() > 1)
    shape.resize(shape.size() - 2);
  std::string header = fmt::format("{{'descr': '{}{}', 'fortran_order': False, 'shape': ({}), }}",
                                   byte_size(type.dtype) == 1 ? '|' : '<', descr->text, shape);
  // The data begin at a multiple of 64 bytes; a newline ends the padding.
  constexpr size_t kPreface = 10, kAlignment = 64;
  header.append((kAlignment - (kPreface + header.size() + 1) % kAlignment) % kAlignment, ' ');
  header += '\n';
  std::string preface(kMagic);
  preface +=
      {'\x01', '\x00', static_cast<char>(header.size()), static_cast<char>(header.size() >> 8)};
  return preface + header;
}

}  // namespace gradc
