#pragma once
// Operators of the language: on numbers, strings and lists at compile time, on tensors as ops.
#include "compiler/import/model_trace.h"

namespace gradc::model_text {

Value binary(Trace& trace, std::string_view op, const Value& a, const Value& b);
Value unary(Trace& trace, std::string_view op, const Value& x);

}  // namespace gradc::model_text
