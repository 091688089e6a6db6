#pragma once
// The shipped examples, for tests that hold of all of them. A source file that includes this needs
// GRADC_SOURCE_DIR (tests/CMakeLists.txt).
#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "compiler/compile.h"

namespace gradc::test {

// "deep_mlp", "gpt", ...: whatever lies in examples/.
inline std::vector<std::string> example_names() {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(GRADC_SOURCE_DIR "/examples"))
    if (file.path().extension() == ".model")
      names.push_back(file.path().stem());
  std::sort(names.begin(), names.end());
  return names;
}

inline std::string example_path(const std::string& name) {
  return GRADC_SOURCE_DIR "/examples/" + name + ".model";
}

// Sizes with which a model has all of its parts, and takes little time.
inline std::map<std::string, int64_t> small_sizes(const std::string& name) {
  static const std::map<std::string, std::map<std::string, int64_t>> kSizes = {
      {"deep_mlp", {{"layers", 3}, {"width", 64}}},
      {"gpt", {{"layers", 1}, {"context", 16}, {"width", 32}}},
      {"lstm", {{"hidden", 32}}},
      {"resnet18", {{"blocks", 1}}},
      {"resnet20", {{"blocks", 1}}},
      {"revnet", {{"blocks", 1}, {"channels", 16}}},
      {"unet", {{"channels", 8}}},
      {"vanishing", {{"layers", 3}, {"width", 32}}},
  };
  auto found = kSizes.find(name);
  std::map<std::string, int64_t> sizes;
  if (found != kSizes.end())
    sizes = found->second;
  sizes["batch"] = 4;
  return sizes;
}

inline Module load_example(const std::string& name, const Options& options) {
  return load_model(example_path(name), options);
}

}  // namespace gradc::test
