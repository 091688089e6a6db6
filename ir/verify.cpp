#include "ir/verify.h"

#include <algorithm>
#include <set>

#include "ir/op_def.h"

namespace gradc {
namespace {

class Verifier {
 public:
  Verifier(const Module& module, const Function& function) : module_(module), function_(function) {}

  void run() {
    defined_.resize(function_.values.size());
    check_parameters();
    for (const Op& op : function_.ops)
      check_op(op);
    check_results();
  }

 private:
  template <typename... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) {
    fail("@{}: {}", function_.name, fmt::format(format, std::forward<Args>(args)...));
  }

  std::string shown(ValueId id) { return "%" + function_[id].name; }

  void define(ValueId id) {
    if (id.index >= defined_.size())
      bad("a value id is out of range");
    if (defined_[id.index])
      bad("{} is defined twice", shown(id));
    defined_[id.index] = true;
    const Value& value = function_[id];
    if (value.offset && (!function_.arena_bytes || *value.offset < 0 ||
                         *value.offset > *function_.arena_bytes - value.type.bytes()))
      bad("{} at offset {} lies outside of the arena", shown(id), *value.offset);
  }

  void use(ValueId id, std::string_view user) {
    if (id.index >= defined_.size() || !defined_[id.index])
      bad("`{}` reads {} before it is defined", user,
          id.index < defined_.size() ? shown(id) : "an unknown value");
  }

  void check_state(const std::string& name, ValueId value, std::set<std::string>& seen,
                   std::string_view verb) {
    if (name.empty())
      return;
    if (function_.kind != FunctionKind::entry)
      bad("only entries may name state, but {} {} @{}", shown(value), verb, name);
    const StateTensor* state = module_.find_state(name);
    if (!state)
      bad("{} {} @{}, which is not declared", shown(value), verb, name);
    if (state->type != function_.type(value))
      bad("@{} is {}, but {} is {}", name, to_string(state->type), shown(value),
          to_string(function_.type(value)));
    if (!seen.insert(name).second)
      bad("@{} is named twice ({} {})", name, shown(value), verb);
  }

  void check_parameters() {
    std::set<std::string> bound;
    for (const Parameter& parameter : function_.parameters) {
      define(parameter.value);
      check_state(parameter.state, parameter.value, bound, "is bound to");
    }
  }

  void check_results() {
    std::set<std::string> tied;
    for (const Result& result : function_.results) {
      use(result.value, "return");
      check_state(result.state, result.value, tied, "is tied to");
    }
  }

  void check_op(const Op& op) {
    const OpDef& record = def(op);
    Types operands;
    for (ValueId id : op.operands) {
      use(id, record.name);
      operands.push_back(function_.type(id));
    }
    Types expected;
    try {
      expected = record.kernel == KernelClass::control ? callee_types(op, operands)
                                                       : infer_types(op.code, operands, op.attrs);
    } catch (const UserError& error) {
      bad("`{}`{}: {}", record.name, op.results.empty() ? "" : " giving " + shown(op.results[0]),
          error.message());
    }
    if (expected.size() != op.results.size())
      bad("`{}` has {} results, {} are defined", record.name, expected.size(), op.results.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      define(op.results[i]);
      if (expected[i] != function_.type(op.results[i]))
        bad("{} is {}, but `{}` gives {}", shown(op.results[i]),
            to_string(function_.type(op.results[i])), record.name, to_string(expected[i]));
    }
  }

  // The shape rules of control ops see the callee's parameters and results after the operands'
  // types.
  Types callee_types(const Op& op, const Types& operands) {
    check_attrs(def(op), op.attrs);
    if (function_.kind == FunctionKind::kernel)
      fail("a kernel contains a control op");
    const Function& callee = module_.function(op.callee);
    if (callee.kind == FunctionKind::entry)
      fail("@{} is an entry; only functions and kernels are called", callee.name);
    Types parameters, results;
    for (const Parameter& parameter : callee.parameters)
      parameters.push_back(callee.type(parameter.value));
    for (const Result& result : callee.results)
      results.push_back(callee.type(result.value));
    return control_types(op, operands, parameters, results);
  }

  static Types control_types(const Op& op, const Types& operands, const Types& parameters,
                             const Types& results) {
    if (!op.attrs.has("trips"))
      return expect_equal(op, operands, parameters), results;
    int64_t trips = op.attrs.integer("trips");
    // As unsigned numbers, negative ones are beyond all counts.
    auto carries = static_cast<size_t>(op.attrs.integer("carries"));
    auto sequences = static_cast<size_t>(op.attrs.integer("sequences"));
    if (trips < 1 || carries > std::min(results.size(), operands.size()) ||
        sequences > operands.size() - carries)
      fail("trips, carries and sequences do not fit the operands");
    Types given = operands;
    for (size_t i = carries; i < carries + sequences; ++i) {
      if (given[i].dims.empty() || given[i].dims[0] != trips)
        fail("sequence operand {} is {}, its first size must be trips={}", i, to_string(given[i]),
             trips);
      given[i].dims.erase(given[i].dims.begin());
    }
    expect_equal(op, given, parameters);
    Types types = results;
    for (size_t i = 0; i < types.size(); ++i) {
      if (i >= carries)
        types[i].dims.insert(types[i].dims.begin(), trips);
      else if (types[i] != parameters[i])
        fail("carry {} enters @{} as {} and leaves it as {}", i, op.callee,
             to_string(parameters[i]), to_string(types[i]));
    }
    return types;
  }

  static void expect_equal(const Op& op, const Types& given, const Types& wanted) {
    if (given.size() != wanted.size())
      fail("@{} takes {} operands, got {}", op.callee, wanted.size(), given.size());
    for (size_t i = 0; i < given.size(); ++i)
      if (given[i] != wanted[i])
        fail("operand {} of @{} must be {}, got {}", i, op.callee, to_string(wanted[i]),
             to_string(given[i]));
  }

  const Module& module_;
  const Function& function_;
  std::vector<bool> defined_;
};

// Depth-first over callees; `open` holds the functions on the path.
void check_no_recursion(const Module& module, const Function& function, std::set<std::string>& open,
                        std::set<std::string>& done) {
  if (done.contains(function.name))
    return;
  if (!open.insert(function.name).second)
    fail("@{} calls itself", function.name);
  for (const Op& op : function.ops)
    if (!op.callee.empty())
      check_no_recursion(module, module.function(op.callee), open, done);
  open.erase(function.name);
  done.insert(function.name);
}

}  // namespace

void verify(const Module& module) {
  std::set<std::string> states, functions, open, done;
  for (const StateTensor& state : module.states)
    if (!states.insert(state.name).second)
      fail("state @{} is declared twice", state.name);
  for (const Function& function : module.functions) {
    if (!functions.insert(function.name).second)
      fail("function @{} is defined twice", function.name);
    Verifier(module, function).run();
  }
  for (const Function& function : module.functions)
    check_no_recursion(module, function, open, done);
}

}  // namespace gradc
