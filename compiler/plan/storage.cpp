#include "compiler/plan/storage.h"

#include <array>
#include <unordered_map>

#include "compiler/kernel.h"
#include "compiler/plan/views.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

class Finder {
 public:
  Finder(const Module& module, const Function& entry)
      : entry_(entry), storages_(entry.values.size()), pending_(entry.values.size()) {
    std::vector<int64_t> offsets = state_offsets(module);
    for (size_t i = 0; i < module.states.size(); ++i)
      states_[module.states[i].name] = {Region::state, static_cast<int64_t>(i), offsets[i]};
  }

  std::vector<Storage> run() {
    for (const Op& op : entry_.ops)
      if (op.code != Opcode::call && !is_view(op))
        fail("@{}: `{}` stands outside of a kernel; run `fuse` first", entry_.name, def(op).name);
    int64_t inputs = 0, outputs = 0;
    for (const Parameter& parameter : entry_.parameters)
      storages_[parameter.value.index] =
          parameter.state.empty() ? Storage{Region::input, inputs++, 0} : state(parameter.state);
    for (const Result& result : entry_.results) {
      if (pending_[result.value.index])
        fail("@{}: %{} is returned twice; each result needs a kernel of its own", entry_.name,
             entry_[result.value].name);
      pending_[result.value.index] =
          result.state.empty() ? Storage{Region::output, outputs++, 0} : state(result.state);
    }
    for (const Op& op : entry_.ops)
      visit(op);
    for (const Result& result : entry_.results)
      if (pending_[result.value.index])
        fail("@{}: %{} is returned, but no kernel computes it", entry_.name,
             entry_[result.value].name);
    return std::move(storages_);
  }

 private:
  Storage state(const std::string& name) const {
    auto found = states_.find(name);
    if (found == states_.end())
      fail("@{}: state @{} is not declared", entry_.name, name);
    return found->second;
  }

  void visit(const Op& op) {
    if (is_view(op)) {
      Storage shown = storages_[op.operand(0).index];
      if (int64_t begin = view_begin(entry_, op); op.code == Opcode::slice) {
        if (shown.region != Region::arena)
          fail("@{}: %{} is a part of the region `{}`, and views are of the arena only",
               entry_.name, entry_[op.result()].name, name_of(shown.region));
        if (shown.offset != Storage::kUnplaced)
          shown.offset += begin;
      }
      storages_[op.result().index] = shown;
      return;
    }
    for (ValueId result : op.results) {
      std::optional<Storage>& pending = pending_[result.index];
      storages_[result.index] = pending.value_or(
          Storage{Region::arena, 0, entry_[result].offset.value_or(Storage::kUnplaced)});
      pending.reset();
    }
  }

  const Function& entry_;
  std::unordered_map<std::string, Storage> states_;
  std::vector<Storage> storages_;
  std::vector<std::optional<Storage>> pending_;  // of results whose kernel has not come yet
};

}  // namespace

std::string_view name_of(Region region) {
  constexpr std::array<std::string_view, 4> names = {"arena", "state", "input", "output"};
  return names[static_cast<size_t>(region)];
}

std::vector<Storage> storage_of(const Module& module, const Function& entry) {
  return Finder(module, entry).run();
}

std::vector<int64_t> state_offsets(const Module& module) {
  std::vector<int64_t> offsets = {0};
  for (const StateTensor& state : module.states)
    offsets.push_back(offsets.back() + aligned(state.type.bytes()));
  return offsets;
}

int64_t state_bytes(const Module& module) {
  return state_offsets(module).back();
}

RegionBytes region_bytes(const Module& module, const Function& entry) {
  RegionBytes bytes{.state = state_bytes(module)};
  for (const Parameter& parameter : entry.parameters)
    if (parameter.state.empty())
      bytes.inputs += entry.type(parameter.value).bytes();
  for (const Result& result : entry.results)
    if (result.state.empty())
      bytes.outputs += entry.type(result.value).bytes();
  return bytes;
}

}  // namespace gradc
