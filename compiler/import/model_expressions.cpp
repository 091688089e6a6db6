// Expressions and calls of the interpreter.
#include <algorithm>

#include "compiler/import/model_arithmetic.h"
#include "compiler/import/model_builtins.h"
#include "compiler/import/model_ops.h"

namespace gradc::model_text {
namespace {

const FunctionDecl* find_decl(const File& file, std::string_view name) {
  for (const FunctionDecl& decl : file.functions)
    if (decl.name.text == name)
      return &decl;
  return nullptr;
}

// `index` counted from the end when negative.
int64_t position_in(const List& list, const Value& index, bool past_end) {
  int64_t i = whole_number(index, "an index"), size = std::ssize(list);
  int64_t from_begin = i < 0 ? i + size : i;
  if (from_begin < 0 || from_begin >= size + past_end)
    fail("index {} is outside of a list of {} items", i, size);
  return from_begin;
}

const List& list_of(const Value& value) {
  if (!value.get<List>())
    fail("only lists have items, this is {}{}", describe(value),
         value.get<TensorRef>() ? "; use slice(...)" : "");
  return *value.get<List>();
}

}  // namespace

// Errors without a place get that of the innermost expression.
Value Interpreter::eval(const Expr& expr, const std::string& hint) {
  try {
    Depth depth(*this);
    Value value = eval_unplaced(expr, hint);
    count_step(weight(value));
    return value;
  } catch (const UserError& error) {
    if (!error.place().empty())
      throw;
    throw explained(error, expr.position);
  }
}

Value Interpreter::eval_unplaced(const Expr& expr, const std::string& hint) {
  switch (expr.kind) {
    case ExprKind::none:
      return {};
    case ExprKind::boolean:
      return {expr.integer != 0};
    case ExprKind::integer:
      return {expr.integer};
    case ExprKind::real:
      return {expr.real};
    case ExprKind::string:
      return {expr.text};
    case ExprKind::name:
      return eval_name(expr);
    case ExprKind::list: {
      List items;
      for (const ExprPtr& item : expr.children)
        items.push_back(eval(*item));
      return list_value(std::move(items));
    }
    case ExprKind::unary: {
      Value operand = eval(*expr.children[0]);
      trace_.set_loc(place(user_position(expr.position)));
      return unary(trace_, expr.text, operand);
    }
    case ExprKind::binary:
      return eval_binary(expr);
    case ExprKind::conditional:
      return eval_conditional(expr, hint);
    case ExprKind::call:
      return eval_call(expr, hint);
    case ExprKind::index:
      return eval_index(expr);
    case ExprKind::slice:
      return eval_slice(expr);
  }
  return {};
}

Value Interpreter::eval_name(const Expr& expr) {
  bool in_library = expr.position.source->library;
  if (!expr.op) {
    const Variables& variables = frames_.back().variables;
    if (auto found = variables.find(expr.text); found != variables.end())
      return found->second;
    // nn.model sees none of the user's dims.
    auto global = globals_.find(expr.text);
    if (global != globals_.end() && (!in_library || expr.text == "training"))
      return global->second;
    for (const char* name : {"lr", "step", "total_steps", "seed"})
      if (expr.text == name) {
        if (!trace_.training())
          fail("`{}` exists in training only; use it inside of `if training {{ ... }}`", name);
        return {trace_.training_input(name)};
      }
    if (std::optional<DType> dtype = dtype_named(expr.text))
      return {*dtype};
  }
  if (std::optional<FunctionRef> function = find_function(expr.text, expr.op, in_library))
    return {*function};
  unknown_name(expr, "name");
}

Value Interpreter::eval_binary(const Expr& expr) {
  Value left = eval(*expr.children[0]);
  if (expr.text == "and" || expr.text == "or") {
    std::string what = fmt::format("an operand of `{}`", expr.text);
    if (truth(left, what) == (expr.text == "or"))
      return left;
    Value right = eval(*expr.children[1]);
    return {truth(right, what)};
  }
  Value right = eval(*expr.children[1]);
  trace_.set_loc(place(user_position(expr.position)));
  return binary(trace_, expr.text, left, right);
}

Value Interpreter::eval_conditional(const Expr& expr, const std::string& hint) {
  bool chosen = truth(eval(*expr.children[1]), "the condition");
  return eval(*expr.children[chosen ? 0 : 2], hint);
}

Value Interpreter::eval_index(const Expr& expr) {
  Value base = eval(*expr.children[0]);
  const List& list = list_of(base);
  return list[static_cast<size_t>(position_in(list, eval(*expr.children[1]), false))];
}

Value Interpreter::eval_slice(const Expr& expr) {
  Value base = eval(*expr.children[0]);
  const List& list = list_of(base);
  int64_t begin = 0, end = std::ssize(list);
  if (expr.children[1])
    begin = position_in(list, eval(*expr.children[1]), true);
  if (expr.children[2])
    end = position_in(list, eval(*expr.children[2]), true);
  return {List(list.begin() + begin, list.begin() + std::max(begin, end))};
}

// --- Calls ---

// nn.model's functions see each other and not the user's, so that no model can break them.
std::optional<FunctionRef> Interpreter::find_function(const std::string& name, bool op,
                                                      bool in_library) const {
  if (!op) {
    const FunctionDecl* decl = in_library ? nullptr : find_decl(program_.file, name);
    if (!decl)
      decl = find_decl(program_.layers, name);
    if (decl || find_builtin(name))
      return FunctionRef{name, decl, false};
  }
  if (opcode_named(name))
    return FunctionRef{name, nullptr, true};
  return std::nullopt;
}

void Interpreter::unknown_name(const Expr& expr, std::string_view what) const {
  std::vector<std::string> known;
  for (Opcode code : all_opcodes())
    known.emplace_back(def(code).name);
  for (const Builtin& builtin : builtins())
    if (!expr.op)
      known.emplace_back(builtin.name);
  for (const File* file : {&program_.layers, &program_.file})
    for (const FunctionDecl& decl : file->functions)
      if (!expr.op)
        known.push_back(decl.name.text);
  for (const Variables* variables : {&globals_, &frames_.back().variables})
    for (const auto& [name, value] : *variables)
      if (!expr.op)
        known.push_back(name);
  std::string near = nearest_name(expr.text, known);
  fail("unknown {} `{}`{}", expr.op ? "op" : what, expr.text,
       near.empty() ? "" : fmt::format("; did you mean `{}`?", near));
}

Value Interpreter::eval_call(const Expr& expr, const std::string& hint) {
  std::optional<FunctionRef> callee;
  const Variables& variables = frames_.back().variables;
  if (auto found = variables.find(expr.text); !expr.op && found != variables.end())
    if (const auto* passed = found->second.get<FunctionRef>())
      callee = *passed;
  if (!callee)
    callee = find_function(expr.text, expr.op, expr.position.source->library);
  if (!callee)
    unknown_name(expr, "function");
  Arguments arguments;
  for (const Argument& argument : expr.arguments) {
    if (argument.name.empty()) {
      if (!arguments.named.empty())
        fail_at(argument.position, "an argument by position cannot follow one by name");
      arguments.positional.push_back(eval(*argument.value));
    } else {
      arguments.named.push_back({argument.name, eval(*argument.value)});
    }
  }
  if (callee->decl)
    return call_function(*callee->decl, std::move(arguments), expr.position);
  trace_.set_loc(place(user_position(expr.position)));
  if (const Builtin* builtin = callee->op ? nullptr : find_builtin(callee->name))
    return call_builtin(*builtin, std::move(arguments), hint);
  return call_op(trace_, *opcode_named(callee->name), arguments);
}

Value Interpreter::call_builtin(const Builtin& builtin, Arguments arguments,
                                const std::string& hint) {
  std::vector<Value> bound;
  std::vector<std::string> names;
  std::string_view rest = builtin.parameters;
  while (!rest.empty()) {
    std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    bool optional = word.back() == '?';
    std::string name(word.substr(0, word.size() - optional));
    names.push_back(name);
    auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                              [&](const NamedValue& n) { return n.name == name; });
    bool by_position = bound.size() < arguments.positional.size();
    bool by_name = named != arguments.named.end();
    if (by_position && by_name)
      fail("`{}` got the argument `{}` twice", builtin.name, name);
    if (!by_position && !by_name && !optional)
      fail("`{}` needs the argument `{}`", builtin.name, name);
    bound.push_back(by_position ? arguments.positional[bound.size()]
                    : by_name   ? named->value
                                : Value{});
    if (by_name)
      arguments.named.erase(named);
  }
  if (arguments.positional.size() > bound.size())
    fail("`{}` takes {}, got {}", builtin.name, counted("argument", bound.size()),
         arguments.positional.size());
  if (!arguments.named.empty())
    fail_no_argument(builtin.name, arguments.named[0].name, names);
  BuiltinCall call{*this, trace_, bound, hint};
  return builtin.run(call);
}

}  // namespace gradc::model_text
