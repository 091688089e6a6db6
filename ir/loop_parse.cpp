#include <algorithm>
#include <cctype>
#include <iterator>
#include <map>
#include <unordered_map>

#include "ir/lexer.h"
#include "ir/loop_text.h"

namespace gradc {
namespace loop {
namespace {

class Parser {
 public:
  explicit Parser(Lexer& lex) : lex_(lex) {}

  Kernel run() {
    if (!lex_.try_keyword("loops"))
      lex_.error_at(lex_.position(), "the text of a kernel's loops starts with `loops @name`");
    lex_.take("@");
    kernel_.name = lex_.identifier("a name");
    lex_.take("(");
    while (!lex_.try_take(")"))
      buffer();
    lex_.take("{");
    std::vector<Instr> body = instrs();
    kernel_.body = std::move(constants_);
    std::move(body.begin(), body.end(), std::back_inserter(kernel_.body));
    return std::move(kernel_);
  }

 private:
  void buffer() {
    size_t begin = lex_.position();
    std::string word = lex_.identifier("operand, result, workspace or scratch");
    Buffer buffer;
    for (Space space : {Space::operand, Space::result, Space::workspace, Space::scratch})
      if (name_of(space) == word)
        buffer.space = space;
    if (name_of(buffer.space) != word)
      lex_.error_at(begin, fmt::format("`{}` is no kind of buffer", word));
    begin = lex_.position();
    buffer.name = name();
    if (!buffers_.emplace(buffer.name, kernel_.buffers.size()).second)
      lex_.error_at(begin, fmt::format("%{} is declared twice", buffer.name));
    lex_.take(":");
    buffer.dtype = lex_.dtype();
    lex_.take("[");
    buffer.elements = lex_.integer();
    lex_.take("]");
    kernel_.buffers.push_back(buffer);
    if (lex_.peek() != ')')
      lex_.take(",");
  }

  std::string name() {
    lex_.take("%");
    return lex_.identifier("a name");
  }

  uint32_t new_register(DType dtype, std::string hint) {
    kernel_.regs.push_back(dtype);
    kernel_.hints.push_back(std::move(hint));
    return static_cast<uint32_t>(kernel_.regs.size() - 1);
  }

  uint32_t define(size_t begin, const std::string& name, DType dtype) {
    uint32_t reg = new_register(dtype, name);
    if (!registers_.emplace(name, reg).second)
      lex_.error_at(begin, fmt::format("%{} is defined twice", name));
    return reg;
  }

  uint32_t value() {
    size_t begin = lex_.position();
    if (lex_.peek() != '%')
      return number();
    std::string used = name();
    auto found = registers_.find(used);
    if (found == registers_.end())
      lex_.error_at(begin, fmt::format("%{} is not defined above", used));
    return found->second;
  }

  uint32_t number() {
    size_t begin = lex_.position();
    Attr attr = lex_.attr();
    DType dtype = lex_.try_take(":") ? lex_.dtype() : DType::i64;
    Instr constant{.code = Code::constant, .dtype = dtype};
    if (const double* real = std::get_if<double>(&attr); real && is_float(dtype))
      constant.real = *real;
    else if (const int64_t* integer = std::get_if<int64_t>(&attr); integer && !is_float(dtype))
      constant.integer = *integer;
    else
      lex_.error_at(
          begin, fmt::format("{} is no number of type {}", to_string(attr), gradc::name_of(dtype)));
    auto [known, is_new] = numbers_.emplace(std::pair(to_string(attr), dtype), 0);
    if (!is_new)
      return known->second;
    constant.results = {known->second = new_register(dtype, "c")};
    constants_.push_back(std::move(constant));
    return known->second;
  }

  // %name "[" index "]"
  void element(Instr& instr, uint32_t& buffer) {
    size_t begin = lex_.position();
    auto found = buffers_.find(name());
    if (found == buffers_.end())
      lex_.error_at(begin, "this is no buffer of the kernel");
    buffer = static_cast<uint32_t>(found->second);
    lex_.take("[");
    instr.operands.push_back(value());
    lex_.take("]");
  }

  // The instructions up to the closing brace.
  std::vector<Instr> instrs() {
    std::vector<Instr> body;
    while (!lex_.try_take("}"))
      body.push_back(instr());
    return body;
  }

  struct Target {
    size_t position;
    std::string name;
    DType dtype;
  };

  Instr instr() {
    std::vector<Target> targets;
    while (lex_.peek() == '%') {
      size_t begin = lex_.position();
      std::string target = name();
      lex_.take(":");
      targets.push_back({begin, target, lex_.dtype()});
      if (!lex_.try_take(","))
        lex_.take("=");
    }
    Instr instr;
    size_t begin = lex_.position();
    if (std::optional<LoopKind> kind = try_loop_kind())
      loop(instr, *kind);
    else
      simple(instr, begin);
    size_t expected = instr.code == Code::loop ? instr.operands.size() : has_effect(instr) ? 0 : 1;
    if (targets.size() != expected)
      lex_.error_at(begin,
                    fmt::format("this gives {} values, {} are named", expected, targets.size()));
    for (const Target& target : targets)
      instr.results.push_back(define(target.position, target.name, target.dtype));
    if (targets.size() == 1 && instr.code != Code::loop)
      instr.dtype = targets[0].dtype;
    return instr;
  }

  std::optional<LoopKind> try_loop_kind() {
    for (LoopKind kind :
         {LoopKind::serial, LoopKind::parallel, LoopKind::vector, LoopKind::unrolled})
      if (lex_.try_keyword(name_of(kind)))
        return kind;
    return std::nullopt;
  }

  Code code() {
    size_t begin = lex_.position();
    std::string word = lex_.identifier("an instruction");
    std::optional<Code> found = code_named(word);
    if (!found || *found == Code::loop || *found == Code::constant || *found == Code::load_if)
      lex_.error_at(begin, fmt::format("unknown instruction `{}`", word));
    return *found;
  }

  void simple(Instr& instr, size_t begin) {
    instr.code = code();
    if (instr.code == Code::load && lex_.try_keyword("where")) {
      instr.code = Code::load_if;
      instr.operands.push_back(value());
      element(instr, instr.buffer);
      if (!lex_.try_keyword("else"))
        lex_.error_at(begin, "`load where` ends with `else` and a value");
      instr.operands.push_back(value());
    } else if (instr.code == Code::load || instr.code == Code::fetch) {
      element(instr, instr.buffer);
    } else if (instr.code == Code::tile) {
      tile(instr);
    } else if (instr.code == Code::transpose) {
      instr.transpose = moved<Transpose>(instr);
      instr.transpose->pairs = lex_.try_keyword("pairs");
    } else if (instr.code == Code::pair_rows) {
      instr.pair_rows = moved<PairRows>(instr);
    } else if (instr.code == Code::matrix) {
      matrix(instr);
    } else if (instr.code == Code::store) {
      instr.streamed = lex_.try_keyword("streamed");
      element(instr, instr.buffer);
      lex_.take("=");
      instr.operands.push_back(value());
      instr.dtype = kernel_.buffers[instr.buffer].dtype;
    } else {
      lex_.take("(");
      while (!lex_.try_take(")")) {
        instr.operands.push_back(value());
        if (lex_.peek() != ')')
          lex_.take(",");
      }
    }
  }

  void loop(Instr& instr, LoopKind kind) {
    instr.code = Code::loop;
    instr.kind = kind;
    size_t begin = lex_.position();
    std::string iteration = name();
    keyword("in");
    lex_.take("0..");
    if (lex_.peek() == '%') {
      size_t at = lex_.position();
      instr.count = value();
      if (kind != LoopKind::serial || kernel_.regs[*instr.count] != DType::i64)
        lex_.error_at(at, "only a serial loop runs as often as a register says, an i64");
      keyword("of");
    }
    instr.extent = lex_.integer();
    if (lex_.try_keyword("in_flight"))
      instr.in_flight = lex_.integer();
    instr.params.push_back(define(begin, iteration, DType::i64));
    if (lex_.try_take("("))
      while (!lex_.try_take(")"))
        carry(instr);
    lex_.take("{");
    instr.body = instrs();
  }

  void keyword(std::string_view word) {
    if (!lex_.try_keyword(word))
      lex_.error_at(lex_.position(), fmt::format("expected `{}`", word));
  }

  int64_t setting(std::string_view word) {
    keyword(word);
    return lex_.integer();
  }

  void tile(Instr& instr) {
    Tile tile;
    element(instr, tile.a_buffer);
    lex_.take("*");
    element(instr, tile.b_buffer);
    if ((tile.accumulate = lex_.try_take("+")))
      element(instr, tile.acc_buffer);
    tile.a_row_step = setting("row_step");
    tile.b_group_step = setting("group_step");
    if (tile.accumulate) {
      tile.acc_row_step = setting("acc_steps");
      tile.acc_group_step = lex_.integer();
    }
    while (lex_.try_keyword("over")) {
      bool counted = lex_.peek() == '%';
      if (counted) {
        instr.operands.push_back(value());
        keyword("of");
      }
      int64_t extent = lex_.integer(), a_step = setting("a_step");
      tile.loops.push_back({extent, a_step, setting("b_step"), counted});
    }
    if (lex_.try_keyword("depth"))
      tile.depth = lex_.integer();
    tile.padded = lex_.try_keyword("padded");
    while (lex_.try_keyword("ahead")) {
      TileAhead& ahead = tile.ahead.emplace_back();
      ahead.written = lex_.try_keyword("written");
      element(instr, ahead.buffer);
      ahead.rows = setting("rows");
      ahead.row_step = setting("step");
      ahead.columns = setting("columns");
    }
    lex_.take("(");
    for (int64_t* extent : {&tile.rows, &tile.groups, &tile.columns}) {
      size_t begin = lex_.position();
      instr.params.push_back(define(begin, name(), DType::i64));
      keyword("in");
      lex_.take("0..");
      *extent = lex_.integer();
      lex_.take(",");
    }
    size_t begin = lex_.position();
    std::string sum = name();
    lex_.take(":");
    instr.dtype = lex_.dtype();
    instr.params.push_back(define(begin, sum, instr.dtype));
    lex_.take(")");
    lex_.take("{");
    instr.body = instrs();
    instr.tile = std::move(tile);
  }

  // What transpose and pair_rows have in common.
  template <typename Move>
  Move moved(Instr& instr) {
    Move move;
    element(instr, move.to_buffer);
    move.to_step = setting("step");
    lex_.take("=");
    element(instr, move.from_buffer);
    move.from_step = setting("step");
    move.rows = setting("rows");
    move.columns = setting("columns");
    std::swap(instr.operands[0], instr.operands[1]);
    instr.dtype = kernel_.buffers[move.from_buffer].dtype;
    return move;
  }

  void matrix(Instr& instr) {
    size_t begin = lex_.position();
    Matrix m;
    element(instr, m.c_buffer);
    m.c_step = setting("step");
    m.accumulate = lex_.try_take("+=");
    if (!m.accumulate)
      lex_.take("=");
    element(instr, m.a_buffer);
    m.a_step = setting("step");
    lex_.take("*");
    element(instr, m.b_buffer);
    m.rows = setting("rows");
    m.columns = setting("columns");
    m.depth = setting("depth");
    auto type = [&](uint32_t buffer) { return kernel_.buffers[buffer].dtype; };
    if (type(m.a_buffer) != DType::bf16 || type(m.b_buffer) != DType::bf16 ||
        type(m.c_buffer) != DType::f32)
      lex_.error_at(begin, "a matrix product reads bf16 and writes f32");
    if (m.columns % kMatrixColumns != 0 || m.depth % kMatrixDepth != 0)
      lex_.error_at(begin, fmt::format("columns are a multiple of {} and depth of {}",
                                       kMatrixColumns, kMatrixDepth));
    std::rotate(instr.operands.begin(), instr.operands.begin() + 1, instr.operands.end());
    instr.dtype = DType::f32;
    instr.matrix = m;
  }

  // The initial value is read before the carry's name is known.
  void carry(Instr& instr) {
    size_t begin = lex_.position();
    std::string carried = name();
    lex_.take(":");
    DType dtype = lex_.dtype();
    lex_.take("=");
    instr.operands.push_back(value());
    instr.params.push_back(define(begin, carried, dtype));
    if (instr.kind == LoopKind::vector) {
      if (!lex_.try_keyword("fold"))
        lex_.error_at(lex_.position(), "a vector loop says how a carry is folded: `fold add`");
      instr.folds.push_back(code());
    }
    if (lex_.peek() != ')')
      lex_.take(",");
  }

  Lexer& lex_;
  Kernel kernel_;
  std::vector<Instr> constants_;
  std::map<std::pair<std::string, DType>, uint32_t> numbers_;
  std::unordered_map<std::string, uint32_t> registers_;
  std::unordered_map<std::string, size_t> buffers_;
};

}  // namespace
}  // namespace loop

std::vector<loop::Kernel> parse_loop_file(std::string_view text, std::string_view file) {
  Lexer lex(text, file);
  std::vector<loop::Kernel> kernels;
  while (!lex.at_end())
    kernels.push_back(loop::Parser(lex).run());
  return kernels;
}

loop::Kernel parse_loops(std::string_view text, std::string_view file) {
  Lexer lex(text, file);
  loop::Kernel kernel = loop::Parser(lex).run();
  if (!lex.at_end())
    lex.error_at(lex.position(), "expected the end of the text of one kernel");
  return kernel;
}

}  // namespace gradc
