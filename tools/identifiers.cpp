#include "tools/identifiers.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace gradc {
namespace {

// Of C23 and C++23, and macros and names that headers cannot do without.
constexpr std::array kReserved = std::to_array<std::string_view>({
    "alignas",
    "alignof",
    "and",
    "and_eq",
    "asm",
    "auto",
    "bitand",
    "bitor",
    "bool",
    "break",
    "case",
    "catch",
    "char",
    "char16_t",
    "char32_t",
    "char8_t",
    "class",
    "co_await",
    "co_return",
    "co_yield",
    "compl",
    "concept",
    "const",
    "const_cast",
    "consteval",
    "constexpr",
    "constinit",
    "continue",
    "decltype",
    "default",
    "delete",
    "do",
    "double",
    "dynamic_cast",
    "else",
    "enum",
    "errno",
    "explicit",
    "export",
    "extern",
    "false",
    "float",
    "for",
    "friend",
    "goto",
    "gradc",
    "if",
    "inline",
    "int",
    "linux",
    "long",
    "main",
    "mutable",
    "namespace",
    "new",
    "noexcept",
    "not",
    "not_eq",
    "nullptr",
    "operator",
    "or",
    "or_eq",
    "private",
    "protected",
    "public",
    "register",
    "requires",
    "restrict",
    "return",
    "short",
    "signed",
    "sizeof",
    "static",
    "static_assert",
    "static_cast",
    "std",
    "struct",
    "switch",
    "template",
    "this",
    "thread_local",
    "throw",
    "true",
    "try",
    "typedef",
    "typeid",
    "typename",
    "typeof",
    "typeof_unqual",
    "union",
    "unix",
    "unsigned",
    "using",
    "virtual",
    "void",
    "volatile",
    "wchar_t",
    "while",
    "xor",
    "xor_eq",
    "stdin",
    "stdout",
    "stderr",
    "reinterpret_cast",
});

}  // namespace

std::string c_identifier(const std::string& text) {
  std::string result;
  for (char c : text)
    result += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  if (result.empty() || std::isdigit(static_cast<unsigned char>(result[0])))
    result = "_" + result;
  if (std::find(kReserved.begin(), kReserved.end(), result) != kReserved.end())
    result += '_';
  return result;
}

Identifiers::Identifiers(std::set<std::string> taken) {
  for (const std::string& name : taken)
    taken_.insert(upper(name));
}

std::string Identifiers::unique(const std::string& text) {
  std::string base = c_identifier(text), result = base;
  for (int i = 2; !taken_.insert(upper(result)).second; ++i)
    result = base + (base.back() == '_' ? "" : "_") + std::to_string(i);
  return result;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return text;
}

std::string camel(const std::string& text) {
  std::string result;
  bool start = true;
  for (char c : text) {
    if (c != '_')
      result += start ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    start = c == '_';
  }
  return result.empty() || std::isdigit(static_cast<unsigned char>(result[0])) ? "_" + result
                                                                               : result;
}

}  // namespace gradc
