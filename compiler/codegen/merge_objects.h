#pragma once
// One relocatable ELF file from several, as a linker's -r makes: each kernel is compiled alone, on
// any thread or in an earlier process, and a model is still a single object.
#include <span>
#include <string>
#include <string_view>

#include "compiler/codegen/elf_file.h"

namespace gradc::codegen {

struct ObjectPart {
  std::string_view bytes;  // as LLVM writes objects: ELF64, little-endian, RELA
  // What its functions' symbols, which begin with `from`, begin with in the result; "" leaves them.
  std::string_view from;
  std::string to;
};

// Sections of one name and kind follow each other in the parts' order. Functions are local symbols
// of the result, and what one part asks for by such a name is bound to it; `exported` symbols are
// global, and what no part defines stays undefined.
ElfFile merge_objects(std::span<const ObjectPart> parts, std::string_view exported);

}  // namespace gradc::codegen
