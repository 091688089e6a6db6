#include "ir/parse.h"

#include <unordered_map>

#include "ir/builder.h"
#include "ir/lexer.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

class Parser {
 public:
  Parser(std::string_view text, std::string_view file) : lex_(text, file) {}

  Module module() {
    Module module;
    if (!lex_.try_keyword("module"))
      lex_.error_at(lex_.position(), "an IR file starts with `module @name`");
    module.name = at_name();
    module.attrs = lex_.attrs();
    while (!lex_.at_end()) {
      if (std::optional<Role> role = try_role())
        state(module, *role);
      else
        module.functions.push_back(function(module));
    }
    return module;
  }

  Example example() {
    size_t begin = lex_.position();
    Example result{opcode(begin, lex_.identifier("an op")), {}, {}};
    lex_.take("(");
    while (!lex_.try_take(")")) {
      result.operands.push_back(lex_.type());
      if (lex_.peek() != ')')
        lex_.take(",");
    }
    result.attrs = lex_.attrs();
    return result;
  }

  Type type() { return lex_.type(); }

 private:
  std::string at_name() {
    lex_.take("@");
    return lex_.identifier("a name");
  }

  std::optional<Role> try_role() {
    for (Role role : {Role::parameter, Role::buffer, Role::optimizer, Role::derived})
      if (lex_.try_keyword(name_of(role)))
        return role;
    return std::nullopt;
  }

  std::string optional_loc() { return lex_.try_keyword("loc") ? lex_.quoted_string() : ""; }

  void state(Module& module, Role role) {
    size_t begin = lex_.position();
    std::string name = at_name();
    if (module.find_state(name))
      lex_.error_at(begin, fmt::format("@{} is declared twice", name));
    lex_.take(":");
    Type state_type = lex_.type();
    Attrs attrs = lex_.attrs();
    module.states.push_back({name, state_type, role, attrs, optional_loc()});
  }

  FunctionKind function_kind() {
    for (FunctionKind kind : {FunctionKind::entry, FunctionKind::body, FunctionKind::kernel})
      if (lex_.try_keyword(name_of(kind)))
        return kind;
    lex_.error_at(lex_.position(),
                  "expected `param`, `buffer`, `optimizer`, `entry`, `func` or `kernel`");
  }

  Function function(const Module& module) {
    Function function;
    values_.clear();
    function.kind = function_kind();
    size_t begin = lex_.position();
    function.name = at_name();
    if (module.find_function(function.name))
      lex_.error_at(begin, fmt::format("@{} is defined twice", function.name));
    lex_.take("(");
    while (!lex_.try_take(")"))
      parameter(module, function);
    if (lex_.try_keyword("arena"))
      function.arena_bytes = arena_bytes();
    if (lex_.try_keyword("with"))
      function.attrs = lex_.attrs();
    lex_.take("{");
    Phase phase = Phase::forward;
    while (!lex_.try_keyword("return"))
      if (!try_phase(phase))
        op(function, phase);
    while (lex_.peek() != '}')
      result(module, function);
    lex_.take("}");
    return function;
  }

  int64_t arena_bytes() {
    size_t begin = lex_.position();
    int64_t bytes = lex_.integer();
    if (bytes < 0)
      lex_.error_at(begin, fmt::format("an arena has {} bytes, which is negative", bytes));
    return bytes;
  }

  const StateTensor& known_state(const Module& module, size_t begin, const std::string& name) {
    const StateTensor* state = module.find_state(name);
    if (!state)
      lex_.error_at(begin, fmt::format("@{} is not declared in this module", name));
    return *state;
  }

  void parameter(const Module& module, Function& function) {
    size_t begin = lex_.position();
    lex_.take("%");
    std::string name = lex_.identifier("a value's name");
    lex_.take(":");
    ValueId value = define(function, begin, name, lex_.type());
    std::string bound;
    if (lex_.try_take("=")) {
      size_t at = lex_.position();
      bound = at_name();
      check_type(at, known_state(module, at, bound), function.type(value), name);
    }
    function.parameters.push_back({value, bound});
    if (lex_.peek() != ')')
      lex_.take(",");
  }

  void check_type(size_t begin, const StateTensor& state, const Type& value_type,
                  const std::string& name) {
    if (state.type != value_type)
      lex_.error_at(begin, fmt::format("@{} is {}, but %{} is {}", state.name,
                                       to_string(state.type), name, to_string(value_type)));
  }

  bool try_phase(Phase& phase) {
    for (Phase candidate : {Phase::forward, Phase::backward, Phase::update}) {
      if (!lex_.try_keyword(name_of(candidate)))
        continue;
      lex_.take(":");
      phase = candidate;
      return true;
    }
    return false;
  }

  struct Target {
    size_t position;
    std::string name;
    std::optional<Type> type;
    std::optional<int64_t> offset;
  };

  std::vector<Target> targets() {
    std::vector<Target> result;
    do {
      Target target{lex_.position(), "", std::nullopt, std::nullopt};
      lex_.take("%");
      target.name = lex_.identifier("a value's name");
      if (lex_.try_take(":"))
        target.type = lex_.type();
      if (lex_.try_take("@"))
        target.offset = lex_.integer();
      result.push_back(std::move(target));
    } while (lex_.try_take(","));
    return result;
  }

  void op(Function& function, Phase phase) {
    if (lex_.peek() != '%')
      lex_.error_at(lex_.position(),
                    "expected an op (`%result = op(%operand)`), a phase or `return`");
    std::vector<Target> defined = targets();
    lex_.take("=");
    size_t begin = lex_.position();
    Op op;
    op.code = opcode(begin, lex_.identifier("an op"));
    op.phase = phase;
    if (lex_.peek() == '@')
      op.callee = at_name();
    lex_.take("(");
    while (!lex_.try_take(")")) {
      op.operands.push_back(use());
      if (lex_.peek() != ')')
        lex_.take(",");
    }
    op.attrs = lex_.attrs();
    op.loc = optional_loc();
    Types types = result_types(function, op, begin, defined);
    for (size_t i = 0; i < defined.size(); ++i) {
      ValueId value = define(function, defined[i].position, defined[i].name, types[i]);
      function[value].offset = defined[i].offset;
      op.results.push_back(value);
    }
    function.ops.push_back(std::move(op));
  }

  // By the shape rule, or, for control ops, as written: the verifier compares them with the callee.
  Types result_types(const Function& function, const Op& op, size_t begin,
                     const std::vector<Target>& defined) {
    Types written, operands;
    if (def(op).kernel == KernelClass::control) {
      for (const Target& target : defined) {
        if (!target.type)
          lex_.error_at(target.position,
                        fmt::format("the type of %{} must be written", target.name));
        written.push_back(*target.type);
      }
      return written;
    }
    for (ValueId id : op.operands)
      operands.push_back(function.type(id));
    Types inferred;
    try {
      inferred = infer_types(op.code, operands, op.attrs);
    } catch (const UserError& error) {
      throw lex_.located(begin, error);
    }
    if (inferred.size() != defined.size())
      lex_.error_at(begin, fmt::format("`{}` has {} results, {} are named", def(op).name,
                                       inferred.size(), defined.size()));
    for (size_t i = 0; i < defined.size(); ++i)
      if (defined[i].type && *defined[i].type != inferred[i])
        lex_.error_at(defined[i].position, fmt::format("%{} is written as {}, but `{}` gives {}",
                                                       defined[i].name, to_string(*defined[i].type),
                                                       def(op).name, to_string(inferred[i])));
    return inferred;
  }

  void result(const Module& module, Function& function) {
    Result result;
    if (lex_.peek() != '%') {
      result.name = lex_.identifier("a result's name");
      lex_.take("=");
    }
    result.value = use();
    if (lex_.try_take("->")) {
      size_t at = lex_.position();
      result.state = at_name();
      check_type(at, known_state(module, at, result.state), function.type(result.value),
                 function[result.value].name);
    }
    function.results.push_back(std::move(result));
    if (lex_.peek() != '}')
      lex_.take(",");
  }

  Opcode opcode(size_t begin, const std::string& name) {
    if (std::optional<Opcode> code = opcode_named(name))
      return *code;
    std::vector<std::string> names;
    for (Opcode code : all_opcodes())
      names.emplace_back(def(code).name);
    std::string near = nearest_name(name, names);
    lex_.error_at(begin, fmt::format("unknown op `{}`; {}", name,
                                     near.empty() ? "`gradc ops` lists them"
                                                  : fmt::format("did you mean `{}`?", near)));
  }

  ValueId define(Function& function, size_t begin, const std::string& name, Type value_type) {
    ValueId id{static_cast<uint32_t>(function.values.size())};
    if (!values_.emplace(name, id).second)
      lex_.error_at(begin, fmt::format("%{} is defined twice", name));
    function.values.push_back({std::move(value_type), name, std::nullopt});
    return id;
  }

  ValueId use() {
    size_t begin = lex_.position();
    lex_.take("%");
    std::string name = lex_.identifier("a value's name");
    auto found = values_.find(name);
    if (found == values_.end())
      lex_.error_at(begin, fmt::format("%{} is not defined above", name));
    return found->second;
  }

  Lexer lex_;
  std::unordered_map<std::string, ValueId> values_;
};

}  // namespace

Module parse_module(std::string_view text, std::string_view file) {
  return Parser(text, file).module();
}

Type parse_type(std::string_view text, std::string_view file) {
  return Parser(text, file).type();
}

Example parse_example(std::string_view line) {
  return Parser(line, "example").example();
}

std::vector<std::string_view> example_lines(std::string_view examples) {
  std::vector<std::string_view> lines;
  while (!examples.empty()) {
    size_t end = std::min(examples.find('\n'), examples.size());
    if (end > 0)
      lines.push_back(examples.substr(0, end));
    examples.remove_prefix(std::min(end + 1, examples.size()));
  }
  return lines;
}

}  // namespace gradc
