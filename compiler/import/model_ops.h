#pragma once
// Calls of ops by their records: any op of the table is a function of the language.
#include <string>
#include <utility>
#include <vector>

#include "compiler/import/model_trace.h"
#include "ir/op_def.h"

namespace gradc::model_text {

struct NamedValue {
  std::string name;
  Value value;
};

// What a call was given, evaluated.
struct Arguments {
  std::vector<Value> positional;
  std::vector<NamedValue> named;
};

// The operands come first, by position; then the attributes, by position in the record's order or
// by name. One result, or a list of them. Numbers alone, given to an op of single elements, are
// computed at once.
Value call_op(Trace& trace, Opcode code, const Arguments& arguments);

// An op of single elements under NumPy's broadcasting; numbers take the others' element type.
Value elementwise(Trace& trace, Opcode code, const std::vector<Value>& operands);

TensorRef tensor(const Value& value, std::string_view what);

std::string counted(std::string_view what, size_t count);  // "1 argument", "2 arguments"
// `callee` was given an argument that is none of `names`.
[[noreturn]] void fail_no_argument(std::string_view callee, const std::string& given,
                                   const std::vector<std::string>& names);

}  // namespace gradc::model_text
