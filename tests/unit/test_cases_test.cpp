#include "tools/verify/test_cases.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "ir/diagnostic.h"

using namespace gradc;
namespace fs = std::filesystem;

namespace {

// A folder that is removed with what it holds.
struct Folder {
  fs::path path = fs::temp_directory_path() / fmt::format("gradc-cases-{}", getpid());
  Folder() { fs::create_directories(path); }
  ~Folder() { fs::remove_all(path); }

  void file(const std::string& name) const {
    fs::create_directories((path / name).parent_path());
    std::ofstream(path / name) << "x";
  }
};

std::string error_of(const std::string& folder) {
  try {
    find_test_cases({folder});
  } catch (const UserError& error) {
    return error.message();
  }
  return "no error";
}

}  // namespace

TEST_CASE("cases are found at any depth, sorted", "[verify]") {
  Folder folder;
  folder.file("b/model.onnx");
  folder.file("a/deep/c/model.onnx");
  folder.file("a/deep/c/test_data_set_1/input_0.pb");
  folder.file("a/deep/c/test_data_set_0/input_0.pb");
  folder.file("a/deep/c/test_data_set_0/input_1.pb");
  folder.file("a/deep/c/test_data_set_0/output_0.pb");
  folder.file("a/deep/c/test_data_set_0/input_3.pb");  // no input_2.pb before it
  folder.file("a/readme");
  std::vector<TestCase> cases = find_test_cases({folder.path});
  REQUIRE(cases.size() == 2);
  CHECK(cases[0].name == "c");
  CHECK(cases[1].name == "b");
  CHECK(cases[1].data_sets.empty());
  REQUIRE(cases[0].data_sets.size() == 2);
  CHECK(cases[0].model == folder.path / "a/deep/c/model.onnx");
  const DataSet& first = cases[0].data_sets[0];
  CHECK(fs::path(first.folder).filename() == "test_data_set_0");
  CHECK(first.inputs.size() == 2);
  CHECK(first.outputs ==
        std::vector<std::string>{folder.path / "a/deep/c/test_data_set_0/output_0.pb"});
  CHECK(cases[0].data_sets[1].outputs.empty());
}

TEST_CASE("a folder may be a case, and be given with a slash", "[verify]") {
  Folder folder;
  folder.file("one/model.onnx");
  std::vector<TestCase> cases = find_test_cases({folder.path / "one/", folder.path / "one"});
  REQUIRE(cases.size() == 2);
  CHECK(cases[0].name == "one");
  CHECK(cases[1].name == "one");
}

TEST_CASE("folders without cases are errors", "[verify]") {
  Folder folder;
  folder.file("empty/readme");
  CHECK(error_of(folder.path / "empty") == "holds no case");
  CHECK(error_of(folder.path / "absent") == "there is no such folder");
  CHECK(error_of(folder.path / "empty/readme") == "is not a folder");
}
