#include "tools/verify/test_cases.h"

#include <algorithm>
#include <filesystem>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

namespace fs = std::filesystem;

constexpr int kDeepest = 16;  // folders in folders
constexpr const char* kModel = "model.onnx";

std::vector<fs::path> sorted_folders(const fs::path& folder) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->is_directory())
      folders.push_back(entry->path());
  if (error)
    throw UserError(folder, fmt::format("cannot be read: {}", error.message()));
  std::sort(folders.begin(), folders.end());
  return folders;
}

// <stem>0.pb, <stem>1.pb, ... as far as they go.
std::vector<std::string> numbered_files(const fs::path& folder, const std::string& stem) {
  std::vector<std::string> files;
  for (size_t i = 0; fs::exists(folder / fmt::format("{}{}.pb", stem, i)); ++i)
    files.push_back(folder / fmt::format("{}{}.pb", stem, i));
  return files;
}

TestCase read_case(const fs::path& folder) {
  TestCase result{folder.filename(), folder / kModel, {}};
  if (result.name.empty())  // `case/`
    result.name = folder.parent_path().filename();
  for (const fs::path& inner : sorted_folders(folder))
    if (inner.filename().string().starts_with("test_data_set_"))
      result.data_sets.push_back(
          {inner, numbered_files(inner, "input_"), numbered_files(inner, "output_")});
  return result;
}

void collect(const fs::path& folder, int depth, std::vector<TestCase>& cases) {
  if (fs::exists(folder / kModel)) {
    cases.push_back(read_case(folder));
    return;
  }
  if (depth == kDeepest)
    throw UserError(folder, fmt::format("lies more than {} folders deep", kDeepest));
  for (const fs::path& inner : sorted_folders(folder))
    collect(inner, depth + 1, cases);
}

}  // namespace

std::vector<TestCase> find_test_cases(const std::vector<std::string>& folders) {
  std::vector<TestCase> cases;
  for (const std::string& folder : folders) {
    size_t before = cases.size();
    if (!fs::exists(folder))
      throw UserError(folder, "there is no such folder");
    if (!fs::is_directory(folder))
      throw UserError(folder, "is not a folder")
          .with_help("a case is a folder with model.onnx and test_data_set_0/input_0.pb, ...");
    collect(folder, 0, cases);
    if (cases.size() == before)
      throw UserError(folder, "holds no case")
          .with_help("a case is a folder with model.onnx and test_data_set_0/input_0.pb, ...");
  }
  return cases;
}

}  // namespace gradc
