#pragma once
// Debug information that says of each kernel where in the model it comes from: perf and gdb show
// `lenet.model:4`. A kernel is one line, that of its place (kernel_place.h), so its code does not
// depend on where in a model it is used, and can be kept and shared.
#include <span>
#include <string>

#include "compiler/codegen/elf_file.h"

namespace gradc::codegen {

struct CodePlace {
  std::string symbol;  // of a function of the file
  std::string place;  // lenet.model:4:7, or some other text: then the function has a name only
};

// Adds the sections .debug_abbrev, .debug_info and .debug_line (DWARF 4).
void add_debug_lines(ElfFile& file, const std::string& model, std::span<const CodePlace> places);

}  // namespace gradc::codegen
