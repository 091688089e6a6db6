#include "compiler/import/model_parser.h"

#include "compiler/import/model_expression_parser.h"

namespace gradc::model_text {
namespace {

class Parser {
 public:
  explicit Parser(const Source& source) : in_(source) {}

  File file() {
    File file;
    for (in_.skip_newlines(); !in_.at_end(); end_statement()) {
      if (in_.try_word("dim"))
        file.dims.push_back(dim());
      else if (in_.try_word("fn"))
        add_function(file);
      else if (in_.peek_word("model"))
        model(file);
      else
        in_.unexpected("`dim`, `model` or `fn`");
    }
    return file;
  }

 private:
  void end_statement() {
    if (in_.at_end() || in_.peek_mark("}"))
      return;
    if (in_.token().kind != TokenKind::newline)
      in_.unexpected("the end of the line");
    in_.skip_newlines();
  }

  std::vector<Name> names(std::string_view what) {
    std::vector<Name> all = {in_.name(what)};
    while (in_.try_mark(","))
      all.push_back(in_.name(what));
    return all;
  }

  // --- Declarations ---

  DimDecl dim() {
    DimDecl dim{in_.name("the dim's name"), nullptr};
    if (in_.try_mark("="))
      dim.value = parse_expression(in_);
    return dim;
  }

  void add_function(File& file) {
    FunctionDecl function{in_.name("the function's name"), {}, {}};
    check_new(file.functions, function.name, "function");
    in_.mark("(");
    in_.list_until(")", [&] {
      Parameter parameter{in_.name("a parameter's name"), nullptr};
      check_new(function.parameters, parameter.name, "parameter");
      if (in_.try_mark("="))
        parameter.fallback = parse_expression(in_);
      else if (!function.parameters.empty() && function.parameters.back().fallback)
        fail_at(parameter.name.position,
                "parameter `{}` needs a default, because the one before it has one",
                parameter.name.text);
      function.parameters.push_back(std::move(parameter));
    });
    function.body = block();
    file.functions.push_back(std::move(function));
  }

  void model(File& file) {
    Position start = in_.take().position;
    if (file.model)
      fail_at(start, "a file describes one model, this is the second after `{}`",
              file.model->name.text);
    file.model.emplace();
    ModelDecl& model = *file.model;
    model.name = in_.name("the model's name");
    in_.mark("(");
    in_.list_until(")", [&] {
      Input input{in_.name("an input's name"), {}, {}};
      check_new(model.inputs, input.name, "input");
      in_.mark(":");
      if (in_.token().kind != TokenKind::name)
        in_.unexpected("an element type such as f32");
      std::optional<DType> dtype = dtype_named(in_.token().text);
      if (!dtype)
        fail_at(in_.position(),
                "unknown element type `{}`, expected one of f32 f64 f16 bf16 i8 "
                "u8 i16 i32 i64 bool",
                in_.token().text);
      in_.take();
      input.dtype = *dtype;
      in_.mark("[");
      in_.list_until("]", [&] { input.sizes.push_back(parse_expression(in_)); });
      model.inputs.push_back(std::move(input));
    });
    model.body = block();
  }

  template <typename Items>
  void check_new(const Items& items, const Name& name, std::string_view what) {
    for (const auto& item : items)
      if (item.name.text == name.text)
        fail_at(name.position, "{} `{}` is declared twice", what, name.text);
  }

  // --- Statements ---

  std::vector<Statement> block() {
    TokenStream::Nest nest(in_);
    std::vector<Statement> statements;
    in_.skip_newlines();
    in_.mark("{");
    for (in_.skip_newlines(); !in_.try_mark("}"); end_statement()) {
      if (in_.at_end())
        in_.unexpected("`}`");
      statements.push_back(statement());
    }
    return statements;
  }

  Statement statement() {
    Statement statement;
    statement.position = in_.position();
    if (in_.try_word("return"))
      give(statement);
    else if (in_.try_word("repeat"))
      repeat(statement);
    else if (in_.try_word("if"))
      choose(statement);
    else if (in_.try_word("scan"))
      scan(statement);
    else
      assign_or_call(statement);
    return statement;
  }

  void give(Statement& statement) {
    statement.kind = StatementKind::give;
    if (in_.token().kind != TokenKind::newline && !in_.peek_mark("}"))
      statement.values = parse_expressions(in_);
  }

  void repeat(Statement& statement) {
    statement.kind = StatementKind::repeat;
    statement.values.push_back(parse_expression(in_));
    if (in_.try_word("as"))
      statement.names.push_back(in_.name("the counter's name"));
    statement.body = block();
  }

  void choose(Statement& statement) {
    TokenStream::Nest nest(in_);
    statement.kind = StatementKind::choose;
    statement.values.push_back(parse_expression(in_));
    statement.body = block();
    if (!in_.try_word("else"))
      return;
    if (in_.peek_word("if"))
      statement.otherwise.push_back(this->statement());
    else
      statement.otherwise = block();
  }

  void scan(Statement& statement) {
    statement.kind = StatementKind::scan;
    statement.names = names("the name of a slice");
    if (!in_.try_word("over"))
      in_.unexpected("`over`");
    statement.values = parse_expressions(in_);
    if (statement.names.size() != statement.values.size())
      fail_at(statement.position, "{} names scan over {} sequences", statement.names.size(),
              statement.values.size());
    statement.reverse = in_.try_word("reverse");
    if (in_.try_word("carry"))
      statement.carries = names("a carried variable");
    if (in_.try_word("collect"))
      statement.collects = names("a collected variable");
    statement.body = block();
  }

  void assign_or_call(Statement& statement) {
    if (in_.token().kind == TokenKind::name && (in_.next_is_mark("=") || in_.next_is_mark(","))) {
      statement.kind = StatementKind::assign;
      statement.names = names("a variable");
      in_.mark("=");
      in_.skip_newlines();
      statement.values = parse_expressions(in_);
      return;
    }
    statement.kind = StatementKind::call;
    statement.values.push_back(parse_expression(in_));
    if (statement.values[0]->kind != ExprKind::call)
      fail_at(statement.position,
              "this value is not used; a statement is `name = value`, a call, `return`, `if`, "
              "`repeat` or `scan`");
  }

  TokenStream in_;
};

}  // namespace

File parse_file(const Source& source) {
  return Parser(source).file();
}

}  // namespace gradc::model_text
