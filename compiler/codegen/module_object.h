#pragma once
// A planned module as one object file: what `gradc compile` writes and what the JIT loads.
#include "compiler/codegen/codegen.h"
#include "compiler/codegen/elf_file.h"

namespace gradc::codegen {

// Each distinct kernel is compiled alone, on as many threads as there are cores; the bytes do not
// depend on them.
ElfFile module_object(const Module& module, const CodegenOptions& options);

}  // namespace gradc::codegen
