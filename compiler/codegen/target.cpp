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
struct Caches {
  std::string_view cpu;
  int64_t l1_kib, l2_kib;
  double l3_line_cycles = 8;
};
constexpr Caches kCaches[] = {
    {"x86-64-v4", 32, 1024},      {"skylake-avx512", 32, 1024}, {"cascadelake", 32, 1024},
    {"icelake-server", 48, 1280}, {"sapphirerapids", 48, 2048}, {"emeraldrapids", 48, 2048},
    {"graniterapids", 48, 2048},  {"znver4", 32, 1024, 3},      {"znver5", 48, 1024, 3},
};

// Intel's cores do `vdpbf16ps` at half of the rate of an FMA of f32 (measured on Sapphire Rapids),
// so it gains nothing there; AMD's do both at the same rate.
constexpr std::string_view kSlowBf16Dots[] = {"cooperlake", "sapphirerapids", "emeraldrapids",
                                              "graniterapids", "graniterapids-d"};

const Caches* caches_of(std::string_view cpu) {
  const auto* found = std::find_if(std::begin(kCaches), std::end(kCaches),
                                   [&](const Caches& caches) { return caches.cpu == cpu; });
  return found == std::end(kCaches) ? nullptr : found;
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
  return x86_features(cpu);
}

// A processor, and what it is said to have beside or not to have: `x86-64-v4,+avx512bf16`.
struct Request {
  std::string name;
  std::vector<std::string> changes;  // each begins with + or -
};

Request request_of(const std::string& cpu) {
  Request request;
  for (size_t begin = 0, end = 0; end < cpu.size(); begin = end + 1) {
    end = std::min(cpu.find(',', begin), cpu.size());
    std::string part = cpu.substr(begin, end - begin);
    if (begin == 0)
      request.name = part;
    else if (part.size() > 1 && (part[0] == '+' || part[0] == '-'))
      request.changes.push_back(part);
    else
      throw command_line_error(fmt::format("`{}` in `{}` is no feature with its sign", part, cpu))
          .with_help("features are added and left out as in `x86-64-v4,+avx512bf16,-avx512vnni`");
  }
  return request;
}

std::vector<std::string> known_features(bool arm) {
  if (arm)
    return {std::begin(kArmFeatures), std::end(kArmFeatures)};
  Features all;
  for (const std::string& cpu : x86_cpus())
    all.merge(x86_features(cpu));
  return {all.begin(), all.end()};
}

// With what a feature needs, or without what needs it.
void change(Features& features, const std::string& sign_and_name, bool arm) {
  std::string name = sign_and_name.substr(1);
  std::vector<std::string> known = known_features(arm);
  if (!has(known, name)) {
    UserError error = command_line_error(fmt::format("unknown feature `{}` of a CPU", name));
    std::string nearest = nearest_name(name, known);
    throw nearest.empty() ? error : error.with_help(fmt::format("did you mean `{}`?", nearest));
  }
  bool add = sign_and_name[0] == '+';
  llvm::StringMap<bool> changed;
  changed[name] = add;
  if (!arm)
    llvm::X86::updateImpliedFeatures(name, add, changed);
  for (const auto& feature : changed)
    if (feature.second)
      features.insert(feature.first().str());
    else
      features.erase(feature.first().str());
}

// As LLVM's feature string: it takes others from the processor's name, so what was left out is
// said too.
std::string text_of(const Features& features, const Features& before) {
  std::string text;
  for (const std::string& name : features)
    text += (text.empty() ? "+" : ",+") + name;
  for (const std::string& name : before)
    if (!features.contains(name))
      text += ",-" + name;
  return text;
}

// Calls f(name) for each feature that is not left out.
template <typename F>
void for_each_feature(const Target& target, F f) {
  std::string_view rest = target.features;
  while (!rest.empty()) {
    size_t length = std::min(rest.find(','), rest.size());
    if (rest[0] == '+')
      f(rest.substr(1, length - 1));
    rest.remove_prefix(std::min(length + 1, rest.size()));
  }
}

}  // namespace

Target target_for(const std::string& cpu) {
  Request request = request_of(cpu);
  Features named = features_of(request.name);
  bool arm = named.contains("neon");
  Features features = named;
  for (const std::string& changed : request.changes)
    change(features, changed, arm);
  if (!arm && !features.contains("sse4.1"))
    throw command_line_error(fmt::format("`{}` has no SSE4.1, which code needs at least", cpu))
        .with_help("x86-64-v2 is the least that is supported");
  std::string model = request.name;
  if (model == "native") {
    model = llvm::sys::getHostCPUName().str();
    // Virtual machines may give the number of an older model; no CPU before this one has AMX.
    if (named.contains("amx-tile") && !caches_of(model))
      model = "sapphirerapids";
  }
  Target target;
  target.cpu = model;
  for (const std::string& changed : request.changes)
    target.cpu += "," + changed;
  target.features = text_of(features, named);
  auto all = [&](std::initializer_list<const char*> names) {
    return std::all_of(names.begin(), names.end(),
                       [&](const char* name) { return features.contains(name); });
  };
  bool wide = all({"avx512f", "avx512vl", "avx512bw", "avx512dq"});
  target.vector_bytes = wide ? 64 : all({"avx2", "fma"}) ? 32 : 16;
  bool slow_dots = std::ranges::count(kSlowBf16Dots, model) > 0;
  target.matrix_bf16 =
      wide && (all({"amx-tile", "amx-bf16"}) || (all({"avx512bf16"}) && !slow_dots));
  if (const Caches* caches = caches_of(model)) {
    target.l1_bytes = caches->l1_kib << 10;
    target.l2_bytes = caches->l2_kib << 10;
    target.l3_line_cycles = caches->l3_line_cycles;
  }
  target.vector_registers = wide || all({"neon"}) ? 32 : 16;
  return target;
}

std::string_view cpu_model(const Target& target) {
  return std::string_view(target.cpu).substr(0, target.cpu.find(','));
}

bool has_feature(const Target& target, std::string_view name) {
  bool found = false;
  for_each_feature(target, [&](std::string_view feature) { found = found || feature == name; });
  return found;
}

std::string architecture(const Target& target) {
  return has_feature(target, "neon") ? "aarch64" : "x86_64";
}

bool is_of_this_machine(const Target& target) {
  return has_feature(target, "neon") == host_triple().isAArch64();
}

std::string required_features(const Target& target) {
  std::string names;
  for_each_feature(target, [&](std::string_view feature) {
    names += names.empty() ? "" : " ";
    names += feature;
  });
  return names;
}

}  // namespace gradc
