#include "compiler/import/onnx/names.h"

#include <fmt/format.h>

#include <filesystem>

namespace gradc::onnx {
namespace {

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
bool joins_words(char c) {
  return c == '.' || c == '/' || c == ':' || c == '-';
}

constexpr size_t kLongest = 200;

// Whether bytes above 127 come in sequences as UTF-8 has them.
bool is_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80)
      continue;
    size_t more = byte >= 0xf0 ? 3 : byte >= 0xe0 ? 2 : 1;
    if (byte < 0xc2 || byte > 0xf4 || i + more >= text.size())
      return false;
    for (; more > 0; --more)
      if ((static_cast<unsigned char>(text[++i]) & 0xc0) != 0x80)
        return false;
  }
  return true;
}

}  // namespace

std::string ir_name(std::string_view name) {
  while (!name.empty() && joins_words(name.front()))
    name.remove_prefix(1);
  while (!name.empty() && joins_words(name.back()))
    name.remove_suffix(1);
  std::string result(name);
  for (size_t i = 0; i < result.size(); ++i) {
    // A joining character stands between words: `a//b` would begin a comment.
    bool joins = joins_words(result[i]) && is_word(result[i - 1]);
    if (!is_word(result[i]) && !joins)
      result[i] = '_';
  }
  return result.empty() ? "_" : result;
}

std::string readable(std::string_view name) {
  std::string result(name.substr(0, kLongest));
  bool keep = is_utf8(result);
  for (char& c : result) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7f || c == '"' || c == '\\' || (byte >= 0x80 && !keep))
      c = '?';
  }
  return name.size() > kLongest ? result + "..." : result;
}

std::string node_place(const std::string& path, const Node& node, const std::string& where) {
  std::string name = node.name.empty()
                         ? fmt::format("node #{} ({})", node.index, readable(node.op_type))
                         : fmt::format("node \"{}\" (#{}, {})", readable(node.name), node.index,
                                       readable(node.op_type));
  return fmt::format("{}: {}{}", path, name, where);
}

std::string branch_where(const Node& node) {
  return node.name.empty() ? fmt::format(" in a branch of node #{}", node.index)
                           : fmt::format(" in a branch of node \"{}\"", readable(node.name));
}

std::string node_loc(const std::string& path, const Node& node, const std::string& prefix) {
  std::string name = node.name.empty() ? fmt::format("{}_{}", node.op_type, node.index) : node.name;
  return fmt::format("{}:{}", readable(std::filesystem::path(path).filename().string()),
                     readable(prefix + name));
}

}  // namespace gradc::onnx
