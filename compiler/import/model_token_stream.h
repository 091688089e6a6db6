#pragma once
// The tokens of a file as the parsers take them.
#include <string>
#include <vector>

#include "compiler/import/model_ast.h"
#include "compiler/import/model_lexer.h"

namespace gradc::model_text {

class TokenStream {
 public:
  explicit TokenStream(const Source& source) : tokens_(tokenize(source)) {}

  const Token& token() const { return tokens_[at_]; }
  const Position& position() const { return token().position; }
  bool at_end() const { return token().kind == TokenKind::end; }
  Token take() { return tokens_[at_end() ? at_ : at_++]; }
  void skip_newlines();

  bool peek_mark(std::string_view text) const;
  bool peek_word(std::string_view text) const;
  bool next_is_mark(std::string_view text) const;  // the one after
  bool try_mark(std::string_view text) { return peek_mark(text) && (++at_, true); }
  bool try_word(std::string_view text) { return peek_word(text) && (++at_, true); }
  Position mark(std::string_view text);  // takes it, or fails
  Name name(std::string_view what);  // the same; reserved words are no names

  [[noreturn]] void unexpected(std::string_view wanted) const;

  // item, item, ... and the closing mark; a comma may follow the last one.
  template <typename Item>
  void list_until(std::string_view close, Item item) {
    for (skip_newlines(); !try_mark(close); skip_newlines()) {
      item();
      skip_newlines();
      if (!peek_mark(close) && !try_mark(","))
        unexpected(fmt::format("`,` or `{}`", close));
    }
  }

  // Counts the open levels of recursive rules, and keeps any input off the end of the stack.
  class Nest {
   public:
    explicit Nest(TokenStream& stream);
    ~Nest() { --stream_.nesting_; }
    Nest(const Nest&) = delete;
    Nest& operator=(const Nest&) = delete;

   private:
    TokenStream& stream_;
  };

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
};

}  // namespace gradc::model_text
