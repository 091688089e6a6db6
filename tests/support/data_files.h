#pragma once
// Data files built byte by byte, right or wrong, for tests of the readers.
#include <zlib.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "ir/diagnostic.h"

namespace gradc_test {

inline std::string little_endian(uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i)
    out += i < 8 ? static_cast<char>(value >> (8 * i)) : '\0';
  return out;
}

inline std::string big_endian(uint64_t value, int bytes) {
  std::string out = little_endian(value, bytes);
  return {out.rbegin(), out.rend()};
}

// zlib's own compressor: window 15 + 16 makes a gzip file, -15 a raw stream.
inline std::string deflated(const std::string& text, int window) {
  z_stream z = {};
  REQUIRE(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  REQUIRE(deflate(&z, Z_FINISH) == Z_STREAM_END);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

inline std::string gzip(const std::string& text) {
  return deflated(text, 15 + 16);
}

// An IDX file of type `code` (8: bytes).
inline std::string idx(uint8_t code, const std::vector<uint32_t>& dims, const std::string& data) {
  std::string out = {'\0', '\0', static_cast<char>(code), static_cast<char>(dims.size())};
  for (uint32_t dim : dims)
    out += big_endian(dim, 4);
  return out + data;
}

// A .npy file of version 1 with this dictionary.
inline std::string npy(const std::string& dictionary, const std::string& data, int version = 1) {
  std::string out = "\x93NUMPY" + std::string{static_cast<char>(version), '\0'};
  return out + little_endian(dictionary.size(), version == 1 ? 2 : 4) + dictionary + data;
}

inline std::string npy(const std::string& descr, const std::string& shape,
                       const std::string& data) {
  return npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }\n",
             data);
}

struct ZipOptions {
  bool deflate = false, zip64 = false;
  std::string comment;
};

// A zip archive of (name, bytes) members, as Python's zipfile lays it out.
inline std::string zip(const std::vector<std::pair<std::string, std::string>>& members,
                       const ZipOptions& options = {}) {
  std::string out, directory;
  for (const auto& [name, text] : members) {
    std::string stored = options.deflate ? deflated(text, -15) : text;
    uint64_t crc =
        crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size()));
    uint64_t in64 = 0xffffffff;
    std::string extra;
    if (options.zip64)
      extra = little_endian(0x5455, 2) + little_endian(1, 2) + "x" + little_endian(1, 2) +
              little_endian(24, 2) + little_endian(text.size(), 8) +
              little_endian(stored.size(), 8) + little_endian(out.size(), 8);
    std::string common = little_endian(45, 2) + little_endian(0, 2) +
                         little_endian(options.deflate ? 8 : 0, 2) + little_endian(0, 4) +
                         little_endian(crc, 4) +
                         little_endian(options.zip64 ? in64 : stored.size(), 4) +
                         little_endian(options.zip64 ? in64 : text.size(), 4) +
                         little_endian(name.size(), 2) + little_endian(extra.size(), 2);
    directory += little_endian(0x02014b50, 4) + little_endian(45, 2) + common +
                 little_endian(0, 10) + little_endian(options.zip64 ? in64 : out.size(), 4) + name +
                 extra;
    out += little_endian(0x04034b50, 4) + common + name + extra + stored;
  }
  uint64_t begin = out.size(), count = members.size();
  out += directory;
  if (options.zip64) {
    uint64_t record = out.size();
    out += little_endian(0x06064b50, 4) + little_endian(44, 8) + little_endian(45, 2) +
           little_endian(45, 2) + little_endian(0, 8) + little_endian(count, 8) +
           little_endian(count, 8) + little_endian(directory.size(), 8) + little_endian(begin, 8);
    out += little_endian(0x07064b50, 4) + little_endian(0, 4) + little_endian(record, 8) +
           little_endian(1, 4);
    begin = 0xffffffff;
  }
  return out + little_endian(0x06054b50, 4) + little_endian(0, 4) + little_endian(count, 2) +
         little_endian(count, 2) + little_endian(directory.size(), 4) + little_endian(begin, 4) +
         little_endian(options.comment.size(), 2) + options.comment;
}

// The text of the UserError that `action` throws; "" if it throws none. Anything else ends the
// test.
template <typename Action>
std::string user_error(Action action) {
  try {
    action();
  } catch (const gradc::UserError& error) {
    CHECK(error.fault() == gradc::Fault::model_or_data);
    return error.what();
  }
  return "";
}

}  // namespace gradc_test
