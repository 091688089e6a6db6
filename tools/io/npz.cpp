#include "tools/io/npz.h"

#include <filesystem>
#include <string_view>

#include "tools/io/elements.h"
#include "tools/io/npy.h"
#include "tools/io/require.h"
#include "tools/io/zip.h"

namespace gradc {
namespace {

constexpr std::string_view kSuffix = ".npy";

NamedArray read_npy(const std::string& path) {
  FileBytes file = read_file(path);
  require(file.status);
  std::string name = std::filesystem::path(path).stem();
  return parse_npy(name, {file.bytes().begin(), file.bytes().end()}, path);
}

}  // namespace

std::vector<NamedArray> read_npz(const std::string& path) {
  if (path.ends_with(kSuffix))
    return {read_npy(path)};
  ZipReader zip(path);
  std::vector<NamedArray> arrays;
  for (const ZipMember& member : zip.members()) {
    if (!member.name.ends_with(kSuffix))
      continue;
    std::string name = member.name.substr(0, member.name.size() - kSuffix.size());
    std::string place = fmt::format("{}: array `{}`", path, name);
    arrays.push_back(parse_npy(std::move(name), zip.read(member), place));
  }
  return arrays;
}

void write_npz(const std::string& path, std::span<const NamedArray> arrays) {
  ZipWriter zip(path);
  for (const NamedArray& array : arrays) {
    std::string name = array.name + std::string(kSuffix);
    Type type = array.type;
    std::vector<std::byte> widened;
    if (type.dtype == DType::bf16) {
      type.dtype = DType::f32;
      widened.resize(static_cast<size_t>(type.bytes()));
      convert_elements(DType::bf16, array.data, DType::f32, widened);
    }
    std::string header = npy_header(type);
    zip.add(name, std::as_bytes(std::span(header)), widened.empty() ? array.data : widened);
  }
  zip.commit();
}

}  // namespace gradc
