#include "tools/io/idx.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>

#include "tests/support/data_files.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc_test;

namespace {

NamedArray read(const std::string& file) {
  TemporaryDirectory directory;
  write_text(directory.file("f-idx"), file);
  return read_idx(directory.file("f-idx"));
}

std::string error_of(const std::string& file) {
  std::string text = user_error([&] { read(file); });
  return text.substr(std::min(text.find("f-idx"), text.size()));
}

}  // namespace

TEST_CASE("IDX files are read, plain and compressed", "[idx]") {
  std::string file = idx(8, {2, 3}, "abcdef");
  for (const std::string& bytes : {file, gzip(file)}) {
    NamedArray array = read(bytes);
    CHECK(array.name == "f-idx");
    CHECK(array.type == Type{DType::u8, {2, 3}});
    CHECK(std::memcmp(array.data.data(), "abcdef", 6) == 0);
  }
  CHECK(read(idx(8, {0, 28}, "")).type == Type{DType::u8, {0, 28}});
  CHECK(read(idx(9, {1}, "a")).type.dtype == DType::i8);
}

TEST_CASE("IDX elements are turned from big-endian", "[idx]") {
  NamedArray integers = read(idx(0x0c, {2}, big_endian(70000, 4) + big_endian(0xffffffff, 4)));
  int32_t values[2];
  REQUIRE(integers.data.size() == sizeof values);
  std::memcpy(values, integers.data.data(), sizeof values);
  CHECK(values[0] == 70000);
  CHECK(values[1] == -1);
  NamedArray doubles = read(idx(0x0e, {1}, big_endian(0x3ff8000000000000, 8)));
  double value;
  REQUIRE(doubles.data.size() == sizeof value);
  std::memcpy(&value, doubles.data.data(), sizeof value);
  CHECK(value == 1.5);
  CHECK(read(idx(0x0b, {1}, big_endian(5, 2))).type.dtype == DType::i16);
  CHECK(read(idx(0x0d, {1}, big_endian(5, 4))).type.dtype == DType::f32);
}

TEST_CASE("wrong IDX files are refused with the reason", "[idx]") {
  CHECK(error_of("") == "f-idx: error: is cut short: 4 bytes are missing");
  CHECK(error_of("GIF89a..") == "f-idx: error: is not an IDX file: it begins with 47 49 46 38");
  CHECK(error_of(idx(7, {1}, "a")) ==
        "f-idx: error: is not an IDX file: it begins with 00 00 07 01");
  CHECK(error_of(idx(8, {2, 3}, "abcde")) == "f-idx: error: is cut short: 1 bytes are missing");
  CHECK(error_of(idx(8, {2}, "abc")) == "f-idx: error: has 1 bytes after its end");
  CHECK(error_of(idx(8, {0xffffffff, 0xffffffff, 0xffffffff}, "abc")) ==
        "f-idx: error: is cut short or damaged: it says that it holds "
        "u8[4294967295,4294967295,4294967295]");
  CHECK(error_of(gzip(idx(8, {0xffffffff}, "abc"))) ==
        "f-idx: error: is cut short or damaged: it says that it holds u8[4294967295]");
  CHECK(error_of(gzip(idx(8, {1000}, "abc"))) ==
        "f-idx: error: its compressed data end after 3 of 1000 bytes");
  CHECK(error_of(gzip(idx(8, {2}, "abc"))) ==
        "f-idx: error: it holds more data than its header says");
  CHECK(error_of(gzip(idx(8, {2}, "ab")) + "x") == "f-idx: error: it has bytes after its end");
  CHECK(user_error([] { read_idx("/nowhere/f"); }) ==
        "/nowhere/f: error: cannot open: No such file or directory");
}

TEST_CASE("no damaged IDX file crashes", "[idx]") {
  TemporaryDirectory directory;
  std::string path = directory.file("f");
  std::mt19937 random(3);
  std::string plain = idx(8, {4, 5}, "abcdefghijabcdefghij");
  for (const std::string& whole : {plain, gzip(plain)}) {
    for (size_t length = 0; length < whole.size(); ++length) {
      write_text(path, std::string_view(whole).substr(0, length));
      REQUIRE(user_error([&] { read_idx(path); }) != "");
    }
    for (int round = 0; round < 2000; ++round) {
      std::string changed = whole;
      for (unsigned flips = random() % 3 + 1; flips > 0; --flips)
        changed[random() % changed.size()] ^= static_cast<char>(1u << random() % 8);
      write_text(path, changed);
      NamedArray array;
      if (user_error([&] { array = read_idx(path); }) == "")
        REQUIRE(array.data.size() == static_cast<size_t>(array.type.bytes()));
    }
  }
}
