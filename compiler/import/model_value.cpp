#include "compiler/import/model_value.h"

#include <algorithm>
#include <array>

namespace gradc::model_text {
namespace {

constexpr size_t kMaxWeight = 1000;  // values in a list
constexpr int kMaxDepth = 8;  // of lists in lists

int depth(const Value& value) {
  int deepest = 0;
  if (const List* list = value.get<List>())
    for (const Value& item : *list)
      deepest = std::max(deepest, 1 + depth(item));
  return deepest;
}

}  // namespace

Value list_value(List items) {
  Value value{std::move(items)};
  if (weight(value) > kMaxWeight)
    fail("a list of more than {} values", kMaxWeight);
  if (depth(value) > kMaxDepth)
    fail("lists nest more than {} deep", kMaxDepth);
  return value;
}

size_t weight(const Value& value) {
  size_t count = 1;
  if (const List* list = value.get<List>())
    for (const Value& item : *list)
      count += weight(item);
  return count;
}

std::string describe(const Value& value) {
  if (const auto* truth = value.get<bool>())
    return *truth ? "true" : "false";
  if (value.is_number())
    return value.get<int64_t>() ? fmt::format("{}", *value.get<int64_t>())
                                : fmt::format("{}", value.number());
  if (const auto* string = value.get<std::string>())
    return fmt::format("\"{}\"", *string);
  if (const auto* function = value.get<FunctionRef>())
    return fmt::format("the function `{}`", function->name);
  constexpr std::array<std::string_view, 10> kinds = {
      "none",     "a boolean",  "a number",       "a number", "a string", "an element type",
      "a tensor", "a function", "an initialiser", "a list"};
  return std::string(kinds[value.data.index()]);
}

int64_t whole_number(const Value& value, std::string_view what) {
  const auto* number = value.get<int64_t>();
  if (!number)
    fail("{} must be a whole number, got {}", what, describe(value));
  if (*number > kMaxSize || *number < -kMaxSize)
    fail("{} is out of range: {}", what, *number);
  return *number;
}

double real_number(const Value& value, std::string_view what) {
  if (!value.is_number())
    fail("{} must be a number, got {}", what, describe(value));
  return value.number();
}

bool truth(const Value& value, std::string_view what) {
  const auto* boolean = value.get<bool>();
  if (!boolean)
    fail("{} must be true or false, got {}", what, describe(value));
  return *boolean;
}

const std::string& text(const Value& value, std::string_view what) {
  const auto* string = value.get<std::string>();
  if (!string)
    fail("{} must be a string, got {}", what, describe(value));
  return *string;
}

std::vector<int64_t> whole_numbers(const Value& value, std::string_view what) {
  const List* list = value.get<List>();
  if (!list)
    fail("{} must be a list of whole numbers, got {}", what, describe(value));
  std::vector<int64_t> numbers;
  for (const Value& item : *list)
    numbers.push_back(whole_number(item, fmt::format("an entry of {}", what)));
  return numbers;
}

void check_size(const Dims& dims) {
  if (static_cast<int64_t>(dims.size()) > kMaxRank)
    fail("a tensor of {} axes; at most {} are taken", dims.size(), kMaxRank);
  int64_t elements = 1;
  for (int64_t dim : dims) {
    if (dim < 1)
      fail("a size must be at least 1, got {}", to_string(dims));
    if (__builtin_mul_overflow(elements, dim, &elements) || elements > kMaxElements)
      fail("a tensor of shape {} is too large", to_string(dims));
  }
}

Dims shape(const Value& value, std::string_view what) {
  Dims dims = whole_numbers(value, what);
  check_size(dims);
  return dims;
}

}  // namespace gradc::model_text
