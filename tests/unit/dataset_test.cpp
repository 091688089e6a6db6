#include "tools/io/dataset.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/data_files.h"
#include "tests/support/temporary_directory.h"

using namespace gradc;
using namespace gradc_test;

namespace {

const std::vector<SampleInput> kImageAndLabel = {{"image", {DType::f32, {1, 2, 2}}},
                                                 {"label", {DType::i32, {}}}};

template <typename T>
std::vector<T> copied(const Field& field, std::vector<int64_t> samples, DType dtype) {
  std::vector<T> out(samples.size() * static_cast<size_t>(field.sample.elements()));
  field.copy(samples, dtype, std::as_writable_bytes(std::span(out)));
  return out;
}

void write_mnist(const TemporaryDirectory& directory) {
  write_text(directory.file("train-images-idx3-ubyte.gz"),
             gzip(idx(8, {3, 2, 2}, std::string("\0\1\2\3\4\5\6\7\xff\xff\0\0", 12))));
  write_text(directory.file("train-labels-idx1-ubyte"), idx(8, {3}, std::string("\5\0\11", 3)));
  write_text(directory.file("t10k-images-idx3-ubyte"), idx(8, {1, 2, 2}, "abcd"));
  write_text(directory.file("t10k-labels-idx1-ubyte.gz"), gzip(idx(8, {1}, "\1")));
}

std::string open_error(const std::string& spec, std::span<const SampleInput> inputs) {
  return user_error([&] { open_dataset(spec, inputs); });
}

}  // namespace

TEST_CASE("a directory like MNIST's gives images in [0, 1] and labels", "[dataset]") {
  TemporaryDirectory directory;
  write_mnist(directory);
  Dataset dataset = open_dataset(directory.file(""), kImageAndLabel);
  CHECK(dataset.train.count == 3);
  CHECK(dataset.test.count == 1);
  REQUIRE(dataset.train.fields.size() == 2);
  CHECK(dataset.train.fields[0].sample == Type{DType::u8, {2, 2}});
  CHECK(copied<float>(dataset.train.fields[0], {2, 0}, DType::f32) ==
        std::vector<float>{1, 1, 0, 0, 0, 1 / 255.0f, 2 / 255.0f, 3 / 255.0f});
  CHECK(copied<int32_t>(dataset.train.fields[1], {2, 1, 0}, DType::i32) == std::vector{9, 0, 5});
  CHECK(copied<uint8_t>(dataset.test.fields[0], {0}, DType::u8) ==
        std::vector<uint8_t>{97, 98, 99, 100});
}

TEST_CASE("Fashion-MNIST is found where Debian puts it", "[dataset]") {
  std::vector<SampleInput> inputs = {{"x", {DType::f32, {784}}}, {"t", {DType::i64, {1}}}};
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist")) {
    CHECK_THAT(open_error("fashion-mnist", inputs),
               Catch::Contains("apt-get install dataset-fashion-mnist"));
    return;
  }
  Dataset dataset = open_dataset("fashion-mnist", inputs);
  CHECK(dataset.train.count == 60000);
  CHECK(dataset.test.count == 10000);
  std::vector<int64_t> labels =
      copied<int64_t>(dataset.train.fields[1], {0, 1, 2, 59999}, DType::i64);
  CHECK(labels == std::vector<int64_t>{9, 0, 0, 5});
}

TEST_CASE("an .npz gives splits by the ends of names", "[dataset]") {
  TemporaryDirectory directory;
  std::string path = directory.file("d.npz");
  std::string pixels = npy("|u1", "(2, 4)", std::string("\0\1\2\3\xff\5\6\7", 8));
  std::string labels = npy("<i8", "(2,)", little_endian(3, 8) + little_endian(4, 8));
  std::string test_pixels = npy("|u1", "(1, 2, 2)", "abcd"),
              test_labels = npy("<i8", "(1,)", little_endian(8, 8));
  using Members = std::vector<std::pair<std::string, std::string>>;
  // As Keras orders its file, with prefixes, and with the test arrays the other way round.
  for (const Members& members : {Members{{"x_test.npy", test_pixels},
                                         {"x_train.npy", pixels},
                                         {"y_train.npy", labels},
                                         {"y_test.npy", test_labels}},
                                 Members{{"train_a.npy", pixels},
                                         {"train_b.npy", labels},
                                         {"test_b.npy", test_labels},
                                         {"test_a.npy", test_pixels}},
                                 Members{{"label.npy", labels},
                                         {"image.npy", pixels},
                                         {"label_test.npy", test_labels},
                                         {"image_test.npy", test_pixels}}}) {
    write_text(path, zip(members));
    Dataset dataset = open_dataset(path, kImageAndLabel);
    CHECK(dataset.train.count == 2);
    CHECK(dataset.test.count == 1);
    CHECK(copied<float>(dataset.train.fields[0], {1}, DType::f32)[0] == 1);
    CHECK(copied<int32_t>(dataset.train.fields[1], {0, 1}, DType::i32) == std::vector{3, 4});
    CHECK(copied<int32_t>(dataset.test.fields[1], {0}, DType::i32) == std::vector{8});
  }
  write_text(path, zip({{"x.npy", pixels}, {"y.npy", labels}, {"weight.npy", labels}}));
  Dataset unsplit = open_dataset(path, kImageAndLabel);
  CHECK(unsplit.train.count == 2);
  CHECK(unsplit.train.fields.size() == 2);
  CHECK(unsplit.test.count == 0);
}

TEST_CASE("text gives windows, each byte once an epoch, and the bytes that follow", "[dataset]") {
  TemporaryDirectory directory;
  std::string path = directory.file("t.txt");
  std::string text;
  for (int i = 0; i < 100; ++i)
    text += static_cast<char>(i);
  write_text(path, text);
  std::vector<SampleInput> all = {{"text", {DType::i32, {4}}}, {"target", {DType::i32, {4}}}};
  Dataset dataset = open_dataset(path, all);
  CHECK(dataset.train.count == 22);  // targets 1 .. 88 of 0 .. 89
  CHECK(dataset.test.count == 2);  // targets 91 .. 98 of 90 .. 99
  CHECK(copied<int32_t>(dataset.train.fields[0], {0, 21}, DType::i32) ==
        std::vector{0, 1, 2, 3, 84, 85, 86, 87});
  CHECK(copied<int32_t>(dataset.train.fields[1], {0, 21}, DType::i32) ==
        std::vector{1, 2, 3, 4, 85, 86, 87, 88});
  CHECK(copied<int32_t>(dataset.test.fields[1], {1}, DType::i32) == std::vector{95, 96, 97, 98});

  std::vector<SampleInput> last = {{"text", {DType::i32, {4}}}, {"target", {DType::i64, {}}}};
  dataset = open_dataset(path, last);
  CHECK(copied<int64_t>(dataset.train.fields[1], {0, 21}, DType::i64) ==
        std::vector<int64_t>{4, 88});

  std::vector<SampleInput> wide = {{"text", {DType::i32, {90}}}};
  CHECK(open_error(path, wide) == path + ": error: has 100 bytes, too few for windows of 90");
  std::vector<SampleInput> odd = {{"text", {DType::i32, {4}}}, {"target", {DType::i32, {3}}}};
  CHECK(open_error(path, odd) ==
        path +
            ": error: a sample of `next` is u8[4] (4 elements), input `target` "
            "takes i32[3] (3 elements)");
  CHECK(open_error(path, {}) ==
        path +
            ": error: text gives a window of bytes and the bytes that follow, the "
            "model takes 0 inputs");
}

TEST_CASE("data that do not fit the model are refused with both shapes", "[dataset]") {
  TemporaryDirectory directory;
  std::string path = directory.file("d.npz");
  std::string x = npy("|u1", "(2, 4)", "abcdefgh"), y = npy("<f4", "(2,)", "abcdefgh");
  auto error_of = [&](const std::string& file) {
    write_text(path, file);
    std::string text = open_error(path, kImageAndLabel);
    REQUIRE(text.starts_with(path + ": error: "));
    return text.substr(path.size() + 9);
  };
  CHECK(error_of(zip({{"x.npy", x}, {"y.npy", y}})) == "`y` holds f32, input `label` takes i32");
  CHECK(error_of(zip({{"x.npy", y}, {"y.npy", x}})) ==
        "a sample of `x` is f32[] (1 elements), input `image` takes f32[1,2,2] (4 elements)");
  CHECK(error_of(zip({{"x.npy", x}})) == "has 1 fields, the model takes 2");
  CHECK(error_of(zip({{"x.npy", x}, {"y.npy", npy("|u1", "(3,)", "abc")}})) ==
        "`y` has 3 samples, `x` has 2");
  CHECK(error_of(zip({{"x.npy", x}, {"y.npy", npy("|u1", "()", "a")}})) ==
        "`y` is a single number, not one value per sample");
  CHECK(error_of(zip({{"x.npy", npy("|u1", "(0, 4)", "")}, {"y.npy", npy("|u1", "(0,)", "")}})) ==
        "has no samples to train on");
  CHECK(error_of(zip({})) == "has no samples to train on");
  std::string bytes = npy("|u1", "(2,)", "ab");
  CHECK(error_of(zip({{"x.npy", x}, {"y.npy", bytes}, {"x_test.npy", x}})) ==
        "its test split lacks `y`");

  std::string large = npy("<i8", "(2,)", little_endian(3, 8) + little_endian(1ull << 40, 8));
  write_text(path, zip({{"x.npy", x}, {"y.npy", large}}));
  Dataset dataset = open_dataset(path, kImageAndLabel);
  CHECK(user_error([&] { copied<int32_t>(dataset.train.fields[1], {0, 1}, DType::i32); }) ==
        path + ": error: sample 1 of `y`: 1099511627776 does not fit into 32 bits");
}

TEST_CASE("what is no data set is refused with what would be one", "[dataset]") {
  TemporaryDirectory directory;
  CHECK(open_error("fashion-mnits", kImageAndLabel) ==
        "fashion-mnits: error: is not a data set\nhelp: did you mean `fashion-mnist`?");
  CHECK(open_error("data.xls", kImageAndLabel) ==
        "data.xls: error: is not a data set\nhelp: a data set is `fashion-mnist`, a directory with "
        "MNIST's IDX files or with .npy files, an .npz, .csv, .tsv or .txt file, or a list of .npy "
        "files: x.npy,y.npy");
  CHECK_THAT(
      open_error(directory.file(""), kImageAndLabel),
      Catch::Contains("has neither `train-images-idx3-ubyte` nor `train-images-idx3-ubyte.gz`"));
  CHECK_THAT(open_error(directory.file("none.txt"), kImageAndLabel),
             Catch::Contains("cannot open"));
  CHECK_THAT(open_error(directory.file("none.npz"), kImageAndLabel),
             Catch::Contains("cannot open"));
}
