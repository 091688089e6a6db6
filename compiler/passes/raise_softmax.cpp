// Softmax, its logarithm and attention that were taken apart.
#include <algorithm>

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

// --- Attention.

// The axes of an operand of a product: batch, one that is its own, one that is summed.
struct Matrices {
  ValueId value;
  Axes batch;
  int64_t own = 0, summed = 0;
};

std::optional<Matrices> matrices(const Site& s, const Op& dot, size_t side) {
  Matrices m{dot.operand(side), dot.attrs.integers(side ? "batch_b" : "batch_a")};
  Axes summed = dot.attrs.integers(side ? "sum_b" : "sum_a"), used = m.batch;
  used.insert(used.end(), summed.begin(), summed.end());
  Axes own = other_axes(used, s.type(m.value).rank());
  if (own.size() != 1 || summed.size() != 1)
    return std::nullopt;
  m.own = own[0], m.summed = summed[0];
  return m;
}

ValueId ordered(Site& s, const Matrices& m, int64_t first, int64_t second) {
  Axes order = m.batch;
  order.insert(order.end(), {first, second});
  return s.transpose(m.value, order);
}

// softmax(number * q k') v, where the product of q and k may take its number before or behind.
std::optional<ValueId> attention(Site& s) {
  const Op* weights = s.producer(s.x(0), Opcode::softmax);
  int64_t last = s.type(s.x(0)).rank() - 1;
  std::optional<Matrices> p = matrices(s, s.op(), 0), v = matrices(s, s.op(), 1);
  if (!weights || !p || !v || weights->attrs.integer("axis") != last || p->summed != last ||
      p->own != last - 1 || !std::is_sorted(p->batch.begin(), p->batch.end()) ||
      !s.only_use(s.x(0)))
    return std::nullopt;
  Scaled scores = scaled(s, weights->operand(0));
  const Op* product = s.producer(scores.value, Opcode::dot);
  std::optional<Matrices> q = product ? matrices(s, *product, 0) : std::nullopt;
  std::optional<Matrices> k = product ? matrices(s, *product, 1) : std::nullopt;
  if (!q || !k || !is_float(s.type(scores.value).dtype))
    return std::nullopt;
  double scale = scores.number;
  // In 16 bits products of q and k as they were before their numbers may overflow.
  if (byte_size(s.type(scores.value).dtype) >= 4)
    for (Matrices* m : {&*q, &*k}) {
      Scaled part = scaled(s, m->value);
      m->value = part.value;
      scale *= part.number;
    }
  ValueId queries = ordered(s, *q, q->own, q->summed), keys = ordered(s, *k, k->own, k->summed);
  return s.emit(Opcode::attention, {queries, keys, ordered(s, *v, v->summed, v->own)},
                {{"causal", false}, {"scale", scale}});
}

constexpr SimplifyRule kRules[] = {
    {Opcode::div, "exp(x - max(x)) / sum(exp(x - max(x))) = softmax(x), max(x) or not", softmax},
    {Opcode::sub, "x - log(sum(exp(x))) = log_softmax(x), max(x) taken off or not", log_softmax},
    {Opcode::log, "log(softmax(x)) = log_softmax(x)", log_of_softmax},
    {Opcode::dot, "softmax(a * q k') v = attention(q, k, v) {scale=a}", attention},
};

}  // namespace

std::span<const SimplifyRule> raise_softmax_rules() {
  return kRules;
}

}  // namespace gradc
