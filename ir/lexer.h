#pragma once
// Tokens of the IR's text forms. Errors are at `file:line:col` with the source line and a caret.
#include <cstdint>
#include <string>
#include <string_view>

#include "ir/attr.h"
#include "ir/diagnostic.h"

namespace gradc {

class Lexer {
 public:
  Lexer(std::string_view text, std::string_view file) : text_(text), file_(file) { skip_space(); }

  bool at_end() const { return position_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[position_]; }
  bool peek_is(std::string_view token) const {
    return text_.substr(position_, token.size()) == token;
  }
  bool try_take(std::string_view token);  // punctuation
  void take(std::string_view token);  // the same, or an error
  bool try_keyword(std::string_view keyword);  // a whole word
  std::string identifier(
      std::string_view what);  // letters, digits, _ . / : - (the last two not at its end)
  int64_t integer();
  double real();
  std::string quoted_string();
  DType dtype();
  Type type();
  Attr attr();
  Attrs attrs();  // {key=value, ...}; empty when there is no brace

  size_t position() const { return position_; }
  std::string place(size_t position) const;  // file:line:col
  [[noreturn]] void error_at(size_t position, const std::string& message) const;
  UserError located(size_t position,
                    const UserError& error) const;  // adds place, source line and caret

 private:
  void skip_space();  // blanks, line ends and // comments
  std::string number_text();
  std::string_view text_, file_;
  size_t position_ = 0;
};

}  // namespace gradc
