#include "compiler/import/model_expression_parser.h"

#include <algorithm>
#include <array>

namespace gradc::model_text {
namespace {

// Trees are walked by recursion: this keeps any input off the end of the stack.
constexpr int kMaxHeight = 200;

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

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& in) : in_(in) {}

  std::vector<ExprPtr> expressions() {
    std::vector<ExprPtr> all;
    all.push_back(expression());
    while (in_.try_mark(",")) {
      in_.skip_newlines();
      all.push_back(expression());
    }
    return all;
  }

  // expression := pipe ["if" pipe "else" expression]
  ExprPtr expression() {
    TokenStream::Nest nest(in_);
    ExprPtr value = pipe();
    if (!in_.peek_word("if"))
      return value;
    ExprPtr choice = make(ExprKind::conditional, in_.take().position);
    add_child(*choice, std::move(value));
    add_child(*choice, pipe());
    if (!in_.try_word("else"))
      in_.unexpected("`else` and the other value");
    add_child(*choice, expression());
    return choice;
  }

 private:
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

  // pipe := binary ("|>" callee)*
  ExprPtr pipe() {
    ExprPtr value = binary(1);
    while (in_.try_mark("|>")) {
      in_.skip_newlines();
      if (in_.token().kind != TokenKind::name)
        in_.unexpected("a function's name");
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
      if ((in_.token().kind == TokenKind::punctuation || in_.token().kind == TokenKind::name) &&
          in_.token().text == candidate.text)
        return &candidate;
    return nullptr;
  }

  // Precedence climbing: operators of at least `lowest`; ** groups to the right, the rest to the
  // left.
  ExprPtr binary(int lowest) {
    ExprPtr left = unary();
    for (const Binary* found = peek_binary(); found && found->precedence >= lowest;
         found = peek_binary()) {
      Token taken = in_.take();
      in_.skip_newlines();
      ExprPtr node = make(ExprKind::binary, taken.position, taken.text);
      add_child(*node, std::move(left));
      TokenStream::Nest nest(in_);
      add_child(*node, binary(found->precedence + (found->precedence == kPower ? 0 : 1)));
      left = std::move(node);
      const Binary* next = peek_binary();
      if (found->precedence == kComparison && next && next->precedence == kComparison)
        fail_at(in_.position(), "comparisons do not chain; join two of them with `and`");
    }
    return left;
  }

  ExprPtr unary() {
    bool negation = in_.peek_word("not");
    if (!negation && !in_.peek_mark("-"))
      return postfix();
    TokenStream::Nest nest(in_);
    Token taken = in_.take();
    ExprPtr node = make(ExprKind::unary, taken.position, taken.text);
    add_child(*node, binary((negation ? kNot : kMinus) + 1));
    return node;
  }

  // postfix := primary ("[" index "]")*
  ExprPtr postfix() {
    ExprPtr base = primary();
    while (in_.peek_mark("[")) {
      ExprPtr node = make(ExprKind::index, in_.take().position);
      ExprPtr first = in_.peek_mark(":") ? nullptr : expression();
      add_child(*node, std::move(base));
      add_child(*node, std::move(first));
      if (in_.try_mark(":")) {
        node->kind = ExprKind::slice;
        add_child(*node, in_.peek_mark("]") ? nullptr : expression());
      }
      in_.mark("]");
      base = std::move(node);
    }
    return base;
  }

  ExprPtr primary() {
    if (in_.peek_mark("("))
      return parenthesized();
    if (in_.peek_mark("[")) {
      ExprPtr list = make(ExprKind::list, in_.take().position);
      in_.list_until("]", [&] { add_child(*list, expression()); });
      return list;
    }
    if (in_.token().kind == TokenKind::name)
      return word();
    if (in_.token().kind != TokenKind::integer && in_.token().kind != TokenKind::real &&
        in_.token().kind != TokenKind::string)
      in_.unexpected("a value");
    Token taken = in_.take();
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
    Position start = in_.mark("(");
    std::vector<ExprPtr> values = expressions();
    in_.mark(")");
    if (values.size() == 1)
      return std::move(values[0]);
    ExprPtr list = make(ExprKind::list, start);
    for (ExprPtr& value : values)
      add_child(*list, std::move(value));
    return list;
  }

  // A name, a call, or a word with a value of its own.
  ExprPtr word() {
    Position start = in_.position();
    if (in_.try_word("none"))
      return make(ExprKind::none, start);
    for (bool value : {false, true})
      if (in_.try_word(value ? "true" : "false")) {
        ExprPtr literal = make(ExprKind::boolean, start);
        literal->integer = value;
        return literal;
      }
    ExprPtr node = make(ExprKind::name, start, in_.name("a value").text);
    if (node->text == "op" && in_.try_mark(".")) {
      node->op = true;
      node->text = in_.name("an op's name").text;
    }
    if (!in_.try_mark("("))
      return node;
    node->kind = ExprKind::call;
    in_.list_until(")", [&] { add_argument(*node, argument()); });
    return node;
  }

  Argument argument() {
    Argument argument{"", in_.position(), nullptr};
    if (in_.token().kind == TokenKind::name && in_.next_is_mark("=")) {
      argument.name = in_.name("an argument's name").text;
      in_.mark("=");
    }
    argument.value = expression();
    return argument;
  }

  TokenStream& in_;
};

}  // namespace

ExprPtr parse_expression(TokenStream& in) {
  return ExpressionParser(in).expression();
}

std::vector<ExprPtr> parse_expressions(TokenStream& in) {
  return ExpressionParser(in).expressions();
}

}  // namespace gradc::model_text
