#pragma once
// The text of a model description, and places in it.
#include <string>
#include <string_view>

#include "ir/diagnostic.h"

namespace gradc::model_text {

struct Source {
  std::string name;  // as errors show it
  std::string_view text;
  bool library = false;  // nn.model: errors point at the user's line that called into it
};

struct Position {
  const Source* source = nullptr;
  int line = 0, column = 0;  // from 1
  bool operator==(const Position&) const = default;
};

std::string place(const Position& position);  // file:line:col

// `error` at `position`, with the source line and a caret.
UserError located(const UserError& error, const Position& position);

template <typename... Args>
[[noreturn]] void fail_at(const Position& position, fmt::format_string<Args...> format,
                          Args&&... args) {
  throw located(UserError("", fmt::format(format, std::forward<Args>(args)...)), position);
}

}  // namespace gradc::model_text
