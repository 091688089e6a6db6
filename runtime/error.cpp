#include "runtime/error.h"

#include <cstdarg>
#include <cstdio>

namespace gradc {
namespace {
thread_local char last_error[1024];
}

gradc_status report(gradc_status status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(last_error, sizeof last_error, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace gradc

const char* gradc_last_error(void) {
  return gradc::last_error;
}

const char* gradc_status_text(gradc_status status) {
  switch (status) {
    case GRADC_OK:
      return "ok";
    case GRADC_BAD_ARGUMENT:
      return "bad argument";
    case GRADC_BAD_ABI:
      return "module of another ABI version";
    case GRADC_BAD_CPU:
      return "this CPU lacks a feature that the module needs";
    case GRADC_OUT_OF_MEMORY:
      return "out of memory";
    case GRADC_IO_ERROR:
      return "a file cannot be read or written";
    case GRADC_BAD_FILE:
      return "a file is damaged or of another model";
  }
  return "unknown status";
}
