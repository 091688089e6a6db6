#include "compiler/import/onnx/message.h"

#include <bit>
#include <cstring>
#include <protozero/exception.hpp>
#include <protozero/varint.hpp>

namespace gradc::onnx {

static_assert(std::endian::native == std::endian::little,
              "tensors are used as they lie in the file, which is little-endian");

using protozero::pbf_wire_type;

uint64_t Message::varint(const char*& from, const char* to) const {
  try {
    return protozero::decode_varint(&from, to);
  } catch (const protozero::end_of_buffer_exception&) {
    damaged("ends within a number");
  } catch (const protozero::varint_too_long_exception&) {
    damaged("has a number beyond 64 bits");
  }
}

bool Message::next() {
  field_begin_ = at_;
  if (at_ == end())
    return false;
  uint64_t tag = varint(at_, end());
  if (tag >> 3 == 0 || tag >> 32 != 0)
    damaged(fmt::format("has a field of number {}", tag >> 3));
  field_ = static_cast<uint32_t>(tag >> 3);
  type_ = static_cast<pbf_wire_type>(tag & 7);
  number_ = 0;
  uint64_t length = 0;
  switch (type_) {
    case pbf_wire_type::varint:
      number_ = varint(at_, end());
      break;
    case pbf_wire_type::fixed64:
      length = 8;
      break;
    case pbf_wire_type::length_delimited:
      length = varint(at_, end());
      break;
    case pbf_wire_type::fixed32:
      length = 4;
      break;
    default:
      damaged(fmt::format("has field {} of wire type {}", field_, tag & 7));
  }
  auto rest = static_cast<uint64_t>(end() - at_);
  if (length > rest)
    damaged(fmt::format("has field {} of {} bytes, {} follow", field_, length, rest));
  payload_ = {at_, static_cast<size_t>(length)};
  at_ += length;
  return true;
}

int64_t Message::integer() const {
  if (type_ != pbf_wire_type::varint)
    wrong_type("a number");
  return static_cast<int64_t>(number_);
}

float Message::real() const {
  if (type_ != pbf_wire_type::fixed32)
    wrong_type("a float");
  float value;
  std::memcpy(&value, payload_.data(), sizeof value);
  return value;
}

std::string_view Message::bytes() const {
  if (type_ != pbf_wire_type::length_delimited)
    wrong_type("bytes or a message");
  return payload_;
}

void Message::append_to(std::vector<int64_t>& integers) const {
  if (!is_packed()) {
    integers.push_back(integer());
    return;
  }
  const char* from = payload_.data();
  const char* to = from + payload_.size();
  while (from != to)
    integers.push_back(static_cast<int64_t>(varint(from, to)));
}

void Message::append_to(std::vector<float>& reals) const {
  std::string_view values = fixed(sizeof(float));
  size_t before = reals.size();
  reals.resize(before + values.size() / sizeof(float));
  if (!values.empty())
    std::memcpy(reals.data() + before, values.data(), values.size());
}

std::string_view Message::fixed(size_t size) const {
  if (!is_packed() && type_ != (size == 4 ? pbf_wire_type::fixed32 : pbf_wire_type::fixed64))
    wrong_type(size == 4 ? "floats" : "doubles");
  if (payload_.size() % size != 0)
    damaged(fmt::format("has field {} of {} bytes, not a multiple of {}", field_, payload_.size(),
                        size));
  return payload_;
}

void Message::wrong_type(const char* wanted) const {
  damaged(fmt::format("has field {} of wire type {}, {} would be right", field_,
                      static_cast<int>(type_), wanted));
}

void Message::damaged(const std::string& how) const {
  throw UserError(
      origin_->path,
      fmt::format("is damaged or not an ONNX file: at byte {}, {} {}",
                  (field_begin_ ? field_begin_ : bytes_.data()) - origin_->begin, kind_, how));
}

std::string shown(std::string_view name) {
  constexpr size_t kMost = 200;
  std::string text = "\"";
  for (char c : name.substr(0, kMost)) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      text += c;
  }
  return text + (name.size() > kMost ? "...\"" : "\"");
}

}  // namespace gradc::onnx
