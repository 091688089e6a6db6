#pragma once
// From a planned module to machine code: in memory, as an object file, or as text to read. All of
// them come from the same LLVM module, so their bits are the same.
#include <memory>
#include <string>

#include "compiler/target.h"
#include "ir/module.h"
#include "runtime/gradc_runtime.h"

namespace gradc {

struct CodegenOptions {
  Target target;  // of target_for()
  int threads = 1;  // as the module was planned for
  std::string prefix;  // of the object's symbols: it exports `<prefix>_module`
  std::string hash;  // of the model and the options; checkpoints carry it
  bool marks = false;  // entries call gradc_context::mark around their kernels
  bool debugging = false;  // code in memory: perf and gdb are told what is where
  std::string cache;  // a folder of compiled kernels (code_cache.h); "" for none
};

enum class CodeFormat : uint8_t { object, assembly, llvm_ir };

// The bytes of a file in that format. `module` has been through every pass up to `plan`.
std::string generate_code(const Module& module, const CodegenOptions& options, CodeFormat format);

// A module compiled in memory.
class JitModule {
 public:
  JitModule(const Module& module, const CodegenOptions& options);
  ~JitModule();
  JitModule(JitModule&&) noexcept;
  JitModule& operator=(JitModule&&) noexcept;

  const gradc_module* get() const { return module_; }

 private:
  struct Code;
  std::unique_ptr<Code> code_;
  const gradc_module* module_ = nullptr;
};

}  // namespace gradc
