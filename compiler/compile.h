#pragma once
// The compiler from outside: a file becomes a module, a module becomes kernels with their places in
// memory. compiler/codegen turns that into machine code.
#include <string>

#include "compiler/options.h"
#include "compiler/pipeline.h"
#include "ir/module.h"

namespace gradc {

// Reads an .onnx file, a .model description or an .ir dump, by its extension. Errors name the file
// and the place in it.
Module load_model(const std::string& path, const Options& options);

// Runs the whole pipeline; `observer` sees the module after each pass.
Module compile(const Module& imported, const Options& options,
               const PipelineObserver& observer = {});

// A file's text, or a UserError naming it. For text files that people write; larger than 64 MiB is
// refused.
std::string read_text_file(const std::string& path);

}  // namespace gradc
