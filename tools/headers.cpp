#include "tools/headers.h"

#include <fmt/format.h>

#include <vector>

#include "compiler/entries.h"
#include "compiler/plan/storage.h"
#include "tools/identifiers.h"

namespace gradc {
namespace {

// An input or output of an entry, with its names in the headers.
struct Slot {
  std::string source, name, size, shape;
  Type type;

  bool is_scalar() const { return type.rank() == 0; }
};

struct Entry {
  size_t index = 0;
  const Function* function = nullptr;
  std::string name, struct_name;
  std::vector<Slot> inputs, outputs;

  bool is_init = false;  // takes nothing but a seed, and gives nothing but state
  bool makes_weights = false;  // not only what the optimizer begins with
};

Entry entry_of(const Function& function, size_t index, Identifiers& names, Identifiers& structs) {
  Entry entry{index, &function, names.unique(function.name)};
  entry.struct_name = structs.unique(camel(entry.name));
  Identifiers members({"count"});
  for (const Parameter& parameter : function.parameters)
    if (parameter.state.empty())
      entry.inputs.push_back({function[parameter.value].name,
                              members.unique(function[parameter.value].name), "", "",
                              function.type(parameter.value)});
  for (const Result& result : function.results)
    if (result.state.empty())
      entry.outputs.push_back(
          {result.name, members.unique(result.name), "", "", function.type(result.value)});
  for (std::vector<Slot>* slots : {&entry.inputs, &entry.outputs})
    for (Slot& slot : *slots)
      if (!slot.is_scalar()) {
        slot.size = members.unique(slot.name + "_size");
        slot.shape = members.unique(slot.name + "_shape");
      }
  return entry;
}

void find_init(const Module& module, Entry& entry) {
  const std::vector<Slot>& inputs = entry.inputs;
  bool takes_seed = inputs.size() == 1 && inputs[0].source == kSeed;
  entry.is_init =
      entry.function->name == kInit && entry.outputs.empty() && (inputs.empty() || takes_seed);
  for (const Result& result : entry.function->results)
    if (const StateTensor* state = module.find_state(result.state))
      entry.makes_weights = entry.makes_weights || is_weight(*state);
}

std::vector<Entry> entries_of(const Module& module) {
  std::vector<Entry> entries;
  Identifiers names, structs({"Model"});
  for (const Function& function : module.functions)
    if (function.kind == FunctionKind::entry)
      entries.push_back(entry_of(function, entries.size(), names, structs));
  for (Entry& entry : entries)
    find_init(module, entry);
  return entries;
}

std::string c_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float";
    case DType::f64:
      return "double";
    case DType::i8:
      return "std::int8_t";
    case DType::u8:
    case DType::boolean:
      return "std::uint8_t";
    case DType::f16:
    case DType::bf16:
      return "std::uint16_t";
    case DType::i16:
      return "std::int16_t";
    case DType::i32:
      return "std::int32_t";
    case DType::i64:
      return "std::int64_t";
  }
  return "void";
}

std::string positions(const std::string& prefix, const Entry& entry) {
  std::string base = upper(prefix + "_" + entry.name);
  std::string text =
      fmt::format("  {}_ENTRY_{} = {},\n", upper(prefix), upper(entry.name), entry.index);
  auto list = [&](const std::vector<Slot>& slots, const std::string& kind) {
    for (size_t i = 0; i < slots.size(); ++i)
      text += fmt::format("  {}_{}_{} = {}, /* {} */\n", base, kind, upper(slots[i].name), i,
                          to_string(slots[i].type));
    text += fmt::format("  {}_{}_COUNT = {},\n", base, kind, slots.size());
  };
  list(entry.inputs, "INPUT");
  list(entry.outputs, "OUTPUT");
  return fmt::format(
      "\n/* Entry \"{}\" (arena: {} bytes) is {}_module.entries[{}_ENTRY_{}]. */\n"
      "enum {{\n{}}};\n",
      entry.function->name, entry.function->arena_bytes.value_or(0), prefix, upper(prefix),
      upper(entry.name), text);
}

// Scalars that are not data: what they are, and what they are unless they are set.
std::string control_member(const Slot& slot, const HeaderOptions& options) {
  if (slot.source == kLearningRate)
    return fmt::format("  float {} = {:#}f;  // in\n", slot.name,
                       static_cast<float>(options.learning_rate));
  std::string meaning = slot.source == kStep    ? "steps done so far; run() adds one"
                        : slot.source == kSeed  ? "of random numbers, which depend on the step too"
                        : options.schedule_ends ? "of the whole training: where lr ends at 0"
                                                : "of the whole training; of no effect here";
  return fmt::format("  std::int64_t {} = 0;  // in: {}\n", slot.name, meaning);
}

std::string entry_struct(const Entry& entry, const HeaderOptions& options) {
  std::string members, constants;
  auto add = [&](const Slot& slot, const std::string& direction) {
    std::string type = c_type(slot.type.dtype);
    if (slot.is_scalar()) {
      members += fmt::format("  {} {} = 0;  // {}\n", type, slot.name, direction);
      return;
    }
    members += fmt::format("  {}{}* {} = nullptr;  // {}: {}\n", direction == "in" ? "const " : "",
                           type, slot.name, direction, to_string(slot.type));
    constants += fmt::format(
        "  static constexpr std::size_t {} = {};\n"
        "  static constexpr std::int64_t {}[] = {{{}}};\n",
        slot.size, slot.type.elements(), slot.shape, fmt::join(slot.type.dims, ", "));
  };
  for (const Slot& slot : entry.inputs)
    if (entry.function->name == kTrainStep && is_control_input(slot.source))
      members += control_member(slot, options);
    else
      add(slot, "in");
  for (const Slot& slot : entry.outputs)
    add(slot, "out");
  return fmt::format(
      "// What `{}` takes and gives. Tensors are the caller's, dense and row-major; one that it\n"
      "// gives may be left out.\nstruct {} {{\n{}{}{}}};\n\n",
      entry.function->name, entry.struct_name, members, constants.empty() ? "" : "\n", constants);
}

// `head{items};`, broken at 100 columns.
std::string filled(const std::string& head, const std::vector<std::string>& items) {
  constexpr size_t kColumns = 100;
  std::string text = head + "{", line = text;
  for (size_t i = 0; i < items.size(); ++i) {
    std::string item = items[i] + (i + 1 < items.size() ? ", " : "");
    if (line.size() + item.size() + 2 > kColumns) {
      text.erase(text.find_last_not_of(' ') + 1);
      line = "        ";
      text += "\n" + line;
    }
    text += item;
    line += item;
  }
  return text + "};\n";
}

std::string entry_method(const Entry& entry, const HeaderOptions& options) {
  if (entry.is_init && entry.makes_weights)
    return fmt::format(
        "  // New weights from the model's initialisers.\n"
        "  void init(std::int64_t seed) {{ call_init({}_module.entries[{}], seed); }}\n",
        options.prefix, entry.index);
  if (entry.is_init)
    return fmt::format(
        "  // What the optimizer remembers, as when the model was made.\n"
        "  void reset_optimizer() {{ call_reset({}_module.entries[{}]); }}\n",
        options.prefix, entry.index);
  std::vector<std::string> inputs, outputs;
  auto place = [](const Slot& slot) { return (slot.is_scalar() ? "&a." : "a.") + slot.name; };
  std::string before, after;
  for (const Slot& slot : entry.inputs) {
    inputs.push_back(place(slot));
    bool is_control = entry.function->name == kTrainStep && is_control_input(slot.source);
    if (is_control && slot.source == kStep)
      after = fmt::format("    ++a.{};\n", slot.name);
    if (is_control && slot.source == kTotalSteps && options.schedule_ends)
      before = fmt::format(
          "    if (a.{0} <= 0)\n"
          "      throw ::gradc::Error(GRADC_BAD_ARGUMENT, \"set {0}: the learning rate's schedule "
          "ends there\");\n",
          slot.name);
  }
  for (const Slot& slot : entry.outputs)
    outputs.push_back(place(slot));
  inputs.push_back("nullptr");
  outputs.push_back("nullptr");
  bool has_members = entry.inputs.size() + entry.outputs.size() > 0;
  return fmt::format(
      "  void run({}&{}) {{\n{}{}{}    call({}_module.entries[{}], inputs, outputs);\n{}  }}\n",
      entry.struct_name, has_members ? " a" : "", before,
      filled("    const void* inputs[] = ", inputs), filled("    void* outputs[] = ", outputs),
      options.prefix, entry.index, after);
}

}  // namespace

std::string c_header(const Module& planned, const HeaderOptions& options) {
  std::string guard = upper(options.prefix) + "_H", text;
  for (const Entry& entry : entries_of(planned))
    text += positions(options.prefix, entry);
  return fmt::format(
      "/* {0}: compiled by gradc. Link {0}.o and gradc's runtime. */\n"
      "#ifndef {1}\n#define {1}\n\n#include \"gradc_runtime.h\"\n\n"
      "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n"
      "extern const gradc_module {0}_module;\n{2}\n"
      "#ifdef __cplusplus\n}}\n#endif\n#endif\n",
      options.prefix, guard, text);
}

std::string cpp_header(const Module& planned, const HeaderOptions& options) {
  std::string structs, methods, source = "load_weights()";
  int64_t arena_bytes = 0;
  for (const Entry& entry : entries_of(planned)) {
    arena_bytes = std::max(arena_bytes, entry.function->arena_bytes.value_or(0));
    if (entry.function->name == kPrepare)
      continue;  // gradc_run sees to it
    if (entry.is_init && entry.makes_weights)
      source = "init(), load() or load_weights()";
    if (!entry.is_init)
      structs += entry_struct(entry, options);
    methods += entry_method(entry, options);
  }
  if (options.has_weights_file)
    source += fmt::format("; the model's own lie in {}.safetensors", options.prefix);
  std::string weights = planned.states.empty() ? "" : "// Its weights come by " + source + ".\n";
  return fmt::format(
      "// {0}: compiled by gradc. Link {0}.o and gradc's runtime. C++17.\n#pragma once\n\n"
      "#include <cstddef>\n#include <cstdint>\n#include <utility>\n\n"
      "#include \"{0}.h\"\n#include \"gradc_model.hpp\"\n\n"
      "namespace {0} {{\n\n{1}"
      "// The model with its memory; gradc_model.hpp has what it inherits. Errors are "
      "gradc::Error.\n"
      "{2}"
      "class Model : public ::gradc::Model {{\n public:\n"
      "  static constexpr std::size_t state_bytes = {3}, arena_bytes = {4};\n\n"
      "  // Threads of its own, the calling one included; 0 means one per core.\n"
      "  explicit Model(int threads = 0) : Model(::gradc::make_pool(threads)) {{}}\n"
      "  // Threads that models share (null: the calling one only), and memory that the caller "
      "owns.\n"
      "  explicit Model(::gradc::Pool pool, const gradc_memory* memory = nullptr)\n"
      "      : ::gradc::Model({0}_module, std::move(pool), memory) {{}}\n\n"
      "{5}}};\n\n}}  // namespace {0}\n",
      options.prefix, structs, weights, state_bytes(planned), arena_bytes, methods);
}

}  // namespace gradc
