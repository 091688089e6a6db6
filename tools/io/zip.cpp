#include "tools/io/zip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "ir/diagnostic.h"
#include "tools/io/inflate.h"
#include "tools/io/require.h"

namespace gradc {
namespace {

constexpr uint32_t kLocalHeader = 0x04034b50, kCentralHeader = 0x02014b50, kEndRecord = 0x06054b50;
constexpr uint32_t kZip64EndRecord = 0x06064b50, kZip64Locator = 0x07064b50;
constexpr uint64_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kZip64EndSize = 56,
                   kLocatorSize = 20;
constexpr uint64_t kMaxComment = 65535;
constexpr uint32_t kIn64 = 0xffffffff;  // "see the zip64 field"
constexpr uint16_t kStored = 0, kDeflated = 8;  // methods
constexpr uint16_t kEncrypted = 1, kUtf8Name = 0x800;  // flags
constexpr size_t kMaxMembers = 0xffff;

// Little-endian fields of a record.
class Fields {
 public:
  explicit Fields(std::span<const std::byte> bytes) : bytes_(bytes) {}
  bool covers(uint64_t offset, uint64_t size) const {
    return offset <= bytes_.size() && size <= bytes_.size() - offset;
  }
  uint16_t u16(size_t at) const { return static_cast<uint16_t>(number(at, 2)); }
  uint32_t u32(size_t at) const { return static_cast<uint32_t>(number(at, 4)); }
  uint64_t u64(size_t at) const { return number(at, 8); }
  Fields sub(uint64_t offset, uint64_t size) const {
    return Fields(bytes_.subspan(static_cast<size_t>(offset), static_cast<size_t>(size)));
  }
  std::string text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  uint64_t size() const { return bytes_.size(); }

 private:
  uint64_t number(size_t at, size_t size) const {
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;)
      value = value << 8 | std::to_integer<uint64_t>(bytes_[at + i]);
    return value;
  }
  std::span<const std::byte> bytes_;
};

// Builds a record of little-endian fields.
struct Record {
  std::vector<std::byte> bytes;
  Record& u16(uint64_t value) { return number(value, 2); }
  Record& u32(uint64_t value) { return number(value, 4); }
  Record& number(uint64_t value, int size) {
    for (int i = 0; i < size; ++i)
      bytes.push_back(static_cast<std::byte>(value >> (8 * i)));
    return *this;
  }
  Record& text(const std::string& text) {
    for (char c : text)
      bytes.push_back(static_cast<std::byte>(c));
    return *this;
  }
};

// Takes from the zip64 extra field (tag 1) the values that do not fit into 32 bits; false if it
// lacks one.
bool apply_zip64(Fields extra, ZipMember& member) {
  uint64_t* wanted[] = {&member.size, &member.compressed_size, &member.header_offset};
  if (std::none_of(std::begin(wanted), std::end(wanted),
                   [](const uint64_t* v) { return *v == kIn64; }))
    return true;
  for (uint64_t at = 0; extra.covers(at, 4);) {
    uint16_t tag = extra.u16(at), size = extra.u16(at + 2);
    if (!extra.covers(at + 4, size))
      return false;
    if (tag == 1) {
      Fields values = extra.sub(at + 4, size);
      uint64_t next = 0;
      for (uint64_t* value : wanted) {
        if (*value != kIn64)
          continue;
        if (!values.covers(next, 8))
          return false;
        *value = values.u64(next);
        next += 8;
      }
      return true;
    }
    at += 4 + size;
  }
  return false;
}

uint32_t checksum(std::span<const std::byte> bytes, uint32_t before = 0) {
  if (bytes.empty())  // whose null pointer would tell zlib to begin anew
    return before;
  return static_cast<uint32_t>(
      crc32_z(before, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

ZipReader::ZipReader(const std::string& path) : path_(path), file_(path) {
  require(file_.status());
  read_directory(find_directory());
}

void ZipReader::damaged(const std::string& what) const {
  throw UserError(path_, fmt::format("not a zip archive, or a damaged one: {}", what));
}

std::vector<std::byte> ZipReader::bytes_at(uint64_t offset, uint64_t size) const {
  if (offset > file_.size() || size > file_.size() - offset)
    damaged(fmt::format("it points to bytes {} to {}, but has {}", offset, offset + size,
                        file_.size()));
  std::vector<std::byte> bytes(size);
  require(file_.read(offset, bytes));
  return bytes;
}

ZipReader::Directory ZipReader::find_directory() const {
  uint64_t tail_size = std::min(file_.size(), kEndSize + kMaxComment);
  std::vector<std::byte> tail = bytes_at(file_.size() - tail_size, tail_size);
  Fields fields(tail);
  for (uint64_t at = tail_size; at-- > 0;) {
    if (!fields.covers(at, kEndSize) || fields.u32(at) != kEndRecord)
      continue;
    Fields end = fields.sub(at, kEndSize);
    Directory directory = {end.u32(16), end.u32(12), end.u16(10)};
    if (directory.offset == kIn64 || directory.size == kIn64 || directory.count == kMaxMembers)
      return zip64_directory(file_.size() - tail_size + at - kLocatorSize);
    return directory;
  }
  damaged("it has no directory at its end");
}

ZipReader::Directory ZipReader::zip64_directory(uint64_t locator) const {
  std::vector<std::byte> bytes = bytes_at(locator, kLocatorSize);
  if (Fields(bytes).u32(0) != kZip64Locator)
    damaged("its zip64 directory is not where it should be");
  bytes = bytes_at(Fields(bytes).u64(8), kZip64EndSize);
  Fields end(bytes);
  if (end.u32(0) != kZip64EndRecord)
    damaged("its zip64 directory is not where it should be");
  return {end.u64(48), end.u64(40), end.u64(32)};
}

void ZipReader::read_directory(const Directory& directory) {
  std::vector<std::byte> bytes = bytes_at(directory.offset, directory.size);
  Fields fields(bytes);
  std::set<std::string> names;
  uint64_t at = 0;
  for (uint64_t i = 0; i < directory.count; ++i) {
    if (!fields.covers(at, kCentralSize) || fields.u32(at) != kCentralHeader)
      damaged(
          fmt::format("its directory lists {} members, of which {} are there", directory.count, i));
    Fields header = fields.sub(at, kCentralSize);
    uint64_t name_size = header.u16(28), extra_size = header.u16(30), comment_size = header.u16(32);
    if (!fields.covers(at + kCentralSize, name_size + extra_size + comment_size))
      damaged("its directory is cut short");
    ZipMember member = {.name = fields.sub(at + kCentralSize, name_size).text(),
                        .flags = header.u16(8),
                        .method = header.u16(10),
                        .crc = header.u32(16),
                        .compressed_size = header.u32(20),
                        .size = header.u32(24),
                        .header_offset = header.u32(42)};
    if (!apply_zip64(fields.sub(at + kCentralSize + name_size, extra_size), member))
      damaged(fmt::format("the zip64 sizes of `{}` are missing", member.name));
    if (!names.insert(member.name).second)
      damaged(fmt::format("it lists `{}` twice", member.name));
    members_.push_back(std::move(member));
    at += kCentralSize + name_size + extra_size + comment_size;
  }
}

std::vector<std::byte> ZipReader::read(const ZipMember& member) const {
  std::string place = fmt::format("{}: member `{}`", path_, member.name);
  if (member.flags & kEncrypted)
    throw UserError(place, "is encrypted").with_help("save the archive without a password");
  std::vector<std::byte> local = bytes_at(member.header_offset, kLocalSize);
  if (Fields(local).u32(0) != kLocalHeader)
    damaged(fmt::format("`{}` is not where the directory says", member.name));
  uint64_t begin =
      member.header_offset + kLocalSize + Fields(local).u16(26) + Fields(local).u16(28);
  std::vector<std::byte> bytes = bytes_at(begin, member.compressed_size);
  if (member.method == kDeflated) {
    if (member.size / kMaxInflation > member.compressed_size)
      throw UserError(place, fmt::format("cannot have {} bytes: it is {} bytes compressed",
                                         member.size, member.compressed_size));
    Inflater inflater(bytes, Inflater::Form::raw, place);
    std::vector<std::byte> inflated = inflater.read(member.size);
    inflater.expect_end();
    bytes = std::move(inflated);
  } else if (member.method != kStored) {
    throw UserError(place, fmt::format("is compressed by zip method {}", member.method))
        .with_help("save it with numpy.savez or numpy.savez_compressed");
  }
  if (bytes.size() != member.size)
    throw UserError(place,
                    fmt::format("has {} bytes, the directory says {}", bytes.size(), member.size));
  if (checksum(bytes) != member.crc)
    throw UserError(place, "is damaged: its checksum is wrong");
  return bytes;
}

void ZipWriter::write(std::span<const std::byte> bytes) {
  file_.write(bytes);
  offset_ += bytes.size();
}

// Fields that the local and the central header share. A fixed date keeps equal contents equal
// files.
static void add_common_fields(Record& record, const ZipMember& member) {
  constexpr uint64_t kVersion = 20, kFirstOf1980 = 0x0021;
  record.u16(kVersion).u16(kUtf8Name).u16(kStored).u16(0).u16(kFirstOf1980).u32(member.crc);
  record.u32(member.size).u32(member.size).u16(member.name.size()).u16(0);
}

void ZipWriter::add(const std::string& name, std::span<const std::byte> head,
                    std::span<const std::byte> body) {
  ZipMember member = {.name = name,
                      .crc = checksum(body, checksum(head)),
                      .size = head.size() + body.size(),
                      .header_offset = offset_};
  if (offset_ + kLocalSize + name.size() + member.size >= kIn64 || members_.size() == kMaxMembers)
    throw UserError(path_, fmt::format("would become larger than 4 GiB or {} arrays", kMaxMembers))
        .with_help("write a .safetensors file");
  Record local;
  local.u32(kLocalHeader);
  add_common_fields(local, member);
  write(local.text(name).bytes);
  write(head);
  write(body);
  members_.push_back(std::move(member));
}

void ZipWriter::commit() {
  uint64_t begin = offset_;
  for (const ZipMember& member : members_) {
    Record central;
    central.u32(kCentralHeader).u16(20);
    add_common_fields(central, member);
    central.u16(0).u16(0).u16(0).u32(0).u32(member.header_offset);
    write(central.text(member.name).bytes);
  }
  Record end;
  end.u32(kEndRecord).u16(0).u16(0).u16(members_.size()).u16(members_.size());
  end.u32(offset_ - begin).u32(begin).u16(0);
  write(end.bytes);
  require(file_.commit());
}

}  // namespace gradc
