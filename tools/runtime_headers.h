#pragma once
#include <string_view>

namespace gradc {

// The texts of runtime/gradc_runtime.h and gradc_model.hpp, which `gradc compile` puts beside what
// it writes.
std::string_view kRuntimeHeader();
std::string_view kModelHeader();

}  // namespace gradc
