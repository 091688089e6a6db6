#include "compiler/import/model_parser.h"

#include <algorithm>
#include <array>

#include "compiler/import/model_lexer.h"

namespace gradc::model_text {
namespace {

// Trees are walked by recursion: these bounds keep any input off the end of the stack.
constexpr int kMaxNesting = 100;
constexpr int kMaxHeight = 200;

constexpr std::array<std::string_view, 12> kReserved = {
    "and", "or", "not", "true", "false", "none", "if", "else", "return", "repeat", "scan", "fn"};

struct Binary {
  std::string_view text;
  int precedence;
};
constexpr std::array<Binary, 15> kBinary = {{{"or", 1},
                                             {"and", 2},
                                             {"==", 4},
                                             {"!=", 4},
                                             {"<", 4},
                                             {"<=", 4},
                                             {">", 4},
                                             {">=", 4},
                                             {"+", 5},
                                             {"-", 5},
                                             {"*", 6},
                                             {"/", 6},
                                             {"//", 6},
                                             {"%", 6},
                                             {"**", 8}}};
constexpr int kNot = 3, kComparison = 4, kMinus = 7, kPower = 8;

class Parser {
 public:
  explicit Parser(const Source& source) : tokens_(tokenize(source)) {}

  File file() {
    File file;
    for (skip_newlines(); token().kind != TokenKind::end; end_statement()) {
      if (try_word("dim"))
        file.dims.push_back(dim());
      else if (try_word("fn"))
        file.functions.push_back(function());
      else if (peek_word("model"))
        model(file);
      else
        unexpected("`dim`, `model` or `fn`");
    }
    return file;
  }

 private:
  // Counts open levels of the recursive rules.
  class Nest {
   public:
    explicit Nest(Parser& parser) : parser_(parser) {
      if (++parser_.nesting_ > kMaxNesting)
        fail_at(parser_.token().position, "this nests more than {} levels deep", kMaxNesting);
    }
    ~Nest() { --parser_.nesting_; }

   private:
    Parser& parser_;
  };

  const Token& token() const { return tokens_[at_]; }
  Token take() { return tokens_[token().kind == TokenKind::end ? at_ : at_++]; }

  bool peek_mark(std::string_view text) const {
    return token().kind == TokenKind::punctuation && token().text == text;
  }
  bool peek_word(std::string_view text) const {
    return token().kind == TokenKind::name && token().text == text;
  }
  bool try_mark(std::string_view text) { return peek_mark(text) && (++at_, true); }
  bool try_word(std::string_view text) { return peek_word(text) && (++at_, true); }
  void skip_newlines() {
    while (token().kind == TokenKind::newline)
      ++at_;
  }

  [[noreturn]] void unexpected(std::string_view wanted) {
    std::string seen = "the end of the line";
    if (token().kind == TokenKind::end)
      seen = "the end of the file";
    else if (token().kind == TokenKind::string)
      seen = "a string";
    else if (token().kind != TokenKind::newline)
      seen = fmt::format("`{}`", token().text);
    fail_at(token().position, "unexpected {}, expected {}", seen, wanted);
  }

  Position mark(std::string_view text) {
    if (!peek_mark(text))
      unexpected(fmt::format("`{}`", text));
    return take().position;
  }

  void end_statement() {
    if (token().kind == TokenKind::end || peek_mark("}"))
      return;
    if (token().kind != TokenKind::newline)
      unexpected("the end of the line");
    skip_newlines();
  }

  Name name(std::string_view what) {
    if (token().kind != TokenKind::name)
      unexpected(what);
    if (std::find(kReserved.begin(), kReserved.end(), token().text) != kReserved.end())
      fail_at(token().position, "`{}` is a word of the language, expected {}", token().text, what);
    Token taken = take();
    return {taken.text, taken.position};
  }

  std::vector<Name> names(std::string_view what) {
    std::vector<Name> all = {name(what)};
    while (try_mark(","))
      all.push_back(name(what));
    return all;
  }

  // item, item, ... and the closing mark; a comma may follow the last one.
  template <typename Item>
  void list_until(std::string_view close, Item item) {
    for (skip_newlines(); !try_mark(close); skip_newlines()) {
      item();
      skip_newlines();
      if (!peek_mark(close) && !try_mark(","))
        unexpected(fmt::format("`,` or `{}`", close));
    }
  }

  // --- Declarations ---

  DimDecl dim() {
    DimDecl dim{name("the dim's name"), nullptr};
    if (try_mark("="))
      dim.value = expression();
    return dim;
  }

  FunctionDecl function() {
    FunctionDecl function{name("the function's name"), {}, {}};
    mark("(");
    list_until(")", [&] {
      Parameter parameter{name("a parameter's name"), nullptr};
      check_new(function.parameters, parameter.name, "parameter");
      if (try_mark("="))
        parameter.fallback = expression();
      else if (!function.parameters.empty() && function.parameters.back().fallback)
        fail_at(parameter.name.position,
                "parameter `{}` needs a default, because the one before it has one",
                parameter.name.text);
      function.parameters.push_back(std::move(parameter));
    });
    function.body = block();
    return function;
  }

  void model(File& file) {
    Position start = take().position;
    if (file.model)
      fail_at(start, "a file describes one model, this is the second after `{}`",
              file.model->name.text);
    file.model.emplace();
    ModelDecl& model = *file.model;
    model.name = name("the model's name");
    mark("(");
    list_until(")", [&] {
      Input input{name("an input's name"), {}, {}};
      check_new(model.inputs, input.name, "input");
      mark(":");
      if (token().kind != TokenKind::name)
        unexpected("an element type such as f32");
      std::optional<DType> dtype = dtype_named(token().text);
      if (!dtype)
        fail_at(token().position,
                "unknown element type `{}`, expected one of f32 f64 f16 bf16 i8 "
                "u8 i16 i32 i64 bool",
                token().text);
      take();
      input.dtype = *dtype;
      mark("[");
      list_until("]", [&] { input.sizes.push_back(expression()); });
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
    Nest nest(*this);
    std::vector<Statement> statements;
    skip_newlines();
    mark("{");
    for (skip_newlines(); !try_mark("}"); end_statement()) {
      if (token().kind == TokenKind::end)
        unexpected("`}`");
      statements.push_back(statement());
    }
    return statements;
  }

  Statement statement() {
    Statement statement;
    statement.position = token().position;
    if (try_word("return"))
      give(statement);
    else if (try_word("repeat"))
      repeat(statement);
    else if (try_word("if"))
      choose(statement);
    else if (try_word("scan"))
      scan(statement);
    else
      assign_or_call(statement);
    return statement;
  }

  void give(Statement& statement) {
    statement.kind = StatementKind::give;
    if (token().kind != TokenKind::newline && !peek_mark("}"))
      statement.values = expressions();
  }

  void repeat(Statement& statement) {
    statement.kind = StatementKind::repeat;
    statement.values.push_back(expression());
    if (try_word("as"))
      statement.names.push_back(name("the counter's name"));
    statement.body = block();
  }

  void choose(Statement& statement) {
    Nest nest(*this);
    statement.kind = StatementKind::choose;
    statement.values.push_back(expression());
    statement.body = block();
    if (!try_word("else"))
      return;
    if (peek_word("if"))
      statement.otherwise.push_back(this->statement());
    else
      statement.otherwise = block();
  }

  void scan(Statement& statement) {
    statement.kind = StatementKind::scan;
    statement.names = names("the name of a slice");
    if (!try_word("over"))
      unexpected("`over`");
    statement.values = expressions();
    if (statement.names.size() != statement.values.size())
      fail_at(statement.position, "{} names scan over {} sequences", statement.names.size(),
              statement.values.size());
    statement.reverse = try_word("reverse");
    if (try_word("carry"))
      statement.carries = names("a carried variable");
    if (try_word("collect"))
      statement.collects = names("a collected variable");
    statement.body = block();
  }

  void assign_or_call(Statement& statement) {
    size_t start = at_;
    if (token().kind == TokenKind::name && (next_is("=") || next_is(","))) {
      statement.kind = StatementKind::assign;
      statement.names = names("a variable");
      mark("=");
      skip_newlines();
      statement.values = expressions();
      return;
    }
    statement.kind = StatementKind::call;
    statement.values.push_back(expression());
    if (statement.values[0]->kind != ExprKind::call) {
      at_ = start;
      unexpected("a statement: `name = value`, a call, `return`, `if`, `repeat` or `scan`");
    }
  }

  bool next_is(std::string_view text) const {
    const Token& next = tokens_[std::min(at_ + 1, tokens_.size() - 1)];
    return next.kind == TokenKind::punctuation && next.text == text;
  }

  // --- Expressions ---

  std::vector<ExprPtr> expressions() {
    std::vector<ExprPtr> all;
    all.push_back(expression());
    while (try_mark(",")) {
      skip_newlines();
      all.push_back(expression());
    }
    return all;
  }

  static ExprPtr make(ExprKind kind, const Position& position, std::string text = "") {
    auto expr = std::make_unique<Expr>();
    expr->kind = kind;
    expr->position = position;
    expr->text = std::move(text);
    return expr;
  }

  static void check_height(Expr& parent, const Expr* child) {
    parent.height = std::max(parent.height, 1 + (child ? child->height : 0));
    if (parent.height > kMaxHeight)
      fail_at(parent.position, "this expression is more than {} levels high; name its parts",
              kMaxHeight);
  }

  static void add_child(Expr& parent, ExprPtr child) {
    check_height(parent, child.get());
    parent.children.push_back(std::move(child));
  }

  static void add_argument(Expr& call, Argument argument) {
    check_height(call, argument.value.get());
    call.arguments.push_back(std::move(argument));
  }

  // expression := pipe ["if" pipe "else" expression]
  ExprPtr expression() {
    Nest nest(*this);
    ExprPtr value = pipe();
    if (!peek_word("if"))
      return value;
    ExprPtr choice = make(ExprKind::conditional, take().position);
    add_child(*choice, std::move(value));
    add_child(*choice, pipe());
    if (!try_word("else"))
      unexpected("`else` and the other value");
    add_child(*choice, expression());
    return choice;
  }

  // pipe := binary ("|>" callee)*
  ExprPtr pipe() {
    ExprPtr value = binary(1);
    while (try_mark("|>")) {
      skip_newlines();
      if (token().kind != TokenKind::name)
        unexpected("a function's name");
      ExprPtr callee = primary();
      if (callee->kind == ExprKind::name)
        callee->kind = ExprKind::call;
      if (callee->kind != ExprKind::call)
        fail_at(callee->position, "a pipe leads into a function");
      callee->arguments.insert(callee->arguments.begin(), Argument{"", value->position, nullptr});
      check_height(*callee, value.get());
      callee->arguments[0].value = std::move(value);
      value = std::move(callee);
    }
    return value;
  }

  const Binary* peek_binary() const {
    for (const Binary& candidate : kBinary)
      if ((token().kind == TokenKind::punctuation || token().kind == TokenKind::name) &&
          token().text == candidate.text)
        return &candidate;
    return nullptr;
  }

  // Precedence climbing: operators of at least `lowest`; ** groups to the right, the rest to the
  // left.
  ExprPtr binary(int lowest) {
    ExprPtr left = unary();
    for (const Binary* found = peek_binary(); found && found->precedence >= lowest;
         found = peek_binary()) {
      Token taken = take();
      skip_newlines();
      ExprPtr node = make(ExprKind::binary, taken.position, taken.text);
      add_child(*node, std::move(left));
      Nest nest(*this);
      add_child(*node, binary(found->precedence + (found->precedence == kPower ? 0 : 1)));
      left = std::move(node);
      const Binary* next = peek_binary();
      if (found->precedence == kComparison && next && next->precedence == kComparison)
        fail_at(token().position, "comparisons do not chain; join two of them with `and`");
    }
    return left;
  }

  ExprPtr unary() {
    bool negation = peek_word("not");
    if (!negation && !peek_mark("-"))
      return postfix();
    Nest nest(*this);
    Token taken = take();
    ExprPtr node = make(ExprKind::unary, taken.position, taken.text);
    add_child(*node, binary((negation ? kNot : kMinus) + 1));
    return node;
  }

  // postfix := primary ("[" index "]")*
  ExprPtr postfix() {
    ExprPtr base = primary();
    while (peek_mark("[")) {
      ExprPtr node = make(ExprKind::index, take().position);
      ExprPtr first = peek_mark(":") ? nullptr : expression();
      add_child(*node, std::move(base));
      add_child(*node, std::move(first));
      if (try_mark(":")) {
        node->kind = ExprKind::slice;
        add_child(*node, peek_mark("]") ? nullptr : expression());
      }
      mark("]");
      base = std::move(node);
    }
    return base;
  }

  ExprPtr primary() {
    if (peek_mark("("))
      return parenthesized();
    if (peek_mark("[")) {
      ExprPtr list = make(ExprKind::list, take().position);
      list_until("]", [&] { add_child(*list, expression()); });
      return list;
    }
    if (token().kind == TokenKind::name)
      return word();
    if (token().kind != TokenKind::integer && token().kind != TokenKind::real &&
        token().kind != TokenKind::string)
      unexpected("a value");
    Token taken = take();
    ExprKind kind = taken.kind == TokenKind::integer  ? ExprKind::integer
                    : taken.kind == TokenKind::string ? ExprKind::string
                                                      : ExprKind::real;
    ExprPtr literal = make(kind, taken.position, taken.text);
    literal->integer = taken.integer;
    literal->real = taken.real;
    return literal;
  }

  // (value), or (a, b): a list.
  ExprPtr parenthesized() {
    Position start = mark("(");
    std::vector<ExprPtr> values = expressions();
    mark(")");
    if (values.size() == 1)
      return std::move(values[0]);
    ExprPtr list = make(ExprKind::list, start);
    for (ExprPtr& value : values)
      add_child(*list, std::move(value));
    return list;
  }

  // A name, a call, or a word with a value of its own.
  ExprPtr word() {
    Position start = token().position;
    if (try_word("none"))
      return make(ExprKind::none, start);
    for (bool value : {false, true})
      if (try_word(value ? "true" : "false")) {
        ExprPtr literal = make(ExprKind::boolean, start);
        literal->integer = value;
        return literal;
      }
    ExprPtr node = make(ExprKind::name, start, name("a value").text);
    if (node->text == "op" && try_mark(".")) {
      node->op = true;
      node->text = name("an op's name").text;
    }
    if (!try_mark("("))
      return node;
    node->kind = ExprKind::call;
    list_until(")", [&] { add_argument(*node, argument()); });
    return node;
  }

  Argument argument() {
    Argument argument{"", token().position, nullptr};
    if (token().kind == TokenKind::name && next_is("=")) {
      argument.name = name("an argument's name").text;
      mark("=");
    }
    argument.value = expression();
    return argument;
  }

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
};

}  // namespace

File parse_file(const Source& source) {
  return Parser(source).file();
}

}  // namespace gradc::model_text
