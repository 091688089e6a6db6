// TensorProto: one of three encodings of its elements becomes dense little-endian bytes. Raw and
// external data stay where they are; typed lists (float_data, ...) are gathered.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "compiler/import/onnx/onnx_fields.h"
#include "compiler/import/onnx/onnx_file.h"
#include "compiler/import/onnx/reading.h"

namespace gradc::onnx {
namespace {

struct ListField {
  uint32_t field;
  const char* name;
};

constexpr ListField kLists[] = {
    {tensor_proto::float_data, "float_data"},   {tensor_proto::int32_data, "int32_data"},
    {tensor_proto::int64_data, "int64_data"},   {tensor_proto::double_data, "double_data"},
    {tensor_proto::uint64_data, "uint64_data"}, {tensor_proto::string_data, "string_data"}};

// What a TensorProto states, but for its typed lists.
struct Parts {
  Tensor tensor;
  bool is_segment = false, is_external = false;
  std::string_view raw;
  std::string location;
  std::optional<std::string> offset, length;
  std::array<bool, std::size(kLists)> has_list = {};  // and it is not empty
};

void read_external_entry(Message entry, Parts& to) {
  std::string key, value;
  while (entry.next()) {
    if (entry.field() == entry_proto::key)
      key = entry.string();
    else if (entry.field() == entry_proto::value)
      value = entry.string();
  }
  if (key == "location")
    to.location = value;
  else if (key == "offset")
    to.offset = value;
  else if (key == "length")
    to.length = value;
}

Parts read_parts(Message message) {
  Parts parts;
  while (message.next()) {
    switch (message.field()) {
      case tensor_proto::name:
        parts.tensor.name = message.string();
        break;
      case tensor_proto::data_type:
        parts.tensor.element_type = static_cast<ElementType>(message.integer());
        break;
      case tensor_proto::dims:
        message.append_to(parts.tensor.dims);
        if (static_cast<int64_t>(parts.tensor.dims.size()) > kMaxRank)
          message.damaged(fmt::format("has more than {} axes", kMaxRank));
        break;
      case tensor_proto::segment:
        parts.is_segment = true;
        break;
      case tensor_proto::raw_data:
        parts.raw = message.bytes();
        break;
      case tensor_proto::external_data:
        read_external_entry(message.message("StringStringEntryProto"), parts);
        break;
      case tensor_proto::data_location:
        parts.is_external = message.integer() == 1;
        break;
      default:
        for (size_t i = 0; i < std::size(kLists); ++i)
          if (kLists[i].field == message.field() &&
              (!message.is_packed() || !message.bytes().empty()))
            parts.has_list[i] = true;
    }
  }
  parts.tensor.dtype = dtype_of(parts.tensor.element_type);
  return parts;
}

std::string shown_type(const Tensor& tensor) {
  return name_of(tensor.element_type) + to_string(tensor.dims);
}

// Bytes of all elements, 0 for an element type that is not ours. Fails for negative dims and for
// 2^63 bytes or more.
uint64_t stated_bytes(const Tensor& tensor) {
  for (int64_t dim : tensor.dims)
    if (dim < 0)
      fail("has the shape {}; sizes of a tensor cannot be negative", to_string(tensor.dims));
  if (contains(tensor.dims, 0))
    return 0;
  int64_t bytes = tensor.dtype ? byte_size(*tensor.dtype) : 1;
  for (int64_t dim : tensor.dims)
    if (__builtin_mul_overflow(bytes, dim, &bytes))
      fail("has the shape {}, too large for any file", to_string(tensor.dims));
  return tensor.dtype ? static_cast<uint64_t>(bytes) : 0;
}

uint64_t parsed_count(const char* key, const std::string& text) {
  uint64_t count = 0;
  const char* end = text.data() + text.size();
  auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error != std::errc() || stop != end)
    fail("has external data with the {} {}; a natural number below 2^64 is needed", key,
         shown(text));
  return count;
}

SharedBytes external_bytes(const Parts& parts, uint64_t wanted, ExternalData& files) {
  uint64_t offset = parts.offset ? parsed_count("offset", *parts.offset) : 0;
  std::optional<uint64_t> length;
  if (parts.length)
    length = parsed_count("length", *parts.length);
  return files.read(parts.location, offset, length, wanted);
}

// The field that holds a type's elements as a list of numbers.
uint32_t list_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return tensor_proto::float_data;
    case DType::f64:
      return tensor_proto::double_data;
    case DType::i64:
      return tensor_proto::int64_data;
    default:
      return tensor_proto::int32_data;
  }
}

struct Range {
  int32_t low, high;
};

// Half floats are stored by their bits; some writers take those for signed.
Range range_in_int32(DType dtype) {
  switch (dtype) {
    case DType::i8:
      return {-128, 127};
    case DType::u8:
      return {0, 255};
    case DType::i16:
      return {-32768, 32767};
    case DType::f16:
    case DType::bf16:
      return {-32768, 65535};
    default:
      return {INT32_MIN, INT32_MAX};
  }
}

// The low bytes of each number.
std::vector<std::byte> narrowed(const std::vector<int64_t>& numbers, DType dtype) {
  auto size = static_cast<size_t>(byte_size(dtype));
  std::vector<std::byte> bytes(numbers.size() * size);
  Range range = range_in_int32(dtype);
  for (size_t i = 0; i < numbers.size(); ++i) {
    auto number = numbers[i];
    if (size < 8)
      number = static_cast<int32_t>(number);  // as protobuf reads an int32
    if (size < 8 && (number < range.low || number > range.high))
      fail("has the element {} at {}, which {} cannot hold", number, i, name_of(dtype));
    if (dtype == DType::boolean)
      number = number != 0;
    std::memcpy(bytes.data() + i * size, &number, size);
  }
  return bytes;
}

std::vector<std::byte> list_bytes(Message message, DType dtype) {
  std::vector<std::byte> bytes;
  std::vector<int64_t> numbers;
  while (message.next()) {
    if (message.field() != list_of(dtype))
      continue;
    if (dtype == DType::f32 || dtype == DType::f64) {
      auto part = std::as_bytes(std::span(message.fixed(static_cast<size_t>(byte_size(dtype)))));
      bytes.insert(bytes.end(), part.begin(), part.end());
    } else {
      message.append_to(numbers);
    }
  }
  return numbers.empty() ? bytes : narrowed(numbers, dtype);
}

// Any byte but 0 is true; code relies on 1.
SharedBytes as_bools(SharedBytes data) {
  auto is_odd = [](std::byte b) { return b > std::byte{1}; };
  if (std::none_of(data.bytes.begin(), data.bytes.end(), is_odd))
    return data;
  std::vector<std::byte> bools(data.bytes.size());
  std::transform(data.bytes.begin(), data.bytes.end(), bools.begin(),
                 [](std::byte b) { return b == std::byte{0} ? b : std::byte{1}; });
  return SharedBytes(std::move(bools));
}

SharedBytes elements(const Parts& parts, const Message& message, Reading& reading) {
  const Tensor& tensor = parts.tensor;
  if (parts.is_segment)
    fail("has a segment: it is a sequence or a part of a tensor, which cannot be read");
  uint64_t size = stated_bytes(tensor);
  std::vector<std::string> sources;
  if (parts.is_external)
    sources.push_back("external data");
  if (!parts.raw.empty())
    sources.push_back("raw_data");
  for (size_t i = 0; i < std::size(kLists); ++i)
    if (parts.has_list[i])
      sources.push_back(kLists[i].name);
  if (sources.size() > 1)
    fail("has its elements in {}; only one of them may be there", fmt::join(sources, " and in "));

  SharedBytes data;
  if (parts.is_external)
    data = external_bytes(parts, size, reading.external);
  if (!tensor.dtype)
    return {};
  if (!parts.raw.empty())
    data = {reading.file.owner, std::as_bytes(std::span(parts.raw))};
  else if (!parts.is_external)
    data = SharedBytes(list_bytes(message, *tensor.dtype));
  if (data.bytes.size() != size)
    fail("has {} bytes{}, {} needs {}", data.bytes.size(),
         sources.empty() ? "" : " in " + sources.front(), shown_type(tensor), size);
  return tensor.dtype == DType::boolean ? as_bools(std::move(data)) : data;
}

// Adds which tensor it is to errors of `action`.
template <typename Action>
void at_tensor(const Parts& parts, const Message& message, const Reading& reading, Action action) {
  try {
    action();
  } catch (const UserError& error) {
    if (!error.place().empty())
      throw;
    std::string name = parts.tensor.name.empty() ? fmt::format("at byte {}", message.offset())
                                                 : shown(std::string_view(parts.tensor.name));
    throw error.at(fmt::format("{}: tensor {}", reading.origin.path, name));
  }
}

}  // namespace

Tensor read_tensor(const Message& message, Reading& reading) {
  Parts parts = read_parts(message);
  at_tensor(parts, message, reading,
            [&] { parts.tensor.data = elements(parts, message, reading); });
  return std::move(parts.tensor);
}

std::optional<SharedBytes> read_external_bytes(const Message& message, Reading& reading) {
  Parts parts = read_parts(message);
  if (!parts.is_external)
    return std::nullopt;
  SharedBytes bytes;
  at_tensor(parts, message, reading, [&] {
    elements(parts, message, reading);  // for its checks
    if (!parts.tensor.dtype && !parts.length)
      fail("is {} with external data of unknown length, which cannot be copied",
           shown_type(parts.tensor));
    bytes = external_bytes(parts, stated_bytes(parts.tensor), reading.external);
  });
  return bytes;
}

Tensor read_onnx_tensor(const std::string& path) {
  Reading reading(path);
  Tensor tensor = read_tensor(reading.whole("TensorProto"), reading);
  if (tensor.element_type == 0)
    throw UserError(path, "holds no tensor: it states no element type");
  return tensor;
}

}  // namespace gradc::onnx
