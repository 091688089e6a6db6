#pragma once
// Runs a model symbolically: statements and calls happen at compile time, operations on tensors
// append ops to a Trace.
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "compiler/import/model_ast.h"
#include "compiler/import/model_ops.h"
#include "compiler/import/model_trace.h"

namespace gradc::model_text {

struct Builtin;

// A model file and the layer library.
struct Program {
  Source user, library;
  File file, layers;
};

using Variables = std::map<std::string, Value, std::less<>>;
using NamedTensors = std::vector<std::pair<std::string, TensorRef>>;

class Interpreter {
 public:
  // `globals` are seen by the user's functions: dims and `training`.
  Interpreter(const Program& program, const Variables& globals, Trace& trace);

  // Runs the model's body on its inputs; gives the returned values by name.
  NamedTensors run_model(const Variables& inputs);
  // An expression outside of any function, e.g. a dim's value.
  Value evaluate(const Expr& expr);

  // For builtins: declares a state tensor below the path of the running functions. An empty `name`
  // stands for `hint`, the variable it is assigned to.
  TensorRef declare_state(Role role, const Type& type, const Initializer& initializer,
                          const std::string& name, const std::string& hint);

 private:
  enum class Flow : uint8_t { next, returned };

  // A running function of the language.
  struct Frame {
    std::string function;
    Position call;  // where it was called
    std::string path;  // prefix of the names of its parameters: "block_2.conv_1."
    Variables variables;
    std::map<std::string, int> ordinals;  // calls so far, by function
    Value result;
  };

  // Statements.
  Flow execute(const std::vector<Statement>& statements);
  Flow execute(const Statement& statement);
  Flow execute_unplaced(const Statement& statement);
  void assign(const Statement& statement);
  Flow give(const Statement& statement);
  Flow repeat(const Statement& statement);
  Flow choose(const Statement& statement);
  void scan(const Statement& statement);
  Trace::ScanShape scan_shape(const Statement& statement);
  std::vector<TensorRef> body_results(const Statement& statement,
                                      const Trace::ScanShape& shape) const;
  // Assigns the first tensors to `first`, the others to `second`.
  void set_all(const std::vector<Name>& first, const std::vector<Name>& second,
               const std::vector<TensorRef>& tensors);
  // Assigns; `value_count` is the number of values in the trace before `value` was computed.
  void set(const Name& name, Value value, size_t value_count);

  // Expressions. `hint` is the variable that a value is about to be assigned to.
  Value eval(const Expr& expr, const std::string& hint = "");
  Value eval_unplaced(const Expr& expr, const std::string& hint);
  Value eval_name(const Expr& expr);
  Value eval_binary(const Expr& expr);
  Value eval_conditional(const Expr& expr, const std::string& hint);
  Value eval_index(const Expr& expr);
  Value eval_slice(const Expr& expr);

  // Calls.
  Value eval_call(const Expr& expr, const std::string& hint);
  std::optional<FunctionRef> find_function(const std::string& name, bool op, bool in_library) const;
  [[noreturn]] void unknown_name(const Expr& expr, std::string_view what) const;
  Value call_function(const FunctionDecl& decl, Arguments arguments, const Position& position);
  Variables bind(const FunctionDecl& decl, Arguments& arguments) const;
  std::string path_component(const std::string& function, Arguments& arguments,
                             const FunctionDecl& decl);
  Value call_builtin(const Builtin& builtin, Arguments arguments, const std::string& hint);

  // Errors and places.
  Position user_position(const Position& position) const;
  UserError explained(const UserError& error, const Position& position) const;
  void count_step(size_t steps = 1);
  // Counts the open statements and expressions: bounds the stack.
  class Depth {
   public:
    explicit Depth(Interpreter& interpreter);
    ~Depth() { --interpreter_.depth_; }
    Depth(const Depth&) = delete;
    Depth& operator=(const Depth&) = delete;

   private:
    Interpreter& interpreter_;
  };

  const Program& program_;
  const Variables& globals_;
  Trace& trace_;
  std::deque<Frame> frames_;  // calls leave references to outer frames valid
  NamedTensors results_;
  size_t steps_ = 0;
  int depth_ = 0;
};

}  // namespace gradc::model_text
