#include "compiler/import/model_token_stream.h"

#include <algorithm>
#include <array>

namespace gradc::model_text {
namespace {

constexpr int kMaxNesting = 100;

constexpr std::array<std::string_view, 12> kReserved = {
    "and", "or", "not", "true", "false", "none", "if", "else", "return", "repeat", "scan", "fn"};

}  // namespace

void TokenStream::skip_newlines() {
  while (token().kind == TokenKind::newline)
    ++at_;
}

bool TokenStream::peek_mark(std::string_view text) const {
  return token().kind == TokenKind::punctuation && token().text == text;
}

bool TokenStream::peek_word(std::string_view text) const {
  return token().kind == TokenKind::name && token().text == text;
}

bool TokenStream::next_is_mark(std::string_view text) const {
  const Token& next = tokens_[std::min(at_ + 1, tokens_.size() - 1)];
  return next.kind == TokenKind::punctuation && next.text == text;
}

Position TokenStream::mark(std::string_view text) {
  if (!peek_mark(text))
    unexpected(fmt::format("`{}`", text));
  return take().position;
}

Name TokenStream::name(std::string_view what) {
  if (token().kind != TokenKind::name)
    unexpected(what);
  if (std::find(kReserved.begin(), kReserved.end(), token().text) != kReserved.end())
    fail_at(position(), "`{}` is a word of the language, expected {}", token().text, what);
  Token taken = take();
  return {taken.text, taken.position};
}

void TokenStream::unexpected(std::string_view wanted) const {
  std::string seen = "end of the line";
  if (at_end())
    seen = "end of the file";
  else if (token().kind == TokenKind::string)
    seen = "string";
  else if (token().kind != TokenKind::newline)
    seen = fmt::format("`{}`", token().text);
  fail_at(position(), "unexpected {}, expected {}", seen, wanted);
}

TokenStream::Nest::Nest(TokenStream& stream) : stream_(stream) {
  if (stream.nesting_ == kMaxNesting)
    fail_at(stream.position(), "this nests more than {} levels deep", kMaxNesting);
  ++stream.nesting_;
}

}  // namespace gradc::model_text
