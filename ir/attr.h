#pragma once
// Attributes: a small sorted map from key to value. Printing, parsing, hashing and comparing are
// written once.
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "ir/type.h"

namespace gradc {

// The order of the alternatives is that of AttrKind.
using Attr = std::variant<int64_t, double, bool, std::string, std::vector<int64_t>, DType>;
enum class AttrKind : uint8_t { integer, real, boolean, string, integers, dtype };
std::string_view name_of(AttrKind kind);

std::string to_string(const Attr& attr);  // 3, 0.5, true, "text", [1,2], f32

class Attrs {
 public:
  using Entry = std::pair<std::string, Attr>;
  Attrs() = default;
  Attrs(std::initializer_list<Entry> entries);

  void set(std::string_view key, Attr value);
  const Attr* find(std::string_view key) const;  // null when absent
  bool has(std::string_view key) const { return find(key) != nullptr; }

  // These check that the key is there and of the kind; the verifier has checked it for ops.
  int64_t integer(std::string_view key) const;
  double real(std::string_view key) const;
  const std::string& string(std::string_view key) const;
  const std::vector<int64_t>& integers(std::string_view key) const;
  DType dtype(std::string_view key) const;
  // Absent means false.
  bool flag(std::string_view key) const;
  int64_t integer_or(std::string_view key, int64_t fallback) const;
  double real_or(std::string_view key, double fallback) const;

  auto begin() const { return entries_.begin(); }
  auto end() const { return entries_.end(); }
  bool empty() const { return entries_.empty(); }
  bool operator==(const Attrs&) const = default;
  bool operator<(const Attrs& other) const { return entries_ < other.entries_; }

 private:
  std::vector<Entry> entries_;  // sorted by key
};

std::string to_string(const Attrs& attrs);  // {axes=[0], keep=true}; "" when empty

}  // namespace gradc
