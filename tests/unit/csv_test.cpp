#include "tools/io/csv.h"

#include <catch2/catch.hpp>

#include "tests/support/data_files.h"
#include "tests/support/temporary_directory.h"
#include "tools/io/dataset.h"

using namespace gradc;
using namespace gradc_test;

namespace {

const std::vector<SampleInput> kTwoAndLabel = {{"x", {DType::f32, {2}}},
                                               {"label", {DType::i32, {}}}};

CsvTable table_of(const std::string& text) {
  return parse_csv(text, "t.csv");
}

std::string error_of(const std::string& text) {
  return user_error([&] { parse_csv(text, "t.csv"); });
}

template <typename T>
std::vector<T> all_of(const Split& split, size_t field, DType dtype) {
  const Field& from = split.fields[field];
  std::vector<int64_t> samples;
  for (int64_t i = 0; i < split.count; ++i)
    samples.push_back(i);
  std::vector<T> out(samples.size() * static_cast<size_t>(from.sample.elements()));
  from.copy(samples, dtype, std::as_writable_bytes(std::span(out)));
  return out;
}

}  // namespace

TEST_CASE("a table of numbers, with and without a header", "[csv]") {
  CsvTable plain = table_of("1,2.5\n-3e2,+4\n");
  CHECK(plain.names.empty());
  CHECK(plain.rows == 2);
  CHECK(plain.cells == std::vector<double>{1, 2.5, -300, 4});
  CsvTable headed = table_of("\xef\xbb\xbf\"a, \"\"b\"\"\";c\r\n 1 ;\"2\"\r\n\r\n3;4");
  CHECK(headed.names == std::vector<std::string>{"a, \"b\"", "c"});
  CHECK(headed.cells == std::vector<double>{1, 2, 3, 4});
  CHECK(headed.lines == std::vector<int64_t>{2, 4});
  CHECK(table_of("a\tb\n1\t2\n").columns == 2);
  CHECK(table_of("7\n8").cells == std::vector<double>{7, 8});
}

TEST_CASE("what is no table of numbers is an error at its place", "[csv]") {
  CHECK_THAT(
      error_of("a,species\n1,2\n3, setosa\n"),
      Catch::StartsWith("t.csv:3:4: error: `setosa` in column `species` is no finite number; "
                        "every cell must hold one"));
  CHECK_THAT(error_of("1,2\n3,\n"),
             Catch::StartsWith("t.csv:2:3: error: the cell of column 1 is empty"));
  CHECK_THAT(
      error_of("1,2\n3\n"),
      Catch::StartsWith("t.csv:2:1: error: the row ends after 1 cells, the first one has 2"));
  CHECK_THAT(error_of("1,2\n3,4,5\n"), Catch::Contains("ends after 3 cells"));
  CHECK_THAT(error_of("1,2\n3,nan\n"), Catch::Contains("t.csv:2:3: error: `nan`"));
  CHECK_THAT(error_of("1,2\n3,1e999\n"), Catch::Contains("t.csv:2:3: error: `1e999`"));
  CHECK_THAT(error_of("1,2\n3,\"4\n"),
             Catch::StartsWith("t.csv:2:3: error: the quote that begins here has no end"));
  CHECK_THAT(error_of("1,2\n3,\"4\"5\n"), Catch::Contains("behind a quoted cell"));
  CHECK_THAT(error_of(""), Catch::Contains("t.csv: error: is empty"));
  CHECK_THAT(error_of("a,b\n"), Catch::Contains("has a header and no rows"));
  CHECK_THAT(error_of("1\n" + std::string(100, 'x')), Catch::Contains("xxx..."));
}

TEST_CASE("the label is the last column, the one of the input's name, or the one named",
          "[csv][dataset]") {
  TemporaryDirectory directory;
  std::string path = directory.file("t.csv");
  write_text(path, "a,b,c\n1,2,3\n4,5,6\n");
  Dataset last = open_dataset(path, kTwoAndLabel);
  CHECK(last.train.count == 2);
  CHECK(all_of<float>(last.train, 0, DType::f32) == std::vector<float>{1, 2, 4, 5});
  CHECK(all_of<int32_t>(last.train, 1, DType::i32) == std::vector<int32_t>{3, 6});
  for (const char* label : {"b", "1", "-2"}) {
    Dataset named = open_dataset(path, kTwoAndLabel, {label, ""});
    CHECK(all_of<float>(named.train, 0, DType::f32) == std::vector<float>{1, 3, 4, 6});
    CHECK(all_of<int32_t>(named.train, 1, DType::i32) == std::vector<int32_t>{2, 5});
  }
  write_text(path, "label,b,c\n1,2,3\n4,5,6\n");
  CHECK(all_of<int32_t>(open_dataset(path, kTwoAndLabel).train, 1, DType::i32) ==
        std::vector<int32_t>{1, 4});
}

TEST_CASE("columns go to inputs by name, then in order", "[csv][dataset]") {
  TemporaryDirectory directory;
  std::string path = directory.file("t.tsv");
  write_text(path, "p\tage\tq\ty\n1\t2\t3\t4\n");
  std::vector<SampleInput> inputs = {
      {"x", {DType::f64, {2}}}, {"age", {DType::f32, {1}}}, {"t", {DType::f32, {1}}}};
  Dataset dataset = open_dataset(path, inputs);
  CHECK(all_of<double>(dataset.train, 0, DType::f64) == std::vector<double>{1, 3});
  CHECK(all_of<float>(dataset.train, 1, DType::f32) == std::vector<float>{2});
  CHECK(all_of<float>(dataset.train, 2, DType::f32) == std::vector<float>{4});
  // A model of one input takes all columns but a label that is named.
  std::vector<SampleInput> one = {{"x", {DType::f32, {3}}}};
  CHECK(all_of<float>(open_dataset(path, one, {"y", ""}).train, 0, DType::f32) ==
        std::vector<float>{1, 2, 3});
}

TEST_CASE("a table that does not fit the model says what it has", "[csv][dataset]") {
  TemporaryDirectory directory;
  std::string path = directory.file("t.csv");
  auto error = [&](const std::string& text, const DatasetOptions& options = {}) {
    write_text(path, text);
    try {
      open_dataset(path, kTwoAndLabel, options);
    } catch (const UserError& thrown) {
      return std::string(thrown.what());
    }
    return std::string();
  };
  CHECK_THAT(error("a,b,c,d\n1,2,3,4\n"),
             Catch::Contains("has 4 columns, the label being column `d`; of the model's inputs `x` "
                             "takes 2, `label` takes 1"));
  CHECK_THAT(error("1,2\n"), Catch::Contains("has 2 columns"));
  CHECK_THAT(
      error("a,b,c\n1,2,2.5\n"),
      Catch::Contains("t.csv:2: error: column `c` holds 2.5, the model takes whole numbers of "
                      "i32 there"));
  CHECK_THAT(error("a,b,c\n1,2,3e9\n"), Catch::Contains("does not fit into 32 bits"));
  CHECK_THAT(error("age,b,c\n1,2,3\n", {"aeg", ""}), Catch::Contains("did you mean `age`?"));
  CHECK_THAT(error("1,2,3\n", {"7", ""}), Catch::Contains("has 3 columns, 0 to 2"));
  CHECK_THAT(error("1,2,3\n", {"b", ""}), Catch::Contains("the file has no header"));
}

TEST_CASE("test data are opened like the training data", "[csv][dataset]") {
  TemporaryDirectory directory;
  write_text(directory.file("a.csv"), "1,2,0\n3,4,1\n");
  write_text(directory.file("b.csv"), "5,6,1\n");
  Dataset dataset =
      open_dataset(directory.file("a.csv"), kTwoAndLabel, {"", directory.file("b.csv")});
  CHECK(dataset.train.count == 2);
  CHECK(dataset.test.count == 1);
  CHECK(all_of<float>(dataset.test, 0, DType::f32) == std::vector<float>{5, 6});
}

TEST_CASE("arrays of .npy files, one per input", "[npy][dataset]") {
  TemporaryDirectory directory;
  std::string x = directory.file("x.npy"), y = directory.file("y.npy");
  write_text(x,
             npy("<f8", "(2, 2)",
                 little_endian(0x3ff0000000000000, 8) + little_endian(0x4000000000000000, 8) +
                     little_endian(0x4008000000000000, 8) + little_endian(0x4010000000000000, 8)));
  write_text(y, npy("<i8", "(2,)", little_endian(7, 8) + little_endian(9, 8)));
  for (const std::string& spec : {x + "," + y, directory.file("")}) {
    Dataset dataset = open_dataset(spec, kTwoAndLabel);
    CHECK(dataset.train.count == 2);
    CHECK(all_of<float>(dataset.train, 0, DType::f32) == std::vector<float>{1, 2, 3, 4});
    CHECK(all_of<int32_t>(dataset.train, 1, DType::i32) == std::vector<int32_t>{7, 9});
  }
  write_text(y, npy("|u1", "(3,)", "abc"));
  CHECK_THAT(user_error([&] { open_dataset(x + "," + y, kTwoAndLabel); }),
             Catch::Contains("`y` has 3 samples, `x` has 2"));
  write_text(x, npy("{'descr': '|u1', 'fortran_order': True, 'shape': (3, 2), }\n",
                    std::string("\0\1\2\377\4\5", 6)));
  Dataset bytes = open_dataset(x + "," + y, kTwoAndLabel);  // column-major; pixels
  CHECK(all_of<float>(bytes.train, 0, DType::f32) ==
        std::vector<float>{0, 1, 1 / 255.0f, 4 / 255.0f, 2 / 255.0f, 5 / 255.0f});
  CHECK_THAT(user_error([&] { open_dataset(x + ",z.csv", kTwoAndLabel); }),
             Catch::Contains("z.csv: error: is no .npy file"));
  CHECK_THAT(user_error([&] { open_dataset(directory.file("none.npy"), kTwoAndLabel); }),
             Catch::Contains("none.npy: error: cannot be opened: No such file"));
}
