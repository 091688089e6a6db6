#pragma once
// What the passes made of a module, kept on disk beside the code that LLVM made of its kernels.
#include "compiler/compile.h"

namespace gradc {

// compile(), or what it gave for the same module and options before, from the cache in `folder`
// ("": no cache). Passes that somebody watches, checks or leaves out run in any case.
Module compiled(const Module& imported, const Options& options, const std::string& folder,
                const PipelineObserver& observer = {});

}  // namespace gradc
