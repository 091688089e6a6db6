#include "compiler/import/model_interpreter.h"

#include <algorithm>
#include <cctype>

#include "compiler/import/model_builtins.h"
#include "compiler/import/model_ops.h"

namespace gradc::model_text {
namespace {

// Any model is far below these; a mistake is stopped before it fills the memory.
constexpr size_t kMaxSteps = 4'000'000;
constexpr size_t kMaxCallDepth = 64;
constexpr int kMaxDepth = 1000;
constexpr int64_t kMaxRepeats = 10'000;
constexpr size_t kMaxNotes = 6;

// Names in files of weights are made of these.
void check_path(const std::string& name) {
  auto fits = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; };
  if (name.empty() || name.size() > 100 || !std::all_of(name.begin(), name.end(), fits))
    fail("`name` must be 1 to 100 letters, digits and `_`, got \"{}\"", name);
}

}  // namespace

Interpreter::Interpreter(const Program& program, const Variables& globals, Trace& trace)
    : program_(program), globals_(globals), trace_(trace) {}

Value Interpreter::evaluate(const Expr& expr) {
  frames_.push_back({"", expr.position, "", {}, {}, {}});
  Value value = eval(expr);
  frames_.pop_back();
  return value;
}

NamedTensors Interpreter::run_model(const Variables& inputs) {
  const ModelDecl& model = *program_.file.model;
  frames_.push_back({model.name.text, model.name.position, "", inputs, {}, {}});
  if (execute(model.body) != Flow::returned || results_.empty())
    fail_at(model.name.position, "model `{}` returns nothing; end it with `return loss, ...`",
            model.name.text);
  frames_.pop_back();
  return std::move(results_);
}

TensorRef Interpreter::declare_state(Role role, const Type& type, const Initializer& initializer,
                                     const std::string& name, const std::string& hint) {
  Frame& frame = frames_.back();
  if (!name.empty())
    check_path(name);
  std::string own = name;
  if (own.empty()) {
    own = hint.empty() ? std::string(name_of(role)) : hint;
    int ordinal = ++frame.ordinals["=" + own];  // no function has such a name
    if (ordinal > 1 || hint.empty())
      own += fmt::format("_{}", ordinal);
  }
  return trace_.state({{frame.path + own, type, role, {}, ""}, initializer});
}

// --- Statements ---

Interpreter::Flow Interpreter::execute(const std::vector<Statement>& statements) {
  for (const Statement& statement : statements)
    if (execute(statement) == Flow::returned)
      return Flow::returned;
  return Flow::next;
}

// Errors without a place get the statement's.
Interpreter::Flow Interpreter::execute(const Statement& statement) {
  try {
    Depth depth(*this);
    count_step();
    return execute_unplaced(statement);
  } catch (const UserError& error) {
    if (!error.place().empty())
      throw;
    throw explained(error, statement.position);
  }
}

Interpreter::Flow Interpreter::execute_unplaced(const Statement& statement) {
  switch (statement.kind) {
    case StatementKind::assign:
      assign(statement);
      return Flow::next;
    case StatementKind::call:
      eval(*statement.values[0]);
      return Flow::next;
    case StatementKind::give:
      return give(statement);
    case StatementKind::repeat:
      return repeat(statement);
    case StatementKind::choose:
      return choose(statement);
    case StatementKind::scan:
      scan(statement);
      return Flow::next;
  }
  return Flow::next;
}

// Values take the names of the user's variables; inside of layers those of their ops say more.
void Interpreter::set(const Name& name, Value value, size_t value_count) {
  const auto* ref = value.get<TensorRef>();
  if (ref && !name.position.source->library)
    trace_.name(*ref, name.text, value_count);
  frames_.back().variables[name.text] = std::move(value);
}

void Interpreter::assign(const Statement& statement) {
  size_t value_count = trace_.value_count();
  const std::vector<Name>& names = statement.names;
  List values;
  if (statement.values.size() == 1 && names.size() > 1) {
    Value value = eval(*statement.values[0]);
    if (!value.get<List>())
      fail("{} variables are assigned, but the value is {}", names.size(), describe(value));
    values = *value.get<List>();
  } else {
    for (const ExprPtr& expr : statement.values)
      values.push_back(eval(*expr, names.size() == 1 ? names[0].text : ""));
  }
  if (values.size() != names.size())
    fail("{} variables are assigned {} values", names.size(), values.size());
  for (size_t i = 0; i < names.size(); ++i)
    set(names[i], std::move(values[i]), value_count);
}

Interpreter::Flow Interpreter::give(const Statement& statement) {
  bool of_model = frames_.size() == 1;
  List values;
  for (const ExprPtr& expr : statement.values) {
    values.push_back(eval(*expr));
    if (!of_model)
      continue;
    if (expr->kind != ExprKind::name)
      fail_at(expr->position,
              "a model returns variables, which name its results; assign this first");
    if (!values.back().get<TensorRef>())
      fail_at(expr->position, "a model returns tensors, but `{}` is {}", expr->text,
              describe(values.back()));
    for (const auto& [name, tensor] : results_)
      if (name == expr->text)
        fail_at(expr->position, "`{}` is returned twice", name);
    results_.emplace_back(expr->text, *values.back().get<TensorRef>());
  }
  if (values.size() == 1)
    frames_.back().result = std::move(values[0]);
  else if (!values.empty())
    frames_.back().result = list_value(std::move(values));
  return Flow::returned;
}

Interpreter::Flow Interpreter::repeat(const Statement& statement) {
  Value value = eval(*statement.values[0]);
  const auto* count = value.get<int64_t>();
  if (!count || *count < 0 || *count > kMaxRepeats)
    fail("`repeat` takes a whole number from 0 to {}, got {}", kMaxRepeats, describe(value));
  for (int64_t i = 0; i < *count; ++i) {
    if (!statement.names.empty())
      frames_.back().variables[statement.names[0].text] = {i};
    if (execute(statement.body) == Flow::returned)
      return Flow::returned;
  }
  return Flow::next;
}

Interpreter::Flow Interpreter::choose(const Statement& statement) {
  Value condition = eval(*statement.values[0]);
  if (!condition.get<bool>())
    fail("`if` chooses at compile time, but the condition is {}{}", describe(condition),
         condition.get<TensorRef>() ? "; use select(condition, a, b)" : "");
  return execute(*condition.get<bool>() ? statement.body : statement.otherwise);
}

// --- Functions of the language ---

Variables Interpreter::bind(const FunctionDecl& decl, Arguments& arguments) const {
  Variables bound;
  if (arguments.positional.size() > decl.parameters.size())
    fail("`{}` takes {}, got {}", decl.name.text, counted("argument", decl.parameters.size()),
         arguments.positional.size());
  for (size_t i = 0; i < arguments.positional.size(); ++i)
    bound[decl.parameters[i].name.text] = std::move(arguments.positional[i]);
  std::vector<std::string> names;
  for (const Parameter& parameter : decl.parameters)
    names.push_back(parameter.name.text);
  for (NamedValue& named : arguments.named) {
    if (std::find(names.begin(), names.end(), named.name) == names.end())
      fail_no_argument(decl.name.text, named.name, names);
    if (!bound.emplace(named.name, std::move(named.value)).second)
      fail("`{}` got the argument `{}` twice", decl.name.text, named.name);
  }
  for (const Parameter& parameter : decl.parameters)
    if (!parameter.fallback && !bound.contains(parameter.name.text))
      fail("`{}` needs the argument `{}`", decl.name.text, parameter.name.text);
  return bound;
}

// `name=` names the part of the path that a call adds, unless the function has such a parameter of
// its own; else it is the function's name with the ordinal of the call.
std::string Interpreter::path_component(const std::string& function, Arguments& arguments,
                                        const FunctionDecl& decl) {
  bool own = std::any_of(decl.parameters.begin(), decl.parameters.end(),
                         [](const Parameter& p) { return p.name.text == "name"; });
  for (auto named = arguments.named.begin(); !own && named != arguments.named.end(); ++named)
    if (named->name == "name") {
      std::string component = text(named->value, "`name`");
      check_path(component);
      arguments.named.erase(named);
      return component;
    }
  return fmt::format("{}_{}", function, ++frames_.back().ordinals[function]);
}

Value Interpreter::call_function(const FunctionDecl& decl, Arguments arguments,
                                 const Position& position) {
  if (frames_.size() > kMaxCallDepth)
    fail("calls nest more than {} deep; does `{}` call itself?", kMaxCallDepth, decl.name.text);
  std::string component = path_component(decl.name.text, arguments, decl);
  Variables variables = bind(decl, arguments);
  frames_.push_back({decl.name.text,
                     position,
                     frames_.back().path + component + ".",
                     std::move(variables),
                     {},
                     {}});
  for (const Parameter& parameter : decl.parameters)
    if (!frames_.back().variables.contains(parameter.name.text))
      frames_.back().variables[parameter.name.text] = eval(*parameter.fallback);
  execute(decl.body);
  Value result = std::move(frames_.back().result);
  frames_.pop_back();
  return result;
}

// --- Errors and places ---

Position Interpreter::user_position(const Position& position) const {
  Position at = position;
  for (auto frame = frames_.rbegin(); frame != frames_.rend() && at.source->library; ++frame)
    at = frame->call;
  return at;
}

// Points at the user's line, and tells which functions were running.
UserError Interpreter::explained(const UserError& error, const Position& position) const {
  Position at = user_position(position);
  UserError result = located(error, at);
  size_t notes = 0;
  for (size_t i = frames_.size(); i-- > 1 && notes < kMaxNotes; ++notes) {
    const Frame& frame = frames_[i];
    std::string where = frame.call == at ? "called here" : "called at " + place(frame.call);
    result = result.with_note(fmt::format("in `{}` {}", frame.function, where));
  }
  return result;
}

Interpreter::Depth::Depth(Interpreter& interpreter) : interpreter_(interpreter) {
  if (interpreter.depth_ == kMaxDepth)
    fail("statements, expressions and calls nest more than {} deep", kMaxDepth);
  ++interpreter.depth_;
}

void Interpreter::count_step(size_t steps) {
  steps_ += steps;
  if (steps_ > kMaxSteps)
    fail("the model takes more than {} steps to build", kMaxSteps);
}

}  // namespace gradc::model_text
