#pragma once
#include <string_view>

namespace gradc {

// The text of runtime/gradc_runtime.h, which `gradc compile` puts beside what it writes.
std::string_view kRuntimeHeader();

}  // namespace gradc
