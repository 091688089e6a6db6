#pragma once
// The text form of loop IR (docs/ir.md). print(parse(s)) == s for every printed s.
//
//   kernel := "loops" "@"name "(" [space "%"name ":" dtype "[" elements "]"],* ")" "{" instr* "}"
//   instr  := [reg "="] code "(" [value],* ")"
//           | reg "=" "load" ["where" value] element ["else" value]
//           | "store" ["streamed"] element "=" value
//           | [[reg],* "="] kind "%"name "in" "0.." extent ["(" [reg "=" value ["fold" code]],*
//           ")"]
//             "{" instr* "}"
//           | "tile" element "*" element ["+" element] steps "(" indices "," reg ")" "{" instr* "}"
//           | "transpose" element "step" n "=" element "step" n "rows" n "columns" n ["pairs"]
//           | "pair_rows" element "step" n "=" element "step" n "rows" n "columns" n
//           | "matrix" element "step" n ("=" | "+=") element "step" n "*" element "rows" n
//           "columns" n "depth" n | "yield" "(" [value],* ")"
//   element := "%"buffer "[" value "]"
//   reg    := "%"name ":" dtype
//   value  := "%"name | number ":" dtype | number      (a number without a type is an i64)
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ir/loop.h"

namespace gradc {

std::string print(const loop::Kernel& kernel);
// Kernels with an empty line between them, as a dump holds all of a module.
std::string print(std::span<const loop::Kernel> kernels);

// Errors are UserErrors at `file:line:col` with the source line and a caret.
std::vector<loop::Kernel> parse_loop_file(std::string_view text, std::string_view file);
// A text of one kernel.
loop::Kernel parse_loops(std::string_view text, std::string_view file);

}  // namespace gradc
