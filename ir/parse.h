#pragma once
// Reads the text form of the tensor IR (grammar in docs/ir.md). Every error is a UserError at
// `file:line:col` with the source line and a caret.
#include <string_view>

#include "ir/module.h"

namespace gradc {

Module parse_module(std::string_view text, std::string_view file);
Type parse_type(std::string_view text, std::string_view file);  // f32[2,3]

// A line of OpDef::examples: `dot(f32[2,3], f32[3,4]) {...}`.
struct Example {
  Opcode code;
  std::vector<Type> operands;
  Attrs attrs;
};
Example parse_example(std::string_view line);
std::vector<std::string_view> example_lines(std::string_view examples);

}  // namespace gradc
