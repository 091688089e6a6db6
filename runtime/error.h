#pragma once
// The text behind gradc_last_error: one fixed buffer per thread, so that reporting never allocates.
#include "runtime/gradc_runtime.h"

namespace gradc {

// Remembers a printf-style message for gradc_last_error and returns `status`.
[[gnu::format(printf, 2, 3)]] gradc_status report(gradc_status status, const char* format, ...);

}  // namespace gradc
