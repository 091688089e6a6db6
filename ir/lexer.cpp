#include "ir/lexer.h"

#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

namespace gradc {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}
bool joins_words(char c) {
  return c == '.' || c == '/' || c == ':' || c == '-';
}

}  // namespace

void Lexer::skip_space() {
  while (!at_end()) {
    if (std::isspace(static_cast<unsigned char>(peek())))
      ++position_;
    else if (peek_is("//"))
      position_ = std::min(text_.find('\n', position_), text_.size());
    else
      return;
  }
}

bool Lexer::try_take(std::string_view token) {
  if (!peek_is(token))
    return false;
  position_ += token.size();
  skip_space();
  return true;
}

void Lexer::take(std::string_view token) {
  if (try_take(token))
    return;
  std::string found = at_end() ? "the end of the file" : fmt::format("`{}`", peek());
  error_at(position_, fmt::format("found {} where `{}` was expected", found, token));
}

bool Lexer::try_keyword(std::string_view keyword) {
  size_t end = position_ + keyword.size();
  if (!peek_is(keyword) || (end < text_.size() && is_word(text_[end])))
    return false;
  position_ = end;
  skip_space();
  return true;
}

std::string Lexer::identifier(std::string_view what) {
  size_t begin = position_, end = begin;
  while (end < text_.size() &&
         (is_word(text_[end]) || (end > begin && joins_words(text_[end]) &&
                                  end + 1 < text_.size() && is_word(text_[end + 1]))))
    ++end;
  if (begin == end)
    error_at(begin, fmt::format("expected {}", what));
  position_ = end;
  std::string word(text_.substr(begin, end - begin));
  skip_space();
  return word;
}

std::string Lexer::number_text() {
  size_t begin = position_, end = begin;
  while (end < text_.size() && (is_word(text_[end]) || text_[end] == '.' || text_[end] == '-' ||
                                (text_[end] == '+' && end > begin)))
    ++end;
  position_ = end;
  std::string word(text_.substr(begin, end - begin));
  skip_space();
  return word;
}

int64_t Lexer::integer() {
  size_t begin = position_;
  std::string text = number_text();
  int64_t value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size())
    error_at(begin, fmt::format("expected a whole number, got `{}`", text));
  return value;
}

double Lexer::real() {
  size_t begin = position_;
  std::string text = number_text();
  if (text == "nan")
    return std::numeric_limits<double>::quiet_NaN();
  if (text == "inf" || text == "-inf")
    return text == "inf" ? HUGE_VAL : -HUGE_VAL;
  double value = 0;
  auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (status != std::errc() || end != text.data() + text.size())
    error_at(begin, fmt::format("expected a number, got `{}`", text));
  return value;
}

std::string Lexer::quoted_string() {
  size_t begin = position_;
  if (peek() != '"')
    error_at(begin, "expected a string in double quotes");
  std::string value;
  for (++position_; !at_end() && peek() != '"'; ++position_) {
    if (peek() == '\\' && position_ + 1 < text_.size())
      ++position_;
    if (peek() == '\n')
      break;
    value += peek();
  }
  if (peek() != '"')
    error_at(begin, "the string does not end on its line");
  ++position_;
  skip_space();
  return value;
}

DType Lexer::dtype() {
  size_t begin = position_;
  std::string name = identifier("an element type");
  std::optional<DType> found = dtype_named(name);
  if (!found)
    error_at(begin,
             fmt::format(
                 "unknown element type `{}`; the types are f32 f64 f16 bf16 i8 u8 i16 i32 i64 bool",
                 name));
  return *found;
}

Type Lexer::type() {
  size_t begin = position_;
  Type result{dtype(), {}};
  take("[");
  while (!try_take("]")) {
    result.dims.push_back(integer());
    if (peek() != ']')
      take(",");
  }
  try {
    check_size(result);
  } catch (const UserError& error) {
    throw located(begin, error);
  }
  return result;
}

Attr Lexer::attr() {
  if (peek() == '"')
    return quoted_string();
  if (try_take("[")) {
    std::vector<int64_t> values;
    while (!try_take("]")) {
      values.push_back(integer());
      if (peek() != ']')
        take(",");
    }
    return values;
  }
  if (try_keyword("true"))
    return true;
  if (try_keyword("false"))
    return false;
  size_t begin = position_;
  bool is_number = std::isdigit(static_cast<unsigned char>(peek())) || peek() == '-' ||
                   peek_is("inf") || peek_is("nan");
  if (!is_number)
    return dtype();
  std::string text = number_text();
  position_ = begin;
  bool is_real = text.find_first_of(".einf") != std::string::npos;
  return is_real ? Attr(real()) : Attr(integer());
}

Attrs Lexer::attrs() {
  Attrs result;
  if (!try_take("{"))
    return result;
  while (!try_take("}")) {
    size_t begin = position_;
    std::string key = identifier("an attribute's name");
    if (result.has(key))
      error_at(begin, fmt::format("the attribute `{}` is given twice", key));
    take("=");
    result.set(key, attr());
    if (peek() != '}')
      take(",");
  }
  return result;
}

std::string Lexer::place(size_t position) const {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < position && i < text_.size(); ++i) {
    column = text_[i] == '\n' ? 1 : column + 1;
    line += text_[i] == '\n';
  }
  return fmt::format("{}:{}:{}", file_, line, column);
}

UserError Lexer::located(size_t position, const UserError& error) const {
  size_t begin = position == 0 ? 0 : text_.rfind('\n', position - 1) + 1;  // npos + 1 == 0
  size_t end = std::min(text_.find('\n', begin), text_.size());
  return error.at(place(position))
      .with_source(text_.substr(begin, std::min<size_t>(end - begin, 200)),
                   static_cast<int>(position - begin) + 1);
}

void Lexer::error_at(size_t position, const std::string& message) const {
  throw located(position, UserError("", message));
}

}  // namespace gradc
