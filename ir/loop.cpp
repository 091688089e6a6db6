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

int64_t aligned_bytes(const Buffer& buffer) {
  constexpr int64_t kAlignment = 64;
  return (buffer.elements * byte_size(buffer.dtype) + kAlignment - 1) / kAlignment * kAlignment;
}

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

int64_t buffer_offset(const Kernel& kernel, size_t index) {
  int64_t bytes = 0;
  for (size_t i = 0; i < index; ++i)
    if (kernel.buffers[i].space == kernel.buffers[index].space)
      bytes += aligned_bytes(kernel.buffers[i]);
  return bytes;
}

int64_t space_bytes(const Kernel& kernel, Space space) {
  int64_t bytes = 0;
  for (const Buffer& buffer : kernel.buffers)
    if (buffer.space == space)
      bytes += aligned_bytes(buffer);
  return bytes;
}

bool has_effect(const Instr& instr) {
  return instr.code == Code::store || instr.code == Code::fetch || instr.code == Code::loop ||
         instr.code == Code::yield || is_block(instr.code);
}

bool is_block(Code code) {
  return code == Code::tile || code == Code::transpose || code == Code::pair_rows ||
         code == Code::matrix;
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
    bool stores = instr.code == Code::store || (is_block(instr.code) && instr.code != Code::tile);
    bool needed =
        stores || instr.code == Code::fetch || instr.code == Code::yield || is_used(instr);
    any_store |= stores;
    if (!instr.body.empty() && remove_unused(instr.body, used))
      needed = any_store = true;
    if (!needed) {
      body.erase(body.begin() + static_cast<std::ptrdiff_t>(i));
      continue;
    }
    for_each_read(instr, [&](uint32_t reg) { used[reg] = true; });
  }
  return any_store;
}

}  // namespace

void remove_unused(Kernel& kernel) {
  std::vector<bool> used(kernel.regs.size());
  remove_unused(kernel.body, used);
}

}  // namespace gradc::loop
