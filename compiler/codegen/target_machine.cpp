#include "compiler/codegen/target_machine.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/IR/Module.h>
#include <llvm/MC/TargetRegistry.h>
#include <llvm/Support/TargetSelect.h>
#include <llvm/Support/raw_ostream.h>
#include <llvm/TargetParser/AArch64TargetParser.h>
#include <llvm/TargetParser/Host.h>
#include <llvm/TargetParser/Triple.h>
#include <llvm/TargetParser/X86TargetParser.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

llvm::Triple host_triple() {
  return llvm::Triple(llvm::sys::getDefaultTargetTriple());
}

std::vector<std::string> enabled(const llvm::StringMap<bool>& features) {
  std::vector<std::string> names;
  for (const auto& feature : features)
    if (feature.second)
      names.push_back(feature.first().str());
  std::sort(names.begin(), names.end());
  return names;
}

// Features, as LLVM names them, that code for the CPU may use, with those that others imply.
std::vector<std::string> features_of(const std::string& cpu) {
  if (!host_triple().isX86())
    return {"neon"};
  llvm::SmallVector<llvm::StringRef> named;
  llvm::X86::getFeaturesForCPU(cpu, named);
  llvm::StringMap<bool> features;
  for (llvm::StringRef name : named) {
    features[name] = true;
    llvm::X86::updateImpliedFeatures(name, true, features);
  }
  return enabled(features);
}

std::vector<std::string> known_cpus() {
  llvm::SmallVector<llvm::StringRef> names;
  if (host_triple().isX86())
    llvm::X86::fillValidCPUArchList(names, true);
  else
    llvm::AArch64::fillValidCPUArchList(names);
  std::vector<std::string> result = {"native"};
  for (llvm::StringRef name : names)
    result.push_back(name.str());
  return result;
}

void check_known(const std::string& cpu) {
  std::vector<std::string> names = known_cpus();
  if (std::find(names.begin(), names.end(), cpu) != names.end())
    return;
  UserError error("", fmt::format("unknown CPU `{}`", cpu), Fault::command_line);
  std::string nearest = nearest_name(cpu, names);
  throw nearest.empty() ? error.with_help("x86-64-v3 runs on most machines, `native` is this one")
                        : error.with_help(fmt::format("did you mean `{}`?", nearest));
}

void initialize_llvm() {
  static std::once_flag once;
  std::call_once(once, [] {
    llvm::InitializeNativeTarget();
    llvm::InitializeNativeTargetAsmPrinter();
  });
}

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

}  // namespace

Target target_for(const std::string& cpu) {
  check_known(cpu);
  Target target;
  bool native = cpu == "native";
  target.cpu = native ? llvm::sys::getHostCPUName().str() : cpu;
  std::vector<std::string> features =
      native ? enabled(llvm::sys::getHostCPUFeatures()) : features_of(cpu);
  auto has = [&](std::string_view name) {
    return std::find(features.begin(), features.end(), name) != features.end();
  };
  // Virtual machines may give the number of an older model; no CPU before this one has AMX.
  if (native && has("amx-tile") && !cache_sizes_of(target.cpu))
    target.cpu = "sapphirerapids";
  for (const std::string& name : features)
    target.features += (target.features.empty() ? "+" : ",+") + name;
  bool wide = has("avx512f") && has("avx512vl") && has("avx512bw") && has("avx512dq");
  target.vector_bytes = wide ? 64 : has("avx2") ? 32 : 16;
  target.matrix_bf16 = wide && has("amx-tile") && has("amx-bf16");
  if (const CacheSizes* sizes = cache_sizes_of(target.cpu)) {
    target.l1_bytes = sizes->l1_kib << 10;
    target.l2_bytes = sizes->l2_kib << 10;
  }
  target.vector_registers = wide || has("neon") ? 32 : 16;
  return target;
}

std::string required_features(const Target& target) {
  std::string names;
  for (char c : target.features)
    if (c != '+')
      names += c == ',' ? ' ' : c;
  return names;
}

std::unique_ptr<llvm::TargetMachine> make_target_machine(const Target& target) {
  initialize_llvm();
  std::string triple = host_triple().str(), error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(triple, error);
  GRADC_CHECK(found, "{}", error);
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Strict;
  std::unique_ptr<llvm::TargetMachine> machine(
      found->createTargetMachine(triple, target.cpu, target.features, options, llvm::Reloc::PIC_,
                                 std::nullopt, llvm::CodeGenOptLevel::Default));
  GRADC_CHECK(machine, "no target machine for {}", triple);
  return machine;
}

std::string code_file(llvm::Module& code, const Target& target, CodeFormat format) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  if (format == CodeFormat::llvm_ir) {
    code.print(stream, nullptr);
    return {bytes.begin(), bytes.end()};
  }
  std::unique_ptr<llvm::TargetMachine> machine = make_target_machine(target);
  llvm::legacy::PassManager passes;
  bool refused = machine->addPassesToEmitFile(passes, stream, nullptr,
                                              format == CodeFormat::object
                                                  ? llvm::CodeGenFileType::ObjectFile
                                                  : llvm::CodeGenFileType::AssemblyFile);
  GRADC_CHECK(!refused, "LLVM cannot write this kind of file for {}", target.cpu);
  passes.run(code);
  return {bytes.begin(), bytes.end()};
}

void set_target_attributes(llvm::Function& function, const Target& target) {
  std::string bits = std::to_string(8 * target.vector_bytes);
  function.addFnAttr("target-cpu", target.cpu);
  function.addFnAttr("target-features", target.features);
  function.addFnAttr("prefer-vector-width", bits);
  function.addFnAttr("min-legal-vector-width", bits);
  function.setDoesNotThrow();
}

}  // namespace gradc
