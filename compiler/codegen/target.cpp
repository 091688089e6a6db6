#include "compiler/codegen/target.h"

#include <llvm/TargetParser/AArch64TargetParser.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>
#include <llvm/TargetParser/X86TargetParser.h>

#include <algorithm>
#include <set>
#include <vector>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

using Features = std::set<std::string>;

// Of Arm's features those that a kernel gains from. Code for a processor asks for no others, so it
// runs on all that have these.
constexpr std::string_view kArmFeatures[] = {"fp-armv8", "neon",    "rdm",  "fullfp16",
                                             "fp16fml",  "dotprod", "bf16", "i8mm"};

constexpr std::string_view kSomeCpus =
    "native, x86-64-v2, x86-64-v3, x86-64-v4, haswell, skylake, skylake-avx512, icelake-server, "
    "sapphirerapids, znver2, znver3, znver4, cortex-a53, cortex-a72, cortex-a76, neoverse-n1, "
    "neoverse-v1, neoverse-v2, apple-m1";

// Of one core. The same CPU name gives the same schedules on every machine, so nothing is measured.
struct CacheSizes {
  std::string_view cpu;
  int64_t l1_kib, l2_kib;
};
constexpr CacheSizes kCacheSizes[] = {
    {"x86-64-v4", 32, 1024},      {"skylake-avx512", 32, 1024}, {"cascadelake", 32, 1024},
    {"icelake-server", 48, 1280}, {"sapphirerapids", 48, 2048}, {"emeraldrapids", 48, 2048},
    {"graniterapids", 48, 2048},  {"znver4", 32, 1024},         {"znver5", 48, 1024},
};

const CacheSizes* cache_sizes_of(std::string_view cpu) {
  const auto* found = std::find_if(std::begin(kCacheSizes), std::end(kCacheSizes),
                                   [&](const CacheSizes& sizes) { return sizes.cpu == cpu; });
  return found == std::end(kCacheSizes) ? nullptr : found;
}

llvm::Triple host_triple() {
  return llvm::Triple(llvm::sys::getDefaultTargetTriple());
}

Features enabled(const llvm::StringMap<bool>& features) {
  Features names;
  for (const auto& feature : features)
    if (feature.second)
      names.insert(feature.first().str());
  return names;
}

std::vector<std::string> strings(const llvm::SmallVector<llvm::StringRef>& names) {
  std::vector<std::string> result;
  for (llvm::StringRef name : names)
    if (name != "generic")
      result.push_back(name.str());
  return result;
}

// With the features that others imply.
Features x86_features(const std::string& cpu) {
  llvm::SmallVector<llvm::StringRef> named;
  llvm::X86::getFeaturesForCPU(cpu, named);
  llvm::StringMap<bool> features;
  for (llvm::StringRef name : named) {
    features[name] = true;
    llvm::X86::updateImpliedFeatures(name, true, features);
  }
  return enabled(features);
}

Features arm_features(const std::string& cpu) {
  Features features;
  if (std::optional<llvm::AArch64::CpuInfo> info = llvm::AArch64::parseCpu(cpu)) {
    std::vector<llvm::StringRef> named;  // +neon, ...
    llvm::AArch64::getExtensionFeatures(info->getImpliedExtensions(), named);
    for (llvm::StringRef name : named)
      features.insert(name.drop_front().str());
  }
  return features;
}

Features kernels_use(const Features& features) {
  Features used;
  for (std::string_view name : kArmFeatures)
    if (features.contains(std::string(name)))
      used.emplace(name);
  return used;
}

std::vector<std::string> x86_cpus() {
  llvm::SmallVector<llvm::StringRef> names;
  llvm::X86::fillValidCPUArchList(names, true);
  return strings(names);
}

std::vector<std::string> arm_cpus() {
  llvm::SmallVector<llvm::StringRef> names;
  llvm::AArch64::fillValidCPUArchList(names);
  return strings(names);
}

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

UserError command_line_error(const std::string& message) {
  return {"", message, Fault::command_line};
}

[[noreturn]] void fail_unknown(const std::string& cpu) {
  std::vector<std::string> names = x86_cpus(), arm = arm_cpus();
  names.insert(names.end(), arm.begin(), arm.end());
  names.push_back("native");
  UserError error =
      command_line_error(fmt::format("unknown CPU `{}`", cpu))
          .with_note(fmt::format("known are {}, and others that LLVM has", kSomeCpus));
  std::string nearest = nearest_name(cpu, names);
  throw nearest.empty() ? error.with_help("x86-64-v3 runs on most machines, `native` is this one")
                        : error.with_help(fmt::format("did you mean `{}`?", nearest));
}

Features features_of(const std::string& cpu) {
  if (cpu == "native") {
    Features features = enabled(llvm::sys::getHostCPUFeatures());
    return host_triple().isX86() ? features : kernels_use(features);
  }
  if (has(arm_cpus(), cpu))
    return kernels_use(arm_features(cpu));
  if (!has(x86_cpus(), cpu))
    fail_unknown(cpu);
  Features features = x86_features(cpu);
  if (!features.contains("sse4.1"))
    throw command_line_error(fmt::format("`{}` has no SSE4.1, which code needs at least", cpu))
        .with_help("x86-64-v2 is the least that is supported");
  return features;
}

}  // namespace

Target target_for(const std::string& cpu) {
  Features features = features_of(cpu);
  Target target;
  target.cpu = cpu == "native" ? llvm::sys::getHostCPUName().str() : cpu;
  // Virtual machines may give the number of an older model; no CPU before this one has AMX.
  if (cpu == "native" && features.contains("amx-tile") && !cache_sizes_of(target.cpu))
    target.cpu = "sapphirerapids";
  for (const std::string& name : features)
    target.features += (target.features.empty() ? "+" : ",+") + name;
  auto all = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char* name) { return features.contains(name); });
  };
  bool wide = all({"avx512f", "avx512vl", "avx512bw", "avx512dq"});
  target.vector_bytes = wide ? 64 : all({"avx2", "fma"}) ? 32 : 16;
  target.matrix_bf16 = wide && all({"amx-tile", "amx-bf16"});
  if (const CacheSizes* sizes = cache_sizes_of(target.cpu)) {
    target.l1_bytes = sizes->l1_kib << 10;
    target.l2_bytes = sizes->l2_kib << 10;
  }
  target.vector_registers = wide || all({"neon"}) ? 32 : 16;
  return target;
}

bool has_feature(const Target& target, std::string_view name) {
  std::string_view rest = target.features;
  while (!rest.empty()) {
    size_t length = std::min(rest.find(','), rest.size());
    if (rest.substr(1, length - 1) == name)
      return true;
    rest.remove_prefix(std::min(length + 1, rest.size()));
  }
  return false;
}

std::string architecture(const Target& target) {
  return has_feature(target, "neon") ? "aarch64" : "x86_64";
}

bool is_of_this_machine(const Target& target) {
  return has_feature(target, "neon") == host_triple().isAArch64();
}

std::string required_features(const Target& target) {
  std::string names;
  for (char c : target.features)
    if (c != '+')
      names += c == ',' ? ' ' : c;
  return names;
}

}  // namespace gradc
