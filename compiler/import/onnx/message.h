#pragma once
// One protobuf message, read field by field in place. Over protozero's varints and not its
// pbf_reader, whose lengths are cut to 32 bits and whose wire types are checked by assert only:
// here a damaged file is a UserError with the byte at which it is damaged.
#include <cstdint>
#include <protozero/types.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "ir/diagnostic.h"

namespace gradc::onnx {

// The file that messages lie in, for errors.
struct Origin {
  std::string path;
  const char* begin = nullptr;
};

class Message {
 public:
  // `kind` is the message's name in onnx.proto.
  Message(const Origin& origin, const char* kind, std::string_view bytes)
      : origin_(&origin), kind_(kind), bytes_(bytes), at_(bytes.data()) {}

  // Goes to the next field; false at the end.
  bool next();
  uint32_t field() const { return field_; }

  // The value of the current field. Each fails if the field is of another wire type.
  int64_t integer() const;
  float real() const;
  std::string_view bytes() const;
  std::string string() const { return std::string(bytes()); }
  Message message(const char* kind) const { return Message(*origin_, kind, bytes()); }

  // Elements of a repeated field, of which this is one, or some if they are packed.
  void append_to(std::vector<int64_t>& integers) const;
  void append_to(std::vector<float>& reals) const;
  // Little-endian elements of `size` bytes each (4 or 8).
  std::string_view fixed(size_t size) const;
  bool is_packed() const { return type_ == protozero::pbf_wire_type::length_delimited; }

  // The current field with its tag, as it stands in the file.
  std::string_view whole_field() const {
    return {field_begin_, static_cast<size_t>(at_ - field_begin_)};
  }
  // All of the message.
  std::string_view whole() const { return bytes_; }

  uint64_t offset() const { return static_cast<uint64_t>(bytes_.data() - origin_->begin); }
  [[noreturn]] void damaged(const std::string& how) const;

 private:
  const char* end() const { return bytes_.data() + bytes_.size(); }
  uint64_t varint(const char*& from, const char* to) const;
  [[noreturn]] void wrong_type(const char* wanted) const;

  const Origin* origin_;
  const char* kind_;
  std::string_view bytes_;
  const char* at_;
  const char* field_begin_ = nullptr;
  uint32_t field_ = 0;
  protozero::pbf_wire_type type_ = protozero::pbf_wire_type::unknown;
  uint64_t number_ = 0;
  std::string_view payload_;
};

// A name as errors show it: in quotes, control characters escaped, cut when very long.
std::string shown(std::string_view name);

}  // namespace gradc::onnx
