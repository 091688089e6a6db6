#include "ir/loop.h"

#include <algorithm>
#include <array>

namespace gradc::loop {
namespace {

constexpr std::string_view kCodeNames[] = {
#define LOOP_CODE(name) #name,
#include "ir/loop_codes.def"
#undef LOOP_CODE
};

}  // namespace

std::string_view name_of(Code code) {
  return kCodeNames[static_cast<size_t>(code)];
}

std::optional<Code> code_named(std::string_view name) {
  for (size_t i = 0; i < std::size(kCodeNames); ++i)
    if (kCodeNames[i] == name)
      return static_cast<Code>(i);
  return std::nullopt;
}

std::string_view name_of(Space space) {
  constexpr std::array<std::string_view, 4> names = {"operand", "result", "workspace", "scratch"};
  return names[static_cast<size_t>(space)];
}

std::string_view name_of(LoopKind kind) {
  constexpr std::array<std::string_view, 4> names = {"serial", "parallel", "vector", "unrolled"};
  return names[static_cast<size_t>(kind)];
}

bool has_effect(const Instr& instr) {
  return instr.code == Code::store || instr.code == Code::loop || instr.code == Code::yield ||
         instr.code == Code::tile || instr.code == Code::transpose;
}

namespace {

// Removes from `body`, last to first, what nothing after it reads; marks what the rest reads.
bool remove_unused(std::vector<Instr>& body, std::vector<bool>& used) {
  auto is_used = [&](const Instr& instr) {
    return std::any_of(instr.results.begin(), instr.results.end(),
                       [&](uint32_t reg) { return used[reg]; });
  };
  bool any_store = false;
  for (size_t i = body.size(); i-- > 0;) {
    Instr& instr = body[i];
    bool stores = instr.code == Code::store || instr.code == Code::transpose;
    bool needed = stores || instr.code == Code::yield || is_used(instr);
    any_store |= stores;
    if (!instr.body.empty() && remove_unused(instr.body, used))
      needed = any_store = true;
    if (!needed) {
      body.erase(body.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    for (uint32_t operand : instr.operands)
      used[operand] = true;
  }
  return any_store;
}

}  // namespace

namespace {

int64_t bytes_in(const Kernel& kernel, Space space) {
  int64_t bytes = 0;
  for (const Buffer& buffer : kernel.buffers)
    if (buffer.space == space)
      bytes += (buffer.elements * byte_size(buffer.dtype) + 63) / 64 * 64;
  return bytes;
}

}  // namespace

int64_t workspace_bytes(const Kernel& kernel) {
  return bytes_in(kernel, Space::workspace);
}

int64_t scratch_bytes(const Kernel& kernel) {
  return bytes_in(kernel, Space::scratch);
}

void remove_unused(Kernel& kernel) {
  std::vector<bool> used(kernel.regs.size());
  remove_unused(kernel.body, used);
}

}  // namespace gradc::loop
