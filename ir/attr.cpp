#include "ir/attr.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

template <typename T>
const T& get(const Attrs& attrs, std::string_view key) {
  const Attr* attr = attrs.find(key);
  GRADC_CHECK(attr && std::holds_alternative<T>(*attr),
              "attribute `{}` is missing or of another kind", key);
  return std::get<T>(*attr);
}

std::string real_text(double value) {
  if (std::isnan(value))
    return "nan";
  if (std::isinf(value))
    return value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", value);
  bool is_real = text.find_first_of(".e") != std::string::npos;
  return is_real ? text : text + ".0";
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      result += '\\';
    result += c;
  }
  return result + "\"";
}

}  // namespace

std::string_view name_of(AttrKind kind) {
  constexpr std::array<std::string_view, 6> names = {"integer", "real",     "boolean",
                                                     "string",  "integers", "dtype"};
  return names[static_cast<size_t>(kind)];
}

Attrs::Attrs(std::initializer_list<Entry> entries) {
  for (const Entry& entry : entries)
    set(entry.first, entry.second);
}

void Attrs::set(std::string_view key, Attr value) {
  auto at =
      std::lower_bound(entries_.begin(), entries_.end(), key,
                       [](const Entry& entry, std::string_view k) { return entry.first < k; });
  if (at != entries_.end() && at->first == key)
    at->second = std::move(value);
  else
    entries_.insert(at, {std::string(key), std::move(value)});
}

const Attr* Attrs::find(std::string_view key) const {
  for (const Entry& entry : entries_)
    if (entry.first == key)
      return &entry.second;
  return nullptr;
}

int64_t Attrs::integer(std::string_view key) const {
  return get<int64_t>(*this, key);
}
double Attrs::real(std::string_view key) const {
  return get<double>(*this, key);
}
const std::string& Attrs::string(std::string_view key) const {
  return get<std::string>(*this, key);
}
const std::vector<int64_t>& Attrs::integers(std::string_view key) const {
  return get<std::vector<int64_t>>(*this, key);
}
DType Attrs::dtype(std::string_view key) const {
  return get<DType>(*this, key);
}
bool Attrs::flag(std::string_view key) const {
  return has(key) && get<bool>(*this, key);
}
int64_t Attrs::integer_or(std::string_view key, int64_t fallback) const {
  return has(key) ? integer(key) : fallback;
}
double Attrs::real_or(std::string_view key, double fallback) const {
  return has(key) ? real(key) : fallback;
}

std::string to_string(const Attr& attr) {
  struct Text {
    std::string operator()(int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return real_text(value); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(const std::string& value) const { return quoted(value); }
    std::string operator()(const std::vector<int64_t>& values) const { return to_string(values); }
    std::string operator()(DType dtype) const { return std::string(name_of(dtype)); }
  };
  return std::visit(Text{}, attr);
}

std::string to_string(const Attrs& attrs) {
  if (attrs.empty())
    return "";
  std::string text = "{";
  for (const auto& [key, value] : attrs)
    text += (text.size() > 1 ? ", " : "") + key + "=" + to_string(value);
  return text + "}";
}

}  // namespace gradc
