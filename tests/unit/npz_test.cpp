#include "tools/io/npz.h"

#include <bit>
#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "runtime/file.h"
#include "tests/support/data_files.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc_test;

namespace {

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

template <typename T>
std::vector<T> values_of(const NamedArray& array) {
  std::vector<T> values(array.data.size() / sizeof(T));
  std::memcpy(values.data(), array.data.data(), array.data.size());
  return values;
}

std::string text_of(const std::vector<float>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)};
}

std::vector<NamedArray> read(const std::string& file) {
  TemporaryDirectory directory;
  write_text(directory.file("a.npz"), file);
  return read_npz(directory.file("a.npz"));
}

NamedArray read_one(const std::string& npy_file) {
  return read(zip({{"x.npy", npy_file}})).at(0);
}

// The error's first line, with the temporary path cut off.
std::string error_of(const std::string& file) {
  std::string text = user_error([&] { read(file); });
  text = text.substr(0, text.find('\n'));
  size_t name = text.find("a.npz");
  return name == text.npos ? text : text.substr(name);
}

std::string npy_error(const std::string& npy_file) {
  return error_of(zip({{"x.npy", npy_file}}));
}

}  // namespace

TEST_CASE("arrays survive an .npz file", "[npz]") {
  TemporaryDirectory directory;
  std::string path = directory.file("out.npz");
  std::vector<NamedArray> arrays = {
      {"x", {DType::f32, {2, 3}}, bytes_of<float>({1, 2, 3, 4, 5, 6})},
      {"grad/layer.w", {DType::f64, {1}}, bytes_of<double>({-0.5})},
      {"label", {DType::i32, {}}, bytes_of<int32_t>({7})},
      {"mask", {DType::boolean, {3}}, bytes_of<uint8_t>({1, 0, 1})},
      {"none", {DType::i64, {0, 4}}, {}},
      {"half", {DType::f16, {2}}, bytes_of<uint16_t>({0x3c00, 0xc000})}};
  write_npz(path, arrays);
  CHECK(directory.entries() == 1);
  std::vector<NamedArray> back = read_npz(path);
  REQUIRE(back.size() == arrays.size());
  for (size_t i = 0; i < arrays.size(); ++i) {
    CHECK(back[i].name == arrays[i].name);
    CHECK(back[i].type == arrays[i].type);
    CHECK(back[i].data == arrays[i].data);
  }
}

TEST_CASE("what write_npz writes is laid out as NumPy does", "[npz]") {
  TemporaryDirectory directory;
  std::string path = directory.file("out.npz");
  write_npz(path, std::vector<NamedArray>{{"x", {DType::f32, {2, 1}}, bytes_of<float>({1, 2})}});
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
  header += std::string(118 - header.size() - 1, ' ') + "\n";
  std::string file = read_text(path);
  CHECK(file.substr(30, 5) == "x.npy");
  CHECK(file.substr(35, 136) == npy(header, text_of({1, 2})));
}

TEST_CASE("bf16 is written as the same numbers in f32", "[npz]") {
  TemporaryDirectory directory;
  write_npz(
      directory.file("b.npz"),
      std::vector<NamedArray>{{"b", {DType::bf16, {2}}, bytes_of<uint16_t>({0x3fc0, 0xc000})}});
  NamedArray array = read_npz(directory.file("b.npz")).at(0);
  CHECK(array.type == Type{DType::f32, {2}});
  CHECK(values_of<float>(array) == std::vector<float>{1.5, -2});
}

TEST_CASE("an .npz file that cannot be written is an error, not a half file", "[npz]") {
  TemporaryDirectory directory;
  std::string path = directory.file("none/out.npz");
  CHECK(user_error([&] { write_npz(path, {}); }) ==
        path + ": error: cannot create: No such file or directory");
}

TEST_CASE("stored, deflated and zip64 archives are read", "[npz]") {
  std::string x = npy("<f4", "(2, 2)", text_of({1, 2, 3, 4})), label = npy("|u1", "(3,)", "abc");
  for (bool deflate : {false, true})
    for (bool zip64 : {false, true}) {
      std::vector<NamedArray> arrays =
          read(zip({{"x.npy", x}, {"notes.txt", "hello"}, {"label.npy", label}},
                   {.deflate = deflate, .zip64 = zip64, .comment = "made for a test"}));
      REQUIRE(arrays.size() == 2);
      CHECK(arrays[0].name == "x");
      CHECK(arrays[0].type == Type{DType::f32, {2, 2}});
      CHECK(values_of<float>(arrays[0]) == std::vector<float>{1, 2, 3, 4});
      CHECK(arrays[1].name == "label");
      CHECK(arrays[1].type == Type{DType::u8, {3}});
    }
  CHECK(read(zip({})).empty());
}

TEST_CASE("headers in all versions and spellings", "[npz]") {
  std::string data = text_of({1, 2, 3});
  CHECK(read_one(npy("{'descr':'<f4','fortran_order':False,'shape':(3,)}", data)).type.dims ==
        Dims{3});
  CHECK(read_one(
            npy("{\"shape\": (3L,), \"fortran_order\": False, \"descr\": \"=f4\"}   \n", data, 2))
            .type.dims == Dims{3});
  CHECK(read_one(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 1), }", data, 3))
            .type.dims == Dims{3, 1});
  CHECK(read_one(npy(">u1", "()", "a")).type == Type{DType::u8, {}});
  TemporaryDirectory directory;
  write_text(directory.file("plain.npy"), npy("<f4", "(3,)", data));
  CHECK(read_npz(directory.file("plain.npy")).at(0).name == "plain");
}

TEST_CASE("column-major arrays become row-major", "[npz]") {
  NamedArray array = read_one(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
                                  text_of({1, 4, 2, 5, 3, 6})));
  CHECK(values_of<float>(array) == std::vector<float>{1, 2, 3, 4, 5, 6});
  array = read_one(
      npy("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3, 2), }", "agciekbhdjfl"));
  CHECK(std::string(reinterpret_cast<const char*>(array.data.data()), 12) == "abcdefghijkl");
}

TEST_CASE("wrong arrays are refused with the reason", "[npz]") {
  std::string place = "a.npz: array `x`: error: ", data = text_of({1, 2});
  CHECK(npy_error("hello, world") == place + "is not an array in NumPy's format");
  CHECK(npy_error(npy("{}", "", 4)) ==
        place + "is in version 4.0 of NumPy's format, versions 1.0 to 3.0 are read");
  CHECK(npy_error(npy(">f4", "(2,)", data)) ==
        place + "its type `>f4` is big-endian, only little-endian is read");
  CHECK(npy_error(npy("<U5", "(2,)", data)) ==
        place +
            "its type `<U5` is not supported, only float16 to "
            "float64, int8 to int64, uint8 and bool are");
  CHECK(npy_error(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,)}", data)) ==
        place + "it holds records with named fields, which are not supported");
  CHECK(npy_error(npy("<f4", "(3,)", data)) ==
        place + "has 8 bytes of data, which is not what f32[3] has");
  CHECK(npy_error(npy("<f4", "(1,)", data)) ==
        place + "has 8 bytes of data, which is not what f32[1] has");
  CHECK(npy_error(npy("<f4", "(4611686018427387904, 4)", data)) ==
        place + "has 8 bytes of data, which is not what f32[4611686018427387904,4] has");
  CHECK(npy_error(npy("<f4", "(99999999999999999999,)", data)) ==
        place + "its header has a number beyond 64 bits");
  CHECK(npy_error(npy("<f4", "(-2,)", data)) ==
        place + "its header lacks a natural number in `shape`");
  CHECK(npy_error(npy("{'descr': '<f4'}", data)) ==
        place + "its header lacks one of descr, fortran_order and shape");
  CHECK(npy_error(npy("{'descr': '<f4', 'descr': '<f4'}", data)) ==
        place + "its header has an unknown or repeated key `descr`");
}

TEST_CASE("wrong archives are refused with the reason", "[npz]") {
  std::string x = npy("<f4", "(2,)", text_of({1, 2}));
  std::string place = "a.npz: error: not a zip archive, or a damaged one: ";
  CHECK(error_of("") == place + "it has no directory at its end");
  CHECK(error_of("PK") == place + "it has no directory at its end");
  CHECK(error_of(zip({{"x.npy", x}, {"x.npy", x}})) == place + "it lists `x.npy` twice");

  std::string damaged = zip({{"x.npy", x}});
  damaged[damaged.find("NUMPY")] = 'M';
  CHECK(error_of(damaged) == "a.npz: member `x.npy`: error: is damaged: its checksum is wrong");

  // The directory's fields: flags at 8, method at 10, the uncompressed size at 24.
  auto with = [&](size_t field, const std::string& value, bool deflate) {
    std::string file = zip({{"x.npy", x}}, {.deflate = deflate});
    return file.replace(file.find("PK\x01\x02") + field, value.size(), value);
  };
  CHECK(error_of(with(8, "\x01", false)) == "a.npz: member `x.npy`: error: is encrypted");
  CHECK(error_of(with(10, "\x0e", false)) ==
        "a.npz: member `x.npy`: error: is compressed by zip method 14");
  CHECK_THAT(error_of(with(24, "\xff\xff\xff\x7f", true)),
             Catch::Contains("cannot have 2147483647 bytes"));
  CHECK_THAT(error_of(with(24, "\x10", true)),
             Catch::Contains("it holds more data than its header says"));
  CHECK_THAT(error_of(with(24, "\xff", true)), Catch::Contains("its compressed data end after"));
  TemporaryDirectory directory;
  std::string missing = directory.file("none.npz"), folder = directory.file("");
  CHECK(user_error([&] { read_npz(missing); }) ==
        missing + ": error: cannot open: No such file or directory");
  CHECK(user_error([&] { read_npz(folder); }) ==
        folder + ": error: is a directory, a file is needed");
}

TEST_CASE("no damaged .npz file crashes", "[npz]") {
  TemporaryDirectory directory;
  std::string path = directory.file("a.npz");
  std::string x = npy("<f4", "(3, 2)", text_of({1, 2, 3, 4, 5, 6})), y = npy("<i4", "(1,)", "abcd");
  std::mt19937 random(2);
  for (bool deflate : {false, true}) {
    std::string whole = zip({{"x.npy", x}, {"y.npy", y}}, {.deflate = deflate, .zip64 = deflate});
    for (size_t length = 0; length < whole.size(); ++length) {
      write_text(path, std::string_view(whole).substr(0, length));
      REQUIRE(user_error([&] { read_npz(path); }) != "");
    }
    int refused = 0;
    for (int round = 0; round < 3000; ++round) {
      std::string changed = whole;
      for (unsigned flips = random() % 3 + 1; flips > 0; --flips)
        changed[random() % changed.size()] ^= static_cast<char>(1u << random() % 8);
      write_text(path, changed);
      std::vector<NamedArray> arrays;
      refused += user_error([&] { arrays = read_npz(path); }) != "";
      for (const NamedArray& array : arrays)
        REQUIRE(array.data.size() == static_cast<size_t>(array.type.bytes()));
    }
    CHECK(refused > 1000);
  }
}
