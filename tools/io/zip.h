#pragma once
// Zip archives as far as .npz files need them (PKWARE's APPNOTE.TXT): members stored or deflated,
// zip64.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "runtime/file.h"

namespace gradc {

struct ZipMember {
  std::string name;
  uint16_t flags = 0, method = 0;
  uint32_t crc = 0;
  uint64_t compressed_size = 0, size = 0;
  uint64_t header_offset = 0;
};

// Reads members one at a time, so that memory holds no more than one of them twice.
class ZipReader {
 public:
  explicit ZipReader(const std::string& path);
  const std::vector<ZipMember>& members() const { return members_; }
  // The member's bytes, decompressed and checked against its checksum.
  std::vector<std::byte> read(const ZipMember& member) const;

 private:
  struct Directory {
    uint64_t offset, size, count;
  };

  std::vector<std::byte> bytes_at(uint64_t offset, uint64_t size) const;
  Directory find_directory() const;
  Directory zip64_directory(uint64_t locator) const;
  void read_directory(const Directory& directory);
  [[noreturn]] void damaged(const std::string& what) const;

  std::string path_;
  InputFile file_;
  std::vector<ZipMember> members_;
};

// Writes an archive of stored members, which appears complete or not at all.
class ZipWriter {
 public:
  explicit ZipWriter(const std::string& path) : path_(path), file_(path) {}
  void add(const std::string& name, std::span<const std::byte> head,
           std::span<const std::byte> body);
  void commit();

 private:
  void write(std::span<const std::byte> bytes);

  std::string path_;
  AtomicFile file_;
  uint64_t offset_ = 0;
  std::vector<ZipMember> members_;
};

}  // namespace gradc
