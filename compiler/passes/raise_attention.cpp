// Attention that was taken apart, with and without masks.
#include <algorithm>

#include "compiler/passes/raise_match.h"

namespace gradc {
namespace {

using Axes = std::vector<int64_t>;

// Numbers that exporters write for scores of hidden keys: -1e4 in old models, else the lowest
// number or -inf. Behind softmax such a score is 0 beside any other.
constexpr double kHidden = -1e4;
// One that swallows whatever is added to it.
constexpr double kSwallows = -1e25;

// --- Products.

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

// What a head of keys or values is copied from, where each serves as many heads of queries that
// follow each other: [..., heads, ...] repeated to [..., heads, times, ...] and joined.
std::optional<ValueId> shared(const Site& s, const Matrices& m) {
  const Op* joined = s.producer(m.value, Opcode::reshape);
  const Op* copies = joined ? s.producer(joined->operand(0), Opcode::broadcast) : nullptr;
  if (!copies || m.batch.empty())
    return std::nullopt;
  ValueId from = copies->operand(0);
  Dims whole = s.type(m.value).dims, dims = s.type(from).dims,
       split = s.type(copies->result()).dims;
  auto heads = static_cast<size_t>(m.batch.back());
  if (dims.size() != whole.size() || split.size() != whole.size() + 1)
    return std::nullopt;
  Axes kept = other_axes({m.batch.back() + 1}, static_cast<int64_t>(split.size()));
  int64_t times = split[heads + 1];
  split.erase(split.begin() + m.batch.back() + 1);
  whole[heads] /= times;
  if (copies->attrs.integers("axes") != kept || dims != whole || dims != split)
    return std::nullopt;
  return from;
}

// --- Masks.

// A value of positions: the number along `axis` of the scores, plus `shift`.
struct Position {
  int64_t axis = 0;
  double shift = 0;
};

// Where axes of a broadcast's operand are in the result.
int64_t axis_behind(const Op& broadcast, int64_t axis) {
  return broadcast.attrs.integers("axes")[static_cast<size_t>(axis)];
}

std::optional<Position> position(const Site& s, ValueId value) {
  if (const Op* op = s.producer(value, Opcode::iota))
    return Position{op->attrs.integer("axis"), 0};
  if (std::optional<Shifted> sum = shifted(s, value)) {
    std::optional<Position> found = position(s, sum->value);
    if (found)
      found->shift += sum->number;
    return found;
  }
  if (const Op* op = s.producer(value, Opcode::broadcast)) {
    std::optional<Position> found = position(s, op->operand(0));
    if (found)
      found->axis = axis_behind(*op, found->axis);
    return found;
  }
  return std::nullopt;
}

// `condition` says where a query sees a key of those up to its own, counted from the end; with
// `hides`, where it does not. Positions count from the last axis, as a mask may have fewer.
bool is_causal(const Site& s, ValueId condition, bool hides, int64_t queries, int64_t keys) {
  if (const Op* op = s.producer(condition, Opcode::logical_not))
    return is_causal(s, op->operand(0), !hides, queries, keys);
  if (const Op* op = s.producer(condition, Opcode::broadcast)) {
    // What it repeats holds the last two axes as they are.
    const Axes& axes = op->attrs.integers("axes");
    int64_t rank = s.type(condition).rank(), own = static_cast<int64_t>(axes.size());
    return own >= 2 && axes[axes.size() - 1] == rank - 1 && axes[axes.size() - 2] == rank - 2 &&
           is_causal(s, op->operand(0), hides, queries, keys);
  }
  if (const Op* op = s.producer(condition, Opcode::reshape)) {
    // To or from leading sizes of 1.
    Dims from = s.type(op->operand(0)).dims, to = s.type(condition).dims;
    return from.size() >= 2 && to.size() >= 2 && from[from.size() - 2] == to[to.size() - 2] &&
           from.back() == to.back() &&
           s.type(op->operand(0)).elements() == from[from.size() - 2] * from.back() &&
           is_causal(s, op->operand(0), hides, queries, keys);
  }
  bool strict = s.producer(condition, Opcode::less) != nullptr;
  const Op* op = s.producer(condition, strict ? Opcode::less : Opcode::less_equal);
  std::optional<Position> a = op ? position(s, op->operand(0)) : std::nullopt;
  std::optional<Position> b = op ? position(s, op->operand(1)) : std::nullopt;
  Dims dims = s.type(condition).dims;
  int64_t rank = s.type(condition).rank();
  if (!a || !b || rank < 2 || dims[dims.size() - 2] != queries || dims.back() != keys)
    return false;
  // seen: key <= query + offset; hidden: query + offset < key
  if (hides) {
    if (a->axis != rank - 2 || b->axis != rank - 1)
      return false;
    double offset = a->shift - b->shift - (strict ? 0 : 1);
    return offset == static_cast<double>(keys - queries);
  }
  if (a->axis != rank - 1 || b->axis != rank - 2)
    return false;
  double offset = b->shift - a->shift - (strict ? 1 : 0);
  return offset == static_cast<double>(keys - queries);
}

// A choice between scores and a number that hides them.
struct Choice {
  ValueId condition, rest;
  bool hides = false;  // where the condition holds
  double number = 0;
};

std::optional<Choice> choice(const Site& s, ValueId value) {
  const Op* op = s.producer(value, Opcode::select);
  for (size_t i : {1, 2})
    if (std::optional<double> number = op ? s.number(op->operand(i)) : std::nullopt;
        number && *number <= kHidden)
      return Choice{op->operand(0), op->operand(3 - i), i == 1, *number};
  return std::nullopt;
}

// `value`, which is repeated to the scores' shape, with sizes of 1 where it is.
ValueId narrowed(Site& s, ValueId value) {
  const Op* op = s.producer(value, Opcode::broadcast);
  if (!op)
    return value;
  ValueId from = op->operand(0);
  Axes axes = op->attrs.integers("axes");
  Dims dims(s.type(value).dims.size(), 1);
  for (size_t i = 0; i < axes.size(); ++i)
    dims[static_cast<size_t>(axes[i])] = s.type(from).dims[i];
  return s.reshape(from, dims);
}

// Numbers to be added: 0 where a key is seen.
ValueId as_numbers(Site& s, const Choice& choice, DType dtype) {
  ValueId condition = narrowed(s, choice.condition);
  Type type{dtype, s.type(condition).dims};
  ValueId seen = s.constant(type, 0), hidden = s.constant(type, choice.number);
  return s.emit(Opcode::select,
                {condition, choice.hides ? hidden : seen, choice.hides ? seen : hidden}, {});
}

// softmax(scale * product + numbers...), where causal or not
struct Scores {
  ValueId rest;
  double scale = 1;
  std::optional<Choice> causal;
  std::vector<Choice> choices;  // other ones
  std::vector<ValueId> numbers;
};

bool leads_to_product(const Site& s, ValueId value) {
  value = scaled(s, value).value;
  if (s.producer(value, Opcode::dot))
    return true;
  if (std::optional<Choice> found = choice(s, value))
    return leads_to_product(s, found->rest);
  const Op* op = s.producer(value, Opcode::add);
  return op && (leads_to_product(s, op->operand(0)) || leads_to_product(s, op->operand(1)));
}

// Whether numbers are added that hide the future, as 0 and a hugely negative number.
std::optional<Choice> added_choice(const Site& s, ValueId value) {
  if (const Op* op = s.producer(value, Opcode::broadcast)) {
    const Axes& axes = op->attrs.integers("axes");
    int64_t rank = s.type(value).rank();
    bool holds_last =
        axes.size() >= 2 && axes.back() == rank - 1 && axes[axes.size() - 2] == rank - 2;
    return holds_last ? added_choice(s, op->operand(0)) : std::nullopt;
  }
  std::optional<Choice> found = choice(s, value);
  return found && s.number(found->rest) == 0.0 ? found : std::nullopt;
}

std::optional<Scores> scores(const Site& s, ValueId value) {
  Dims dims = s.type(value).dims;
  int64_t queries = dims[dims.size() - 2], keys = dims.back();
  auto is_future = [&](const Choice& c) {
    return is_causal(s, c.condition, c.hides, queries, keys);
  };
  Scores found{value};
  while (!s.producer(scaled(s, found.rest).value, Opcode::dot)) {
    if (std::optional<Choice> hidden = choice(s, found.rest)) {
      if (is_future(*hidden))
        found.causal = hidden;
      else if (hidden->number <= kSwallows)
        found.choices.push_back(*hidden);
      else
        return std::nullopt;
      found.rest = hidden->rest;
    } else if (const Op* op = s.producer(found.rest, Opcode::add)) {
      size_t side = leads_to_product(s, op->operand(0)) ? 0 : 1;
      if (!leads_to_product(s, op->operand(side)))
        return std::nullopt;
      std::optional<Choice> added = added_choice(s, op->operand(1 - side));
      if (added && is_future(*added))
        found.causal = added;
      else
        found.numbers.push_back(op->operand(1 - side));
      found.rest = op->operand(side);
    } else {
      return std::nullopt;
    }
  }
  Scaled product = scaled(s, found.rest);
  found.rest = product.value, found.scale = product.number;
  return found;
}

// All that hides or shifts scores, as one mask; nothing where only the future is hidden. A mask
// beside it hides the future in its numbers: what a row is that sees nothing stays as it was.
std::optional<ValueId> mask(Site& s, const Scores& scores, DType dtype, const Dims& whole) {
  std::vector<ValueId> terms;
  for (ValueId numbers : scores.numbers)
    terms.push_back(narrowed(s, numbers));
  for (const Choice& choice : scores.choices)
    terms.push_back(as_numbers(s, choice, dtype));
  if (terms.empty())
    return std::nullopt;
  if (scores.causal)
    terms.push_back(as_numbers(s, *scores.causal, dtype));
  Dims dims(whole.size(), 1);
  for (ValueId term : terms)
    for (size_t i = 0; i < dims.size(); ++i)
      dims[i] = std::max(dims[i], s.type(term).dims[i]);
  std::optional<ValueId> sum;
  for (ValueId term : terms) {
    Axes kept;
    Dims own = s.type(term).dims, core;
    for (size_t i = 0; i < dims.size(); ++i)
      if (own[i] == dims[i]) {
        kept.push_back(static_cast<int64_t>(i));
        core.push_back(own[i]);
      }
    if (own != dims)
      term = s.emit(Opcode::broadcast, {s.reshape(term, core)}, {{"axes", kept}, {"shape", dims}});
    sum = sum ? s.emit(Opcode::add, {*sum, term}, {}) : term;
  }
  return sum;
}

// w of select(is_nan(w), 0, w): what softmax makes of a row without keys becomes 0.
ValueId without_nan(const Site& s, ValueId value) {
  const Op* op = s.producer(value, Opcode::select);
  if (!op || s.number(op->operand(1)) != 0.0 ||
      operand_of(s, op->operand(0), Opcode::is_nan) != op->operand(2))
    return value;
  return op->operand(2);
}

// softmax(number * q k' + mask) v, where the product of q and k may take its number before or
// behind.
std::optional<ValueId> attention(Site& s) {
  ValueId chosen = without_nan(s, s.x(0));
  const Op* weights = s.producer(chosen, Opcode::softmax);
  int64_t last = s.type(s.x(0)).rank() - 1;
  std::optional<Matrices> p = matrices(s, s.op(), 0), v = matrices(s, s.op(), 1);
  if (!weights || !p || !v || last < 1 || weights->attrs.integer("axis") != last ||
      p->summed != last || p->own != last - 1 ||
      !std::is_sorted(p->batch.begin(), p->batch.end()) || !s.only_use(s.x(0)) ||
      !is_float(s.type(chosen).dtype))
    return std::nullopt;
  std::optional<Scores> found = scores(s, weights->operand(0));
  const Op* product = found ? s.producer(found->rest, Opcode::dot) : nullptr;
  std::optional<Matrices> q = product ? matrices(s, *product, 0) : std::nullopt;
  std::optional<Matrices> k = product ? matrices(s, *product, 1) : std::nullopt;
  if (!q || !k)
    return std::nullopt;
  DType dtype = s.type(chosen).dtype;
  // In 16 bits products of q and k as they were before their numbers may overflow.
  if (byte_size(dtype) >= 4)
    for (Matrices* m : {&*q, &*k}) {
      Scaled part = scaled(s, m->value);
      m->value = part.value;
      found->scale *= part.number;
    }
  std::optional<ValueId> numbers = mask(s, *found, dtype, s.type(chosen).dims);
  if (chosen != s.x(0) && !numbers)
    return std::nullopt;
  std::optional<ValueId> keys = shared(s, *k), values = shared(s, *v);
  if (keys && values &&
      s.type(*keys).dims[static_cast<size_t>(k->batch.back())] ==
          s.type(*values).dims[static_cast<size_t>(v->batch.back())])
    k->value = *keys, v->value = *values;
  std::vector<ValueId> operands = {ordered(s, *q, q->own, q->summed),
                                   ordered(s, *k, k->own, k->summed),
                                   ordered(s, *v, v->summed, v->own)};
  if (numbers)
    operands.push_back(*numbers);
  return s.emit(Opcode::attention, operands,
                {{"causal", found->causal.has_value() && !numbers}, {"scale", found->scale}});
}

constexpr SimplifyRule kRules[] = {
    {Opcode::dot,
     "softmax(a * q k' + mask) v = attention(q, k, v, mask) {scale=a}, where the future is hidden "
     "by -1e4 or less, {causal=true}",
     attention},
};

}  // namespace

std::span<const SimplifyRule> raise_attention_rules() {
  return kRules;
}

}  // namespace gradc
