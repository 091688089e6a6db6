#pragma once
// Tokens of the model language (docs/model-language.md).
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/import/model_source.h"

namespace gradc::model_text {

enum class TokenKind : uint8_t { end, newline, name, integer, real, string, punctuation };

struct Token {
  TokenKind kind = TokenKind::end;
  std::string text;  // the name, the punctuation, the string's content
  Position position;
  int64_t integer = 0;
  double real = 0;
};

// All tokens, the last of kind `end`. A line's end is a token only where a statement may end: not
// inside of ( ) and [ ], not before `|>` and `else`, not on empty lines.
std::vector<Token> tokenize(const Source& source);

}  // namespace gradc::model_text
