#include "compiler/codegen/module_object.h"

#include <llvm/IR/LegacyPassManager.h>
#include <llvm/Support/raw_ostream.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "compiler/codegen/emit_module.h"
#include "compiler/codegen/merge_objects.h"
#include "compiler/codegen/target_machine.h"
#include "ir/diagnostic.h"

namespace gradc::codegen {
namespace {

// Runs work(0), ..., work(count - 1), each once, on all cores. The first error
// is thrown again.
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

std::string compiled(const Target& target,
                     const std::function<std::unique_ptr<llvm::Module>(llvm::LLVMContext&)>& emit) {
  llvm::LLVMContext context;
  return code_file(*emit(context), target, CodeFormat::object);
}

}  // namespace

ElfFile module_object(const Module& module, const CodegenOptions& options) {
  KernelUnits units = kernel_units(module);
  size_t kernels = units.kernels.size();
  std::vector<std::string> objects(kernels + 1);
  for_each_index(objects.size(), [&](size_t i) {
    objects[i] = compiled(options.target, [&](llvm::LLVMContext& context) {
      return i < kernels ? emit_kernel(context, *units.kernels[i], options)
                         : emit_entries(context, module, units, options);
    });
  });
  std::vector<ObjectPart> parts;
  for (size_t i = 0; i < kernels; ++i)
    parts.push_back({objects[i], kKernelSymbol, kernel_symbol(*units.kernels[i], options)});
  parts.push_back({objects.back(), "", ""});
  return merge_objects(parts, options.prefix + "_module");
}

}  // namespace gradc::codegen
