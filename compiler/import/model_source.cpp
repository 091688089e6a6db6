#include "compiler/import/model_source.h"

#include <algorithm>

namespace gradc::model_text {
namespace {

constexpr int kMostShown = 160;  // of a line, around the place

std::string_view line_of(std::string_view text, int number) {
  size_t begin = 0;
  for (int line = 1; line < number; ++line)
    begin = text.find('\n', begin) + 1;
  return text.substr(begin, text.find('\n', begin) - begin);
}

}  // namespace

std::string place(const Position& position) {
  return fmt::format("{}:{}:{}", position.source->name, position.line, position.column);
}

UserError located(const UserError& error, const Position& position) {
  std::string_view line = line_of(position.source->text, position.line);
  int cut = std::max(0, position.column - kMostShown / 2);
  if (line.size() <= kMostShown)
    cut = 0;
  return error.at(place(position))
      .with_source(line.substr(static_cast<size_t>(cut), kMostShown), position.column - cut);
}

}  // namespace gradc::model_text
