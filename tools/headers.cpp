#include "tools/headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <vector>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

struct Slot {
  std::string name;  // a C identifier
  Type type;
};

std::vector<Slot> inputs_of(const Function& entry) {
  std::vector<Slot> slots;
  for (const Parameter& parameter : entry.parameters)
    if (parameter.state.empty())
      slots.push_back({c_identifier(entry[parameter.value].name), entry.type(parameter.value)});
  return slots;
}

std::vector<Slot> outputs_of(const Function& entry) {
  std::vector<Slot> slots;
  for (const Result& result : entry.results)
    if (result.state.empty())
      slots.push_back({c_identifier(result.name), entry.type(result.value)});
  return slots;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return text;
}

// train_step -> TrainStep
std::string camel(const std::string& text) {
  std::string result;
  bool start = true;
  for (char c : text) {
    if (c != '_')
      result += start ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    start = c == '_';
  }
  return result;
}

std::string c_type(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "float";
    case DType::f64:
      return "double";
    case DType::i8:
      return "int8_t";
    case DType::u8:
    case DType::boolean:
      return "uint8_t";
    case DType::f16:
    case DType::bf16:
      return "uint16_t";
    case DType::i16:
      return "int16_t";
    case DType::i32:
      return "int32_t";
    case DType::i64:
      return "int64_t";
  }
  return "void";
}

std::vector<const Function*> entries_of(const Module& module) {
  std::vector<const Function*> entries;
  for (const Function& function : module.functions)
    if (function.kind == FunctionKind::entry)
      entries.push_back(&function);
  return entries;
}

std::string positions(const std::string& prefix, const Function& entry) {
  std::string base = upper(prefix + "_" + c_identifier(entry.name)), text;
  auto list = [&](const std::vector<Slot>& slots, const std::string& kind) {
    for (size_t i = 0; i < slots.size(); ++i)
      text += fmt::format("  {}_{}_{} = {}, /* {} */\n", base, kind, upper(slots[i].name), i,
                          to_string(slots[i].type));
    text += fmt::format("  {}_{}_COUNT = {},\n", base, kind, slots.size());
  };
  list(inputs_of(entry), "INPUT");
  list(outputs_of(entry), "OUTPUT");
  return fmt::format("\n/* Entry \"{}\" (arena: {} bytes). */\nenum {{\n{}}};\n", entry.name,
                     entry.arena_bytes.value_or(0), text);
}

std::string entry_struct(const Function& entry) {
  std::string text =
      fmt::format("// Arguments of entry `{}`: tensors, dense and row-major.\nstruct {} {{\n",
                  entry.name, camel(c_identifier(entry.name)));
  for (const Slot& slot : inputs_of(entry))
    text += fmt::format("  const {}* {} = nullptr;  // in, {}\n", c_type(slot.type.dtype),
                        slot.name, to_string(slot.type));
  for (const Slot& slot : outputs_of(entry))
    text += fmt::format("  {}* {} = nullptr;  // out, {}\n", c_type(slot.type.dtype), slot.name,
                        to_string(slot.type));
  return text + "};\n\n";
}

std::string entry_method(const Function& entry) {
  std::vector<std::string> inputs, outputs;
  for (const Slot& slot : inputs_of(entry))
    inputs.push_back("arguments." + slot.name);
  for (const Slot& slot : outputs_of(entry))
    outputs.push_back("arguments." + slot.name);
  return fmt::format(
      "  void run(const {}& arguments) {{\n"
      "    const void* inputs[] = {{{}{}nullptr}};\n"
      "    void* outputs[] = {{{}{}nullptr}};\n"
      "    check(gradc_run(instance_.get(), gradc_find_entry(&module(), \"{}\"), inputs, "
      "outputs));\n"
      "  }}\n",
      camel(c_identifier(entry.name)), fmt::join(inputs, ", "), inputs.empty() ? "" : ", ",
      fmt::join(outputs, ", "), outputs.empty() ? "" : ", ", entry.name);
}

}  // namespace

std::string c_identifier(const std::string& text) {
  std::string result;
  for (char c : text)
    result += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (result.empty() || std::isdigit(static_cast<unsigned char>(result[0])))
    result = "_" + result;
  return result;
}

std::string c_header(const Module& planned, const std::string& prefix) {
  std::string guard = upper(prefix) + "_H", text;
  for (const Function* entry : entries_of(planned))
    text += positions(prefix, *entry);
  return fmt::format(
      "/* {0}: compiled by gradc. Link {0}.o and gradc's runtime. */\n"
      "#ifndef {1}\n#define {1}\n\n#include \"gradc_runtime.h\"\n\n"
      "#ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n"
      "extern const gradc_module {0}_module;\n{2}\n"
      "#ifdef __cplusplus\n}}\n#endif\n#endif\n",
      prefix, guard, text);
}

std::string cpp_header(const Module& planned, const std::string& prefix) {
  std::string structs, methods;
  for (const Function* entry : entries_of(planned)) {
    structs += entry_struct(*entry);
    methods += entry_method(*entry);
  }
  return fmt::format(
      "// {0}: a C++17 wrapper of {0}.h, compiled by gradc.\n#pragma once\n\n"
      "#include <memory>\n#include <stdexcept>\n#include <string>\n\n#include \"{0}.h\"\n\n"
      "namespace {0} {{\n\n{1}"
      "// A model with its parameters and its arena. Errors are std::runtime_error.\n"
      "class Model {{\n public:\n"
      "  // `threads`: 0 for all cores.\n"
      "  explicit Model(int threads = 0) : pool_(gradc_pool_create(threads)) {{\n"
      "    gradc_instance* instance = nullptr;\n"
      "    check(gradc_create(&module(), pool_.get(), nullptr, &instance));\n"
      "    instance_.reset(instance);\n  }}\n\n"
      "  static const gradc_module& module() {{ return {0}_module; }}\n"
      "  gradc_instance* instance() const {{ return instance_.get(); }}\n\n{2}\n"
      "  void save(const std::string& path, bool with_optimizer = true) const {{\n"
      "    check(gradc_save(instance_.get(), path.c_str(), with_optimizer, nullptr));\n  }}\n"
      "  void load(const std::string& path, bool with_optimizer = true) {{\n"
      "    check(gradc_load(instance_.get(), path.c_str(), with_optimizer));\n  }}\n\n"
      " private:\n"
      "  static void check(gradc_status status) {{\n"
      "    if (status != GRADC_OK)\n"
      "      throw std::runtime_error(std::string(gradc_status_text(status)) + \": \" + "
      "gradc_last_error());\n  }}\n"
      "  struct Destroy {{\n"
      "    void operator()(gradc_pool* pool) const {{ gradc_pool_destroy(pool); }}\n"
      "    void operator()(gradc_instance* instance) const {{ gradc_destroy(instance); }}\n  }};\n"
      "  std::unique_ptr<gradc_pool, Destroy> pool_;\n"
      "  std::unique_ptr<gradc_instance, Destroy> instance_;\n}};\n\n}}  // namespace {0}\n",
      prefix, structs, methods);
}

}  // namespace gradc
