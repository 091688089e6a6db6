#pragma once
// The syntax tree of a model description.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "compiler/import/model_source.h"
#include "ir/type.h"

namespace gradc::model_text {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Argument {
  std::string name;  // "" when given by position
  Position position;
  ExprPtr value;
};

enum class ExprKind : uint8_t {
  none,
  boolean,
  integer,
  real,
  string,
  name,
  list,
  unary,  // text: the operator
  binary,  // text: the operator
  conditional,  // children: value, condition, other value
  call,  // text: the callee; a pipe's left side is its first argument
  index,  // children: list, number
  slice  // children: list, begin or null, end or null
};

struct Expr {
  ExprKind kind{};
  Position position;
  std::string text;
  int64_t integer = 0;  // integer, boolean
  double real = 0;
  bool op =
      false;  // call and name: written `op.NAME`, an op of the table even if a function hides it
  std::vector<ExprPtr> children;
  std::vector<Argument> arguments;
  int height = 1;
};

struct Name {
  std::string text;
  Position position;
};

enum class StatementKind : uint8_t { assign, call, give, repeat, choose, scan };

struct Statement {
  StatementKind kind{};
  Position position;
  std::vector<Name> names;  // assign: targets; repeat: the counter, if named; scan: the slices
  std::vector<ExprPtr> values;  // of assign, call and give (`return`); repeat: the count;
                                // choose (`if`): the condition; scan: the sequences
  std::vector<Statement> body, otherwise;
  std::vector<Name> carries, collects;  // scan
  bool reverse = false;  // scan
};

struct Parameter {
  Name name;
  ExprPtr fallback;  // null when the argument is required
};

struct FunctionDecl {
  Name name;
  std::vector<Parameter> parameters;
  std::vector<Statement> body;
};

struct Input {
  Name name;
  DType dtype{};
  std::vector<ExprPtr> sizes;
};

struct ModelDecl {
  Name name;
  std::vector<Input> inputs;
  std::vector<Statement> body;
};

struct DimDecl {
  Name name;
  ExprPtr value;  // null when it must be bound
};

struct File {
  std::vector<DimDecl> dims;
  std::vector<FunctionDecl> functions;
  std::optional<ModelDecl> model;
};

}  // namespace gradc::model_text
