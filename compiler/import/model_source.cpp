#include "compiler/import/model_source.h"

namespace gradc::model_text {
namespace {

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
  return error.at(place(position))
      .with_source(line_of(position.source->text, position.line), position.column);
}

}  // namespace gradc::model_text
