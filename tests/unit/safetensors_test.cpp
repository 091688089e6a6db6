#include "runtime/safetensors.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/support/temporary_directory.h"

using namespace gradc;
using gradc_test::read_text;
using gradc_test::TemporaryDirectory;

namespace {

// A file in memory: its header's text, then `data` bytes of data.
std::string file_bytes(const std::string& header, size_t data) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<char>(header.size() >> (8 * i));
  return bytes + header + std::string(data, 'd');
}

SafetensorsFile parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)), "f");
}

std::string error(const std::string& header, size_t data) {
  std::string bytes = file_bytes(header, data);
  SafetensorsFile file = parse(bytes);
  CHECK(file.tensors.empty());
  CHECK(file.metadata.empty());
  CHECK(file.status.code == GRADC_BAD_FILE);
  return file.status.text();
}

std::string one_tensor(const std::string& fields) {
  return "{\"a\":{" + fields + "}}";
}

template <typename T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace

TEST_CASE("tensors and metadata survive a file, each aligned to its element", "[safetensors]") {
  TemporaryDirectory directory;
  std::string path = directory.file("w.safetensors");
  std::vector<uint8_t> flags = {1, 0, 1};
  std::vector<float> weights = {1.5f, -2, 3, 4, 5, 6};
  std::vector<int64_t> steps = {1234567890123};
  std::vector<TensorView> tensors = {
      {"flags", GRADC_BOOL, {3}, bytes_of(flags)},
      {"layer \"1\"\\w\n\x01 \xc3\xa9", GRADC_F32, {2, 3}, bytes_of(weights)},
      {"empty", GRADC_BF16, {4, 0}, {}},
      {"steps", GRADC_I64, {}, bytes_of(steps)}};
  std::map<std::string, std::string> metadata = {{"format", "gradc"}, {"note", "a\t\"b\""}};
  REQUIRE(write_safetensors(path, tensors, metadata).ok());

  SafetensorsFile file = read_safetensors(path);
  REQUIRE(file.status.ok());
  CHECK(file.metadata == metadata);
  CHECK(file.tensors.size() == 4);
  for (const TensorView& tensor : tensors) {
    INFO(tensor.name);
    const TensorView* read = file.find(tensor.name);
    REQUIRE(read);
    CHECK(read->dtype == tensor.dtype);
    CHECK(read->dims == tensor.dims);
    CHECK(std::string(shape_text(read->dtype, read->dims)) ==
          shape_text(tensor.dtype, tensor.dims));
    REQUIRE(read->bytes.size() == tensor.bytes.size());
    CHECK(std::equal(read->bytes.begin(), read->bytes.end(), tensor.bytes.begin()));
    CHECK((read->bytes.data() - file.file.data.get()) %
              static_cast<ptrdiff_t>(dtype_bytes(read->dtype)) ==
          0);
  }
  CHECK(file.find("missing") == nullptr);
}

TEST_CASE("a file with every freedom of the format is read", "[safetensors]") {
  std::string bytes = file_bytes(
      " { \"b\" : { \"shape\" : [ 2 , 1 ] , \"data_offsets\" : [ 4 , 8 ] , \"dtype\" : \"F16\" } "
      ",\n"
      "\t\"\\u0061\\/"
      "\\u00e9\\ud83d\\ude00\":{\"dtype\":\"I32\",\"shape\":[],\"data_offsets\":[0,4]},"
      "\"__metadata__\":{}} ",
      8);
  SafetensorsFile file = parse(bytes);
  REQUIRE(file.status.ok());
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.tensors[0].name == "a/\xc3\xa9\xf0\x9f\x98\x80");
  CHECK(file.tensors[1].dims == std::vector<int64_t>{2, 1});
  CHECK(parse(file_bytes("{}", 0)).status.ok());
}

TEST_CASE("damaged headers are refused with the reason", "[safetensors]") {
  CHECK(parse("").status.text() == "f: has 0 bytes, too few for a safetensors file");
  CHECK(parse(std::string(8, '\xff')).status.code == GRADC_BAD_FILE);
  CHECK(
      parse(std::string("\x03\0\0\0\0\0\0\0{}", 10)).status.text() ==
      "f: is not a safetensors file, or cut short: its header should have 3 bytes, 2 follow and at "
      "most 100000000 are read");
  CHECK(error("", 0) == "f: is damaged: its header lacks a `{` (at byte 0 of the header)");
  CHECK(error("{} x", 0) ==
        "f: is damaged: its header has text after its end (at byte 3 of the header)");
  CHECK(error("{\"a", 0) == "f: is damaged: its header lacks a `\"` (at byte 3 of the header)");
  CHECK(error("{\"a\":1}", 0) == "f: is damaged: its header lacks a `{` (at byte 5 of the header)");

  std::string f32 = "\"dtype\":\"F32\",", at4 = "\"data_offsets\":[0,4]", one = "\"shape\":[1],";
  struct Case {
    std::string header, reason;
  };
  const Case cases[] = {
      {one_tensor(f32 + at4), "lacks dtype, shape or two data_offsets of tensor `a`"},
      {one_tensor(f32 + one + "\"data_offsets\":[0]"),
       "lacks dtype, shape or two data_offsets of tensor `a`"},
      {one_tensor(f32 + one + "\"data_offsets\":[0,4,4]"), "has a list of more than 2 numbers"},
      {one_tensor(f32 + f32 + one + at4), "has an unknown or repeated key `dtype` in tensor `a`"},
      {one_tensor(f32 + one + at4 + ",\"x\":1"),
       "has an unknown or repeated key `x` in tensor `a`"},
      {one_tensor("\"dtype\":\"F33\"," + one + at4),
       "has a dtype that is not supported, `F33`, of tensor `a`"},
      {one_tensor(f32 + "\"shape\":[2]," + at4), "gives F32[2] tensor `a` the bytes [0, 4)"},
      {one_tensor(f32 + "\"shape\":[-1]," + at4), "lacks a natural number"},
      {one_tensor(f32 + "\"shape\":[1.0]," + at4), "lacks a `]`"},
      {one_tensor(f32 + "\"shape\":[9223372036854775808]," + at4), "has a number beyond 64 bits"},
      {one_tensor(f32 + "\"shape\":[4611686018427387904,4]," + at4),
       "gives F32[4611686018427387904,4]"},
      {one_tensor(f32 + one + "\"data_offsets\":[1,5]"),
       "puts tensor `a` at bytes [1, 5) of 4 bytes of data"},
      {one_tensor(f32 + one + "\"data_offsets\":[4,0]"),
       "puts tensor `a` at bytes [4, 0) of 4 bytes of data"},
      {"{\"__metadata__\":{\"k\":1}}", "lacks a `\"`"},
      {"{\"__metadata__\":{\"k\":\"v\",\"k\":\"v\"}}", "repeats metadata `k`"},
      {"{\"__metadata__\":{},\"__metadata__\":{}}", "repeats its metadata"},
      {"{\"\\x\":", "has an unknown escape in a string"},
      {"{\"\\u12g4\":", "has a wrong \\u escape"},
      {"{\"\\udc00\":", "has a wrong \\u escape"},
      {"{\"\\ud800\\u0041\":", "has half of a surrogate pair"},
      {"{\"\n\":", "has a control character in a string"},
  };
  for (const Case& bad : cases) {
    INFO(bad.header);
    CHECK_THAT(error(bad.header, 4), Catch::Contains("its header " + bad.reason));
  }
}

TEST_CASE("data that overlap, leave holes or belong to nobody are refused", "[safetensors]") {
  auto two = [](const std::string& a, const std::string& b, const std::string& name = "b") {
    return "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" + a + "},\"" + name +
           "\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":" + b + "}}";
  };
  CHECK(parse(file_bytes(two("[4,8]", "[0,4]"), 8)).status.ok());
  CHECK(error(two("[0,4]", "[2,6]"), 6) ==
        "f: is damaged: tensor `b` overlaps the one before it or leaves a hole");
  CHECK(error(two("[0,4]", "[5,9]"), 9) ==
        "f: is damaged: tensor `b` overlaps the one before it or leaves a hole");
  CHECK(error(two("[0,4]", "[0,4]"), 4) ==
        "f: is damaged: tensor `b` overlaps the one before it or leaves a hole");
  CHECK(error(two("[0,4]", "[4,8]"), 9) ==
        "f: is damaged: holds 1 bytes of data that belong to no tensor");
  CHECK(error(two("[0,4]", "[4,8]", "a"), 8) == "f: is damaged: it holds tensor `a` twice");
}

TEST_CASE("no damaged file is read as something else or crashes", "[safetensors]") {
  TemporaryDirectory directory;
  std::string path = directory.file("w");
  std::vector<float> values = {1, 2, 3, 4};
  std::vector<TensorView> tensors = {{"w", GRADC_F32, {2, 2}, bytes_of(values)},
                                     {"v", GRADC_F32, {0}, {}}};
  REQUIRE(write_safetensors(path, tensors, {{"k", "\x01"}}).ok());
  const std::string whole = read_text(path);
  for (size_t length = 0; length < whole.size(); ++length) {
    std::string cut = whole.substr(0, length);
    REQUIRE_FALSE(parse(cut).status.ok());
  }
  // A changed byte may still make a valid file; then its tensors lie inside of it and fit their
  // shapes.
  std::mt19937 random(1);
  int accepted = 0, refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string changed = whole;
    for (unsigned flips = random() % 3 + 1; flips > 0; --flips)
      changed[random() % changed.size()] ^= static_cast<char>(1u << random() % 8);
    SafetensorsFile file = parse(changed);
    ++(file.status.ok() ? accepted : refused);
    for (const TensorView& tensor : file.tensors) {
      REQUIRE(tensor_bytes(tensor.dtype, tensor.dims) == static_cast<int64_t>(tensor.bytes.size()));
      const char* begin = reinterpret_cast<const char*>(tensor.bytes.data());
      REQUIRE(begin >= changed.data());
      REQUIRE(begin + tensor.bytes.size() <= changed.data() + changed.size());
    }
  }
  CHECK(accepted > 0);
  CHECK(refused > 10000);
}

TEST_CASE("sizes of shapes", "[safetensors]") {
  auto bytes = [](gradc_dtype dtype, std::vector<int64_t> dims) {
    return tensor_bytes(dtype, dims);
  };
  CHECK(bytes(GRADC_F64, {}) == 8);
  CHECK(bytes(GRADC_F16, {3, 5}) == 30);
  CHECK(bytes(GRADC_F32, {0, INT64_MAX}) == -1);
  CHECK(bytes(GRADC_I8, {0, INT64_MAX}) == 0);
  CHECK(bytes(GRADC_I8, {-1}) == -1);
  CHECK(safetensors_dtype("BF16") == GRADC_BF16);
  CHECK_FALSE(safetensors_dtype("bf16").has_value());
}
