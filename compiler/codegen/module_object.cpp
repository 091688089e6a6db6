#include "compiler/codegen/module_object.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "compiler/codegen/code_cache.h"
#include "compiler/codegen/debug_lines.h"
#include "compiler/codegen/emit_module.h"
#include "compiler/codegen/kernel_emitter.h"
#include "compiler/codegen/merge_objects.h"
#include "compiler/codegen/target_machine.h"
#include "compiler/lower/kernel_place.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {
namespace {

// Runs work(0), ..., work(count - 1), each once, on all cores. The first error is thrown again.
void for_each_index(size_t count, const std::function<void(size_t)>& work) {
  std::atomic<size_t> next{0};
  std::exception_ptr error;
  std::mutex error_mutex;
  auto run = [&] {
    try {
      for (size_t i = next++; i < count; i = next++)
        work(i);
    } catch (...) {
      std::lock_guard lock(error_mutex);
      if (!error)
        error = std::current_exception();
      next = count;
    }
  };
  std::vector<std::thread> others;
  size_t threads = std::min<size_t>(std::max(1u, std::thread::hardware_concurrency()), count);
  for (size_t i = 1; i < threads; ++i)
    others.emplace_back(run);
  run();
  for (std::thread& other : others)
    other.join();
  if (error)
    std::rethrow_exception(error);
}

// Code that is made once: what a text describes completely is looked up in the cache first.
std::string kept_object(const CodeCache& cache, const std::string& text,
                        const std::function<std::string()>& make) {
  std::string key = cache_key(text);
  if (std::optional<std::string> known = cache.find(key))
    return *std::move(known);
  std::string code = make();
  cache.insert(key, code);
  return code;
}

std::string text_of(const CodegenOptions& options) {
  const Target& target = options.target;
  return fmt::format("{} {} {} {} {} {} {}\n", target.cpu, target.features, target.vector_bytes,
                     target.vector_registers, target.l1_bytes, target.l2_bytes, options.threads);
}

std::string kernel_object(const Function& kernel, const std::string& structure,
                          const CodegenOptions& options, const CodeCache& cache) {
  return kept_object(cache, text_of(options) + structure, [&] {
    llvm::LLVMContext context;
    return code_file(*emit_kernel(context, kernel, options), options.target, CodeFormat::object);
  });
}

// Entries are small and no two models' are alike, but LLVM's start alone takes its time.
std::string entries_object(const Module& module, const KernelUnits& units,
                           const CodegenOptions& options, const CodeCache& cache) {
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> code = emit_entries(context, module, units, options);
  return kept_object(cache,
                     text_of(options) + code_file(*code, options.target, CodeFormat::llvm_ir),
                     [&] { return code_file(*code, options.target, CodeFormat::object); });
}

// The functions of all kernels; the bodies of parallel loops are functions too.
std::vector<CodePlace> places_of(const ElfFile& file, const KernelUnits& units,
                                 const CodegenOptions& options) {
  std::unordered_map<std::string, std::string> places;  // by the symbol of a kernel
  for (const Function* kernel : units.kernels)
    places[kernel_symbol(*kernel, options)] = kernel_place(*kernel);
  std::vector<CodePlace> result;
  for (const ElfSymbol& symbol : file.symbols) {
    std::string kernel = symbol.name.substr(0, symbol.name.find(kPartSuffix));
    if (auto known = places.find(kernel); known != places.end())
      result.push_back({symbol.name, known->second});
  }
  return result;
}

}  // namespace

ElfFile module_object(const Module& module, const CodegenOptions& options) {
  KernelUnits units = kernel_units(module);
  size_t kernels = units.kernels.size();
  CodeCache cache(options.cache);
  std::vector<std::string> objects(kernels + 1);
  for_each_index(objects.size(), [&](size_t i) {
    objects[i] = i < kernels ? kernel_object(*units.kernels[i], units.structures[i], options, cache)
                             : entries_object(module, units, options, cache);
  });
  std::vector<ObjectPart> parts;
  for (size_t i = 0; i < kernels; ++i)
    parts.push_back({objects[i], kKernelSymbol, kernel_symbol(*units.kernels[i], options)});
  parts.push_back({objects.back(), "", ""});
  ElfFile file = merge_objects(parts, options.prefix + "_module");
  add_debug_lines(file, module.name, places_of(file, units, options));
  return file;
}

}  // namespace gradc::codegen
