#include "runtime/safetensors.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "runtime/safetensors_header.h"

namespace gradc {
namespace {

constexpr uint64_t kMaxHeader = 100'000'000;  // as in the reference implementation

struct Dtype {
  const char* name;
  size_t bytes;
};
// By gradc_dtype.
constexpr Dtype kDtypes[] = {{"F32", 4}, {"F64", 8}, {"F16", 2}, {"BF16", 2}, {"I8", 1},
                             {"U8", 1},  {"I16", 2}, {"I32", 4}, {"I64", 8},  {"BOOL", 1}};

// The name that occurs twice, or "".
std::string repeated_name(const std::vector<TensorView>& tensors) {
  std::vector<std::string_view> names;
  for (const TensorView& tensor : tensors)
    names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  auto repeated = std::adjacent_find(names.begin(), names.end());
  return repeated == names.end() ? "" : std::string(*repeated);
}

// Sorts tensors by place and says which one does not begin where the one before it ends, or "".
std::string misplaced_tensor(std::vector<TensorView>& tensors, std::span<const std::byte> data) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    return std::pair(a.bytes.data(), a.bytes.size()) < std::pair(b.bytes.data(), b.bytes.size());
  });
  const std::byte* next = data.data();
  for (const TensorView& tensor : tensors) {
    if (tensor.bytes.data() != next)
      return "tensor `" + tensor.name + "` overlaps the one before it or leaves a hole";
    next += tensor.bytes.size();
  }
  if (next != data.data() + data.size())
    return "holds " + std::to_string(data.data() + data.size() - next) +
           " bytes of data that belong to no tensor";
  return "";
}

std::string quoted(std::string_view text) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      out += {'\\', c};
    else if (byte < 0x20)
      out += {'\\', 'u', '0', '0', kHex[byte >> 4], kHex[byte & 15]};
    else
      out += c;
  }
  return out + '"';
}

std::string joined(std::span<const int64_t> values) {
  std::string out;
  for (int64_t value : values) {
    if (!out.empty())
      out += ',';
    out += std::to_string(value);
  }
  return out;
}

// The header, padded with spaces so that the data begin at a multiple of 8.
std::string header_text(std::span<const TensorView* const> tensors,
                        const std::map<std::string, std::string>& metadata) {
  std::string out = "{\"__metadata__\":{";
  for (const auto& [key, value] : metadata) {
    if (out.back() != '{')
      out += ',';
    out.append(quoted(key)).append(":").append(quoted(value));
  }
  out += '}';
  size_t begin = 0;
  for (const TensorView* tensor : tensors) {
    size_t end = begin + tensor->bytes.size();
    out.append(",").append(quoted(tensor->name));
    out.append(":{\"dtype\":\"").append(kDtypes[tensor->dtype].name);
    out.append("\",\"shape\":[").append(joined(tensor->dims));
    out.append("],\"data_offsets\":[").append(std::to_string(begin)).append(",");
    out.append(std::to_string(end)).append("]}");
    begin = end;
  }
  out += '}';
  out.append((8 - out.size() % 8) % 8, ' ');
  return out;
}

}  // namespace

size_t dtype_bytes(gradc_dtype dtype) {
  return kDtypes[dtype].bytes;
}

std::optional<gradc_dtype> safetensors_dtype(std::string_view name) {
  for (size_t i = 0; i < std::size(kDtypes); ++i)
    if (kDtypes[i].name == name)
      return static_cast<gradc_dtype>(i);
  return std::nullopt;
}

int64_t tensor_bytes(gradc_dtype dtype, std::span<const int64_t> dims) {
  auto bytes = static_cast<int64_t>(dtype_bytes(dtype));
  bool empty = false;  // a dim of 0 hides an overflow of the others
  for (int64_t dim : dims) {
    if (dim < 0 || (dim > 0 && __builtin_mul_overflow(bytes, dim, &bytes)))
      return -1;
    empty |= dim == 0;
  }
  return empty ? 0 : bytes;
}

std::string shape_text(gradc_dtype dtype, std::span<const int64_t> dims) {
  return std::string(kDtypes[dtype].name) + "[" + joined(dims) + "]";
}

const TensorView* SafetensorsFile::find(std::string_view name) const {
  for (const TensorView& tensor : tensors)
    if (tensor.name == name)
      return &tensor;
  return nullptr;
}

SafetensorsFile parse_safetensors(std::span<const std::byte> bytes, const std::string& path) {
  SafetensorsFile out;
  auto damaged = [&](const std::string& message) {
    SafetensorsFile failed;
    failed.status = {GRADC_BAD_FILE, path, message};
    return failed;
  };
  if (bytes.size() < 8)
    return damaged("has " + std::to_string(bytes.size()) +
                   " bytes, too few for a safetensors file");
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | std::to_integer<uint64_t>(bytes[static_cast<size_t>(i)]);
  if (length > kMaxHeader || length > bytes.size() - 8)
    return damaged("is not a safetensors file, or cut short: its header should have " +
                   std::to_string(length) + " bytes, " + std::to_string(bytes.size() - 8) +
                   " follow and at most " + std::to_string(kMaxHeader) + " are read");
  std::span<const std::byte> data = bytes.subspan(8 + static_cast<size_t>(length));
  // A header is text; char may alias any byte.
  std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8,
                        static_cast<size_t>(length));
  std::string error = parse_safetensors_header(text, data, out);
  if (!error.empty())
    return damaged("is damaged: its header " + error);
  if (std::string name = repeated_name(out.tensors); !name.empty())
    return damaged("is damaged: it holds tensor `" + name + "` twice");
  if (std::string misplaced = misplaced_tensor(out.tensors, data); !misplaced.empty())
    return damaged("is damaged: " + misplaced);
  return out;
}

SafetensorsFile read_safetensors(const std::string& path) {
  FileBytes file = read_file(path);
  SafetensorsFile out;
  out.status = file.status;
  if (file.status.ok())
    out = parse_safetensors(file.bytes(), path);
  if (out.status.ok())
    out.file = std::move(file);
  return out;
}

FileStatus write_safetensors(const std::string& path, std::span<const TensorView> tensors,
                             const std::map<std::string, std::string>& metadata,
                             Durability durability) {
  std::vector<const TensorView*> order;
  for (size_t size : {8, 4, 2, 1})
    for (const TensorView& tensor : tensors)
      if (dtype_bytes(tensor.dtype) == size)
        order.push_back(&tensor);
  std::string header = header_text(order, metadata);
  std::byte length[8];
  for (size_t i = 0; i < 8; ++i)
    length[i] = static_cast<std::byte>(header.size() >> (8 * i));

  AtomicFile file(path);
  file.write(length);
  file.write(header);
  for (const TensorView* tensor : order)
    file.write(tensor->bytes);
  return file.commit(durability);
}

}  // namespace gradc
