#pragma once
// The C header and the C++17 wrapper that go with a compiled object.
#include <string>

#include "ir/module.h"

namespace gradc {

// `text` as a C identifier: other characters become `_`, a leading digit gets one before it.
std::string c_identifier(const std::string& text);

// Declares `<prefix>_module` and, for each entry, the positions of its inputs and outputs.
std::string c_header(const Module& planned, const std::string& prefix);

// A class that owns an instance, with a struct of typed pointers per entry. Includes the C header.
std::string cpp_header(const Module& planned, const std::string& prefix);

}  // namespace gradc
