#include "runtime/safetensors_header.h"

#include <optional>
#include <utility>

namespace gradc {
namespace {

constexpr size_t kMaxRank = 64;

// A reader of exactly the JSON that a header is: an object of objects of strings and of arrays of
// natural numbers. Every function returns nothing once an error is set.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, std::span<const std::byte> data, SafetensorsFile& out)
      : text_(text), data_(data), out_(out) {}

  // What is wrong, or "".
  std::string run() {
    members(
        [&](const std::string& key) { return key == "__metadata__" ? metadata() : tensor(key); });
    skip_space();
    if (error_.empty() && at_ < text_.size())
      fail("has text after its end");
    return error_;
  }

 private:
  bool fail(const std::string& message) {
    if (error_.empty())
      error_ = message + " (at byte " + std::to_string(at_) + " of the header)";
    return false;
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }

  bool accept(char c) {
    skip_space();
    if (at_ >= text_.size() || text_[at_] != c)
      return false;
    ++at_;
    return true;
  }

  bool expect(char c) { return accept(c) || fail(std::string("lacks a `") + c + "`"); }

  // { "key": <member(key)>, ... }
  template <typename Member>
  bool members(Member member) {
    if (!expect('{'))
      return false;
    if (accept('}'))
      return true;
    do {
      std::optional<std::string> key = string();
      if (!key || !expect(':') || !member(*key))
        return false;
    } while (accept(','));
    return expect('}');
  }

  std::optional<uint32_t> hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      char c = at_ < text_.size() ? text_[at_] : ' ';
      uint32_t digit = c >= '0' && c <= '9'   ? c - '0'
                       : c >= 'a' && c <= 'f' ? c - 'a' + 10
                       : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                              : 16;
      if (digit == 16)
        return std::nullopt;
      value = value * 16 + digit;
    }
    return value;
  }

  static void append_utf8(std::string& to, uint32_t code) {
    auto add = [&](uint32_t byte) { to.push_back(static_cast<char>(byte)); };
    if (code < 0x80) {
      add(code);
    } else if (code < 0x800) {
      add(0xc0 | code >> 6);
      add(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
      add(0xe0 | code >> 12);
      add(0x80 | (code >> 6 & 0x3f));
      add(0x80 | (code & 0x3f));
    } else {
      add(0xf0 | code >> 18);
      add(0x80 | (code >> 12 & 0x3f));
      add(0x80 | (code >> 6 & 0x3f));
      add(0x80 | (code & 0x3f));
    }
  }

  // \uXXXX, or two of them as a surrogate pair; at_ is behind the `u`.
  bool unicode_escape(std::string& to) {
    std::optional<uint32_t> code = hex4();
    if (code && *code >= 0xd800 && *code < 0xdc00 && text_.substr(at_, 2) == "\\u") {
      at_ += 2;
      std::optional<uint32_t> low = hex4();
      if (!low || *low < 0xdc00 || *low > 0xdfff)
        return fail("has half of a surrogate pair");
      code = 0x10000 + ((*code - 0xd800) << 10) + (*low - 0xdc00);
    } else if (!code || (*code >= 0xd800 && *code <= 0xdfff)) {
      return fail("has a wrong \\u escape");
    }
    append_utf8(to, *code);
    return true;
  }

  bool escape(std::string& to) {
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    char c = at_ < text_.size() ? text_[at_++] : ' ';
    if (c == 'u')
      return unicode_escape(to);
    size_t i = kLetters.find(c);
    if (i == kLetters.npos)
      return fail("has an unknown escape in a string");
    to.push_back(kMeanings[i]);
    return true;
  }

  std::optional<std::string> string() {
    if (!expect('"'))
      return std::nullopt;
    std::string value;
    while (at_ < text_.size() && text_[at_] != '"') {
      char c = text_[at_++];
      if (static_cast<unsigned char>(c) < 0x20) {
        fail("has a control character in a string");
        return std::nullopt;
      }
      if (c != '\\')
        value.push_back(c);
      else if (!escape(value))
        return std::nullopt;
    }
    if (!expect('"'))
      return std::nullopt;
    return value;
  }

  std::optional<int64_t> natural() {
    skip_space();
    size_t begin = at_;
    int64_t value = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_)
      if (__builtin_mul_overflow(value, 10, &value) ||
          __builtin_add_overflow(value, text_[at_] - '0', &value)) {
        fail("has a number beyond 64 bits");
        return std::nullopt;
      }
    if (at_ == begin) {
      fail("lacks a natural number");
      return std::nullopt;
    }
    return value;
  }

  std::optional<std::vector<int64_t>> naturals(size_t limit) {
    std::vector<int64_t> values;
    if (!expect('['))
      return std::nullopt;
    if (accept(']'))
      return values;
    do {
      std::optional<int64_t> value = natural();
      if (!value)
        return std::nullopt;
      if (values.size() == limit) {
        fail("has a list of more than " + std::to_string(limit) + " numbers");
        return std::nullopt;
      }
      values.push_back(*value);
    } while (accept(','));
    if (!expect(']'))
      return std::nullopt;
    return values;
  }

  bool metadata() {
    if (std::exchange(has_metadata_, true))
      return fail("repeats its metadata");
    return members([&](const std::string& key) {
      std::optional<std::string> value = string();
      if (!value)
        return false;
      return out_.metadata.emplace(key, *value).second || fail("repeats metadata `" + key + "`");
    });
  }

  bool tensor(const std::string& name) {
    std::optional<std::string> dtype_text;
    std::optional<std::vector<int64_t>> dims, offsets;
    auto member = [&](const std::string& key) {
      if (key == "dtype" && !dtype_text)
        return (dtype_text = string()).has_value();
      if (key == "shape" && !dims)
        return (dims = naturals(kMaxRank)).has_value();
      if (key == "data_offsets" && !offsets)
        return (offsets = naturals(2)).has_value();
      return fail("has an unknown or repeated key `" + key + "` in tensor `" + name + "`");
    };
    if (!members(member))
      return false;
    if (!dtype_text || !dims || !offsets || offsets->size() != 2)
      return fail("lacks dtype, shape or two data_offsets of tensor `" + name + "`");
    std::optional<gradc_dtype> dtype = safetensors_dtype(*dtype_text);
    if (!dtype)
      return fail("has a dtype that is not supported, `" + *dtype_text + "`, of tensor `" + name +
                  "`");
    return place(name, *dtype, std::move(*dims), (*offsets)[0], (*offsets)[1]);
  }

  bool place(const std::string& name, gradc_dtype dtype, std::vector<int64_t> dims, int64_t begin,
             int64_t end) {
    std::string range = "[" + std::to_string(begin) + ", " + std::to_string(end) + ")";
    if (begin > end || static_cast<uint64_t>(end) > data_.size())
      return fail("puts tensor `" + name + "` at bytes " + range + " of " +
                  std::to_string(data_.size()) + " bytes of data");
    if (tensor_bytes(dtype, dims) != end - begin)
      return fail("gives " + shape_text(dtype, dims) + " tensor `" + name + "` the bytes " + range);
    auto bytes = data_.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    out_.tensors.push_back({name, dtype, std::move(dims), bytes});
    return true;
  }

  std::string_view text_;
  std::span<const std::byte> data_;
  SafetensorsFile& out_;
  size_t at_ = 0;
  bool has_metadata_ = false;
  std::string error_;
};

}  // namespace

std::string parse_safetensors_header(std::string_view text, std::span<const std::byte> data,
                                     SafetensorsFile& out) {
  return HeaderParser(text, data, out).run();
}

}  // namespace gradc
