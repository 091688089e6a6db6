#include "compiler/codegen/debugger.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>

// The interface by which gdb finds code: LLVM defines both symbols, at which gdb sets a breakpoint.
extern "C" {
struct jit_code_entry {
  jit_code_entry *next_entry, *prev_entry;
  const char* symfile_addr;
  uint64_t symfile_size;
};
struct jit_descriptor {
  uint32_t version, action_flag;
  jit_code_entry *relevant_entry, *first_entry;
};
extern jit_descriptor __jit_debug_descriptor;
void __jit_debug_register_code();
}

namespace gradc::codegen {
namespace {

enum Action : uint32_t { kRegister = 1, kUnregister };

std::mutex& descriptor_mutex() {
  static std::mutex mutex;
  return mutex;
}

void tell(Action action, jit_code_entry& entry) {
  __jit_debug_descriptor.action_flag = action;
  __jit_debug_descriptor.relevant_entry = &entry;
  __jit_debug_register_code();
}

}  // namespace

void write_perf_map(const std::vector<LoadedFunction>& functions) {
  std::string path = fmt::format("/tmp/perf-{}.map", getpid());
  std::FILE* file = std::fopen(path.c_str(), "a");
  if (!file)
    return;
  for (const LoadedFunction& function : functions)
    fmt::print(file, "{:x} {:x} {}\n", function.address, function.bytes, function.name);
  std::fclose(file);
}

struct DebuggerObject::Entry {
  std::string object;
  jit_code_entry links = {};
};

DebuggerObject::DebuggerObject(std::string object)
    : entry_(std::make_unique<Entry>(Entry{std::move(object)})) {
  std::lock_guard lock(descriptor_mutex());
  jit_code_entry& links = entry_->links;
  jit_code_entry*& first = __jit_debug_descriptor.first_entry;
  links = {first, nullptr, entry_->object.data(), entry_->object.size()};
  if (first)
    first->prev_entry = &links;
  first = &links;
  tell(kRegister, links);
}

DebuggerObject::~DebuggerObject() {
  std::lock_guard lock(descriptor_mutex());
  jit_code_entry& links = entry_->links;
  (links.prev_entry ? links.prev_entry->next_entry : __jit_debug_descriptor.first_entry) =
      links.next_entry;
  if (links.next_entry)
    links.next_entry->prev_entry = links.prev_entry;
  tell(kUnregister, links);
}

}  // namespace gradc::codegen
