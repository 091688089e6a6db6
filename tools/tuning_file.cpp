#include "tools/tuning_file.h"

#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "compiler/codegen/code_cache.h"
#include "compiler/lower/contract_choices.h"
#include "ir/diagnostic.h"

namespace gradc {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;
constexpr const char* kHelp = "remove it, and measure anew with `gradc bench MODEL --tune`";

[[noreturn]] void bad(const std::string& path, const std::string& message) {
  throw UserError(path, message).with_help(kHelp);
}

std::string text_at(const Json& kernel, const char* key, const std::string& path) {
  auto found = kernel.find(key);
  if (found == kernel.end() || !found->is_string())
    bad(path, fmt::format("a tuned kernel has no text `{}`", key));
  return found->get<std::string>();
}

TunedKernel tuned_kernel(const Json& json, const std::string& path) {
  if (!json.is_object())
    bad(path, "a tuned kernel is no object");
  TunedKernel kernel{text_at(json, "key", path), text_at(json, "what", path),
                     text_at(json, "schedule", path)};
  if (!find_contract_choice(kernel.choice))
    bad(path, fmt::format("there is no schedule `{}`", kernel.choice));
  auto gain = json.find("gain");
  if (gain == json.end() || !gain->is_number())
    bad(path, "a tuned kernel has no number `gain`");
  kernel.gain = gain->get<double>();
  return kernel;
}

TuningFile parse(const std::string& text, const std::string& path) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object() || !json.contains("gradc_tuning"))
    bad(path, "it is not what `gradc bench --tune` writes");
  if (json["gradc_tuning"] != kVersion)
    bad(path, fmt::format("it has version {}, expected {}", json["gradc_tuning"].dump(), kVersion));
  if (!json.contains("cpus") || !json["cpus"].is_object())
    bad(path, "there is no object `cpus`");
  TuningFile file;
  for (const auto& [cpu, kernels] : json["cpus"].items()) {
    if (!kernels.is_array())
      bad(path, fmt::format("the kernels of `{}` are no list", cpu));
    for (const Json& kernel : kernels)
      file.cpus[cpu].push_back(tuned_kernel(kernel, path));
  }
  return file;
}

}  // namespace

std::string tuning_cpu(const Target& target) {
  return fmt::format("{}, vectors of {} bytes, caches of {} and {} KiB", target.cpu,
                     target.vector_bytes, target.l1_bytes >> 10, target.l2_bytes >> 10);
}

TuningFile read_tuning(const std::string& path, bool may_lack) {
  std::error_code ignored;
  if (may_lack && !std::filesystem::exists(path, ignored))
    return {};
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (!in || !(text << in.rdbuf()))
    throw UserError(path, "cannot be read").with_help("`gradc bench MODEL --tune` makes it");
  return parse(text.str(), path);
}

std::string tuning_text(const TuningFile& file) {
  Json cpus = Json::object();
  for (const auto& [cpu, kernels] : file.cpus) {
    Json list = Json::array();
    for (const TunedKernel& kernel : kernels)
      list.push_back({{"key", kernel.key},
                      {"what", kernel.what},
                      {"schedule", kernel.choice},
                      {"gain", kernel.gain}});
    cpus[cpu] = std::move(list);
  }
  return Json{{"gradc_tuning", kVersion}, {"cpus", cpus}}.dump(2) + "\n";
}

std::string default_tuning_file() {
  std::string folder = user_folder("XDG_DATA_HOME", ".local/share");
  return folder.empty() ? "" : folder + "/tuning.json";
}

}  // namespace gradc
