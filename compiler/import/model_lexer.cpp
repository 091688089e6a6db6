#include "compiler/import/model_lexer.h"

#include <array>
#include <charconv>

namespace gradc::model_text {
namespace {

constexpr size_t kMaxFileBytes = 1 << 20;

// Longer ones first: the first that fits is taken.
constexpr std::array<std::string_view, 24> kPunctuation = {
    "|>", "**", "//", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{",
    "}",  ",",  ":",  "=",  "<",  ">",  "+",  "-", "*", "/", "%", "."};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

std::string shown(char c) {
  if (c >= ' ' && c <= '~')
    return fmt::format("`{}`", c);
  return fmt::format("byte 0x{:02x}", static_cast<unsigned char>(c));
}

class Tokenizer {
 public:
  explicit Tokenizer(const Source& source) : source_(source), text_(source.text) {}

  std::vector<Token> run() {
    if (text_.size() > kMaxFileBytes)
      fail_at(here(), "the file has {} bytes; a model description may have {}", text_.size(),
              kMaxFileBytes);
    while (!at_end())
      next();
    newline();
    add(TokenKind::end, here());
    return std::move(tokens_);
  }

 private:
  bool at_end() const { return at_ == text_.size(); }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  Position here() const { return {&source_, line_, static_cast<int>(at_ - line_begin_) + 1}; }

  Token& add(TokenKind kind, const Position& position, std::string text = "") {
    tokens_.push_back({kind, std::move(text), position, 0, 0});
    return tokens_.back();
  }

  void next() {
    char c = peek();
    if (c == '\n') {
      newline();
      ++at_;
      ++line_;
      line_begin_ = at_;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      ++at_;
    } else if (c == '#') {
      while (!at_end() && peek() != '\n')
        ++at_;
    } else if (starts_name(c)) {
      name();
    } else if (is_digit(c)) {
      number();
    } else if (c == '"') {
      string();
    } else {
      punctuation();
    }
  }

  void newline() {
    bool inside = !open_.empty() && open_.back() != '{';
    if (!inside && !tokens_.empty() && tokens_.back().kind != TokenKind::newline)
      add(TokenKind::newline, here());
  }

  // `|>` and `else` continue the line above.
  void drop_newline() {
    if (!tokens_.empty() && tokens_.back().kind == TokenKind::newline)
      tokens_.pop_back();
  }

  void name() {
    Position start = here();
    size_t begin = at_;
    while (starts_name(peek()) || is_digit(peek()))
      ++at_;
    std::string text(text_.substr(begin, at_ - begin));
    if (text == "else")
      drop_newline();
    add(TokenKind::name, start, std::move(text));
  }

  void skip_digits() {
    while (is_digit(peek()))
      ++at_;
  }

  void number() {
    Position start = here();
    size_t begin = at_;
    bool real = false;
    skip_digits();
    if (peek() == '.' && is_digit(peek(1))) {
      real = true;
      ++at_;
      skip_digits();
    }
    size_t sign = peek(1) == '+' || peek(1) == '-' ? 1 : 0;
    if ((peek() == 'e' || peek() == 'E') && is_digit(peek(1 + sign))) {
      real = true;
      at_ += 1 + sign;
      skip_digits();
    }
    std::string text(text_.substr(begin, at_ - begin));
    if (starts_name(peek()))
      fail_at(start, "a name cannot begin with a digit: `{}{}`", text, peek());
    Token& token = add(real ? TokenKind::real : TokenKind::integer, start, text);
    const char* end = text.data() + text.size();
    std::errc problem = real ? std::from_chars(text.data(), end, token.real).ec
                             : std::from_chars(text.data(), end, token.integer).ec;
    if (problem != std::errc())
      fail_at(start, "the number {} is out of range", text);
  }

  void string() {
    Position start = here();
    std::string text;
    for (++at_; peek() != '"'; ++at_) {
      if (at_end() || peek() == '\n')
        fail_at(start, "the string does not end on its line");
      text += peek();
    }
    ++at_;
    add(TokenKind::string, start, std::move(text));
  }

  void punctuation() {
    for (std::string_view mark : kPunctuation) {
      if (text_.substr(at_, mark.size()) != mark)
        continue;
      if (mark == "|>")
        drop_newline();
      add(TokenKind::punctuation, here(), std::string(mark));
      if (mark == "(" || mark == "[" || mark == "{")
        open_.push_back(mark[0]);
      else if ((mark == ")" || mark == "]" || mark == "}") && !open_.empty())
        open_.pop_back();
      at_ += mark.size();
      return;
    }
    fail_at(here(), "unexpected {}", shown(peek()));
  }

  const Source& source_;
  std::string_view text_;
  size_t at_ = 0, line_begin_ = 0;
  int line_ = 1;
  std::string open_;  // brackets not yet closed
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(const Source& source) {
  return Tokenizer(source).run();
}

}  // namespace gradc::model_text
