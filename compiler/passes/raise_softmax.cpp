// Softmax and its logarithm that were taken apart.
#include "compiler/passes/raise_match.h"

namespace gradc {
namespace {

using Axes = std::vector<int64_t>;

// x of a fold of x over one axis, repeated to x's shape.
struct Line {
  ValueId value;
  int64_t axis = 0;
};

std::optional<Line> line_of(const std::optional<Repeated>& line,
                            const std::optional<Folded>& fold) {
  if (!line || !fold || fold->axes.size() != 1 || fold->axes != line->axes)
    return std::nullopt;
  return Line{fold->value, fold->axes[0]};
}

std::optional<Line> repeated_fold(const Site& s, ValueId value, Opcode code) {
  std::optional<Repeated> line = repeated(s, value);
  return line_of(line, line ? folded(s, line->value, code) : std::nullopt);
}

// x of x less its maximum along the axis; x itself where nothing is taken off.
ValueId without_maximum(const Site& s, ValueId value, int64_t axis) {
  const Op* op = s.producer(value, Opcode::sub);
  std::optional<Line> top =
      op ? repeated_fold(s, op->operand(1), Opcode::reduce_max) : std::nullopt;
  return top && top->value == op->operand(0) && top->axis == axis ? op->operand(0) : value;
}

// exp(x) over its sum
std::optional<ValueId> softmax(Site& s) {
  std::optional<Line> sum = repeated_fold(s, s.x(1), Opcode::reduce_sum);
  ValueId power = sum && sum->value == s.x(0) ? operand_of(s, s.x(0), Opcode::exp) : ValueId{};
  if (!power.valid())
    return std::nullopt;
  return s.emit(Opcode::softmax, {without_maximum(s, power, sum->axis)}, {{"axis", sum->axis}});
}

// x less the logarithm of the sum of its exp
std::optional<ValueId> log_softmax(Site& s) {
  std::optional<Line> whole = repeated_fold(s, s.x(1), Opcode::reduce_log_sum_exp);
  if (!whole) {
    std::optional<Repeated> line = repeated(s, s.x(1));
    ValueId sum = line ? operand_of(s, unreshaped(s, line->value), Opcode::log) : ValueId{};
    if (!sum.valid())
      return std::nullopt;
    whole = line_of(line, folded(s, sum, Opcode::reduce_sum));
    if (whole)
      whole->value = operand_of(s, whole->value, Opcode::exp);
  }
  if (!whole || whole->value != s.x(0))
    return std::nullopt;
  return s.emit(Opcode::log_softmax, {without_maximum(s, s.x(0), whole->axis)},
                {{"axis", whole->axis}});
}

std::optional<ValueId> log_of_softmax(Site& s) {
  const Op* op = s.producer(s.x(), Opcode::softmax);
  return op ? std::optional(s.emit(Opcode::log_softmax, {op->operand(0)}, Attrs(op->attrs)))
            : std::nullopt;
}

constexpr SimplifyRule kRules[] = {
    {Opcode::div, "exp(x - max(x)) / sum(exp(x - max(x))) = softmax(x), max(x) or not", softmax},
    {Opcode::sub, "x - log(sum(exp(x))) = log_softmax(x), max(x) taken off or not", log_softmax},
    {Opcode::log, "log(softmax(x)) = log_softmax(x)", log_of_softmax},
};

}  // namespace

std::span<const SimplifyRule> raise_softmax_rules() {
  return kRules;
}

}  // namespace gradc
