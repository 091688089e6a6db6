#pragma once
// The tensor IR: a Module is a value made of state tensors and functions; a Function is vectors of
// ops and values addressed by typed ids. List order is execution order. Passes read one Module and
// return another.
#include <compare>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/attr.h"
#include "ir/shared_bytes.h"
#include "ir/type.h"

namespace gradc {

enum class Opcode : uint8_t {
#define OP(name) name,
#include "ir/ops.def"
#undef OP
};

// An index into Function::values.
struct ValueId {
  uint32_t index = UINT32_MAX;
  bool valid() const { return index != UINT32_MAX; }
  auto operator<=>(const ValueId&) const = default;
};

// An index into Function::ops.
struct OpId {
  uint32_t index = UINT32_MAX;
  auto operator<=>(const OpId&) const = default;
};

// Part of the training step an op belongs to; recomputation needs to know where the border is.
enum class Phase : uint8_t { forward, backward, update };
std::string_view name_of(Phase phase);

struct Op {
  Opcode code{};
  std::vector<ValueId> operands;
  std::vector<ValueId> results;
  Attrs attrs;
  std::string callee;  // of `call` and `scan`: a function of the module
  Phase phase = Phase::forward;
  std::string loc;  // where it came from: `lenet.model:4:7`, or an ONNX node's name; may be empty

  ValueId operand(size_t i) const { return operands[i]; }
  ValueId result(size_t i = 0) const { return results[i]; }
};

struct Value {
  Type type;
  std::string name;  // a hint: only the printer makes names unique
  std::optional<int64_t> offset;  // in the arena, bytes; set by `plan`
};

// A parameter of a function: given by the caller, or bound to a state tensor of the module (`=
// @w`).
struct Parameter {
  ValueId value;
  std::string state;  // "" when given by the caller
};

// A result of a function: named, and tied (`-> @w`) when it becomes the state tensor's new content.
struct Result {
  ValueId value;
  std::string name;
  std::string state;  // "" when not tied
};

// An entry is called from outside; a body by `scan` or `call`; a kernel is a body that runs as one
// piece.
enum class FunctionKind : uint8_t { entry, body, kernel };
std::string_view name_of(FunctionKind kind);  // the keyword: entry, func, kernel

struct Function {
  FunctionKind kind = FunctionKind::entry;
  std::string name;
  Attrs attrs;  // of kernels: what `schedule` decided
  std::optional<int64_t> arena_bytes;  // of entries: set by `plan`
  std::vector<Value> values;  // indexed by ValueId
  std::vector<Parameter> parameters;
  std::vector<Op> ops;  // in execution order
  std::vector<Result> results;

  const Value& operator[](ValueId id) const { return values[id.index]; }
  Value& operator[](ValueId id) { return values[id.index]; }
  const Type& type(ValueId id) const { return values[id.index].type; }
  const Result* find_result(std::string_view result_name) const;  // null when absent
  const Parameter* find_parameter(std::string_view value_name) const;
};

enum class Role : uint8_t { parameter, buffer, optimizer, derived };  // as gradc_role
std::string_view name_of(Role role);

// A tensor that outlives a call of an entry: a parameter, a running statistic, an optimizer's
// moment, or what @prepare derives from these.
struct StateTensor {
  std::string name;
  Type type;
  Role role = Role::parameter;
  Attrs attrs;  // e.g. frozen=true
  std::string loc;
  // What it holds before the first call where a model file brought it, row-major in `type`; empty
  // where @init computes it.
  SharedBytes content{};
};

// What a weights file holds.
inline bool is_weight(const StateTensor& state) {
  return state.role == Role::parameter || state.role == Role::buffer;
}

struct Module {
  std::string name;
  Attrs attrs;  // passes="simplify unroll": what has been done to it, so that a dump can go on
  std::vector<StateTensor> states;
  std::vector<Function> functions;

  const Function* find_function(std::string_view name) const;  // null when absent
  Function* find_function(std::string_view name);
  const Function& function(std::string_view name) const;  // fails when absent
  const StateTensor* find_state(std::string_view name) const;
};

// Which op defines each value (nullopt for function parameters), and how often each value is read
// by ops and results. Computed when wanted; nothing keeps them up to date.
std::vector<std::optional<OpId>> defining_ops(const Function& function);
std::vector<int> use_counts(const Function& function);

}  // namespace gradc
