#include <unordered_map>
#include <unordered_set>

#include "ir/attr.h"
#include "ir/diagnostic.h"
#include "ir/loop_text.h"

namespace gradc {
namespace loop {
namespace {

class Printer {
 public:
  explicit Printer(const Kernel& kernel) : kernel_(kernel), values_(kernel.regs.size()) {}

  std::string run() {
    text_ = fmt::format("loops @{}(", kernel_.name);
    for (size_t i = 0; i < kernel_.buffers.size(); ++i) {
      const Buffer& buffer = kernel_.buffers[i];
      buffers_.push_back(unique(buffer.name));
      text_ += fmt::format("{}{} %{}: {}[{}]", i ? ", " : "", name_of(buffer.space), buffers_[i],
                           gradc::name_of(buffer.dtype), buffer.elements);
    }
    text_ += ") {\n";
    body(kernel_.body, 1);
    return text_ + "}\n";
  }

 private:
  std::string unique(const std::string& hint) {
    std::string base = hint.empty() ? "v" : hint, name = base;
    while (!used_.insert(name).second)
      name = fmt::format("{}.{}", base, ++next_[base]);
    return name;
  }

  std::string define(uint32_t reg) {
    values_[reg] = "%" + unique(kernel_.hints[reg]);
    return fmt::format("{}: {}", values_[reg], gradc::name_of(kernel_.regs[reg]));
  }

  static std::string number(const Instr& constant) {
    std::string text = is_float(constant.dtype) ? to_string(Attr(constant.real))
                                                : to_string(Attr(constant.integer));
    return constant.dtype == DType::i64
               ? text
               : fmt::format("{}:{}", text, gradc::name_of(constant.dtype));
  }

  std::string list(const std::vector<uint32_t>& regs) const {
    std::string text;
    for (size_t i = 0; i < regs.size(); ++i)
      text += (i ? ", " : "") + values_[regs[i]];
    return text;
  }

  std::string element(const Instr& instr, uint32_t index) const {
    return fmt::format("%{}[{}]", buffers_[instr.buffer], values_[index]);
  }

  std::string right_side(const Instr& instr) const {
    const std::vector<uint32_t>& x = instr.operands;
    if (instr.code == Code::load || instr.code == Code::fetch)
      return fmt::format("{} {}", name_of(instr.code), element(instr, x[0]));
    if (instr.code == Code::load_if)
      return fmt::format("load where {} {} else {}", values_[x[0]], element(instr, x[1]),
                         values_[x[2]]);
    if (instr.code == Code::store)
      return fmt::format("store {}{} = {}", instr.streamed ? "streamed " : "", element(instr, x[0]),
                         values_[x[1]]);
    return fmt::format("{}({})", name_of(instr.code), list(x));
  }

  void loop(const Instr& instr, const std::string& indent, int depth) {
    std::string head = fmt::format("{} ", name_of(instr.kind));
    define(instr.params[0]);
    head += fmt::format("{} in 0..", values_[instr.params[0]]);
    if (instr.count)
      head += fmt::format("{} of ", values_[*instr.count]);
    head += fmt::format("{}", instr.extent);
    if (instr.in_flight > 0)
      head += fmt::format(" in_flight {}", instr.in_flight);
    for (size_t i = 0; i < instr.operands.size(); ++i) {
      std::string initial = values_[instr.operands[i]];
      head += fmt::format("{}{} = {}", i ? ", " : " (", define(instr.params[i + 1]), initial);
      if (instr.kind == LoopKind::vector)
        head += fmt::format(" fold {}", name_of(instr.folds[i]));
    }
    head += instr.operands.empty() ? " {\n" : ") {\n";
    std::string results;
    for (size_t i = 0; i < instr.results.size(); ++i)
      results += (i ? ", " : "") + define(instr.results[i]);
    text_ += indent + (results.empty() ? "" : results + " = ") + head;
    body(instr.body, depth + 1);
    text_ += indent + "}\n";
  }

  std::string steps_of(const Instr& instr) const {
    const Tile& tile = *instr.tile;
    size_t operand = tile.accumulate ? 3 : 2;
    std::string text =
        fmt::format(" row_step {} group_step {}", tile.a_row_step, tile.b_group_step);
    if (tile.accumulate)
      text += fmt::format(" acc_steps {} {}", tile.acc_row_step, tile.acc_group_step);
    for (const TileLoop& loop : tile.loops)
      text += fmt::format(" over {}{} a_step {} b_step {}",
                          loop.counted ? values_[instr.operands[operand++]] + " of " : "",
                          loop.extent, loop.a_step, loop.b_step);
    if (tile.depth > 1)
      text += fmt::format(" depth {}", tile.depth);
    text += tile.padded ? " padded" : "";
    for (const TileAhead& ahead : tile.ahead)
      text += fmt::format(" ahead {}%{}[{}] rows {} step {} columns {}",
                          ahead.written ? "written " : "", buffers_[ahead.buffer],
                          values_[instr.operands[operand++]], ahead.rows, ahead.row_step,
                          ahead.columns);
    return text;
  }

  void tile(const Instr& instr, const std::string& indent, int depth) {
    const Tile& tile = *instr.tile;
    const int64_t extents[] = {tile.rows, tile.groups, tile.columns};
    auto at = [&](uint32_t buffer, size_t operand) {
      return fmt::format("%{}[{}]", buffers_[buffer], values_[instr.operands[operand]]);
    };
    text_ += fmt::format("{}tile {} * {}", indent, at(tile.a_buffer, 0), at(tile.b_buffer, 1));
    if (tile.accumulate)
      text_ += " + " + at(tile.acc_buffer, 2);
    text_ += steps_of(instr) + " (";
    for (size_t i = 0; i < 3; ++i) {
      define(instr.params[i]);
      text_ += fmt::format("{} in 0..{}, ", values_[instr.params[i]], extents[i]);
    }
    text_ += define(instr.params[3]) + ") {\n";
    body(instr.body, depth + 1);
    text_ += indent + "}\n";
  }

  std::string transposed(const Instr& instr) const {
    const Transpose& t = *instr.transpose;
    return moved("transpose", t, instr) + (t.pairs ? " pairs" : "");
  }

  template <typename Move>
  std::string moved(std::string_view word, const Move& move, const Instr& instr) const {
    return fmt::format("{} %{}[{}] step {} = %{}[{}] step {} rows {} columns {}", word,
                       buffers_[move.to_buffer], values_[instr.operands[1]], move.to_step,
                       buffers_[move.from_buffer], values_[instr.operands[0]], move.from_step,
                       move.rows, move.columns);
  }

  std::string matrix(const Instr& instr) const {
    const Matrix& m = *instr.matrix;
    return fmt::format(
        "matrix %{}[{}] step {} {} %{}[{}] step {} * %{}[{}] rows {} columns {} depth {}",
        buffers_[m.c_buffer], values_[instr.operands[2]], m.c_step, m.accumulate ? "+=" : "=",
        buffers_[m.a_buffer], values_[instr.operands[0]], m.a_step, buffers_[m.b_buffer],
        values_[instr.operands[1]], m.rows, m.columns, m.depth);
  }

  void body(const std::vector<Instr>& instrs, int depth) {
    std::string indent(static_cast<size_t>(2 * depth), ' ');
    for (const Instr& instr : instrs) {
      if (instr.code == Code::constant)
        values_[instr.results[0]] = number(instr);
      else if (instr.code == Code::loop)
        loop(instr, indent, depth);
      else if (instr.code == Code::tile)
        tile(instr, indent, depth);
      else if (instr.code == Code::transpose)
        text_ += indent + transposed(instr) + "\n";
      else if (instr.code == Code::pair_rows)
        text_ += indent + moved("pair_rows", *instr.pair_rows, instr) + "\n";
      else if (instr.code == Code::matrix)
        text_ += indent + matrix(instr) + "\n";
      else if (instr.results.empty())
        text_ += indent + right_side(instr) + "\n";
      else
        text_ += indent + define(instr.results[0]) + " = " + right_side(instr) + "\n";
    }
  }

  const Kernel& kernel_;
  std::vector<std::string> values_;  // by register: its name or its number
  std::vector<std::string> buffers_;
  std::unordered_set<std::string> used_;
  std::unordered_map<std::string, int> next_;
  std::string text_;
};

}  // namespace
}  // namespace loop

std::string print(const loop::Kernel& kernel) {
  return loop::Printer(kernel).run();
}

std::string print(std::span<const loop::Kernel> kernels) {
  std::string text;
  for (const loop::Kernel& kernel : kernels)
    text += (text.empty() ? "" : "\n") + print(kernel);
  return text;
}

}  // namespace gradc
