#pragma once
// Functions of the language that are not ops and cannot be written in it: parameters and state,
// shapes, matrix products, initialisers; and those of single elements that ONNX has, too.
#include <span>
#include <string>
#include <vector>

#include "compiler/import/model_interpreter.h"

namespace gradc::model_text {

struct BuiltinCall {
  Interpreter& interpreter;
  Trace& trace;
  const std::vector<Value>& arguments;  // by parameter; none where left out
  const std::string& hint;  // the variable that the result is assigned to, or ""
};

struct Builtin {
  std::string_view name;
  std::string_view parameters;  // "shape init? name?": those with ? may be left out
  Value (*run)(BuiltinCall& call) = nullptr;
};

std::span<const Builtin> builtins();
const Builtin* find_builtin(std::string_view name);

}  // namespace gradc::model_text
