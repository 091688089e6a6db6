#include "ir/ops/attention.h"

#include <algorithm>
#include <cfloat>
#include <limits>

#include "ir/ops/composite.h"

namespace gradc::ops {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Dims leading(const Type& type) {
  return {type.dims.begin(), type.dims.end() - 2};
}

}  // namespace

Dims AttentionShape::scores() const {
  Dims dims = lead;
  dims.insert(dims.end(), {queries, keys});
  return dims;
}

AttentionShape attention_shape(const Type& q, const Type& k, const Type& v) {
  size_t last = q.dims.size() - 1;
  AttentionShape s{.lead = leading(q), .key_lead = leading(k)};
  s.heads = element_count(s.lead);
  s.group = s.lead.empty() || s.key_lead.back() == 0 ? 1 : s.lead.back() / s.key_lead.back();
  s.queries = q.dims[last - 1], s.depth = q.dims[last];
  s.keys = k.dims[last - 1], s.width = v.dims[last];
  return s;
}

void check_attention(const Type& q, const Type& k, const Type& v, const Type* mask,
                     const Attrs& attrs) {
  check_floats(std::array{q, k, v});
  if (q.rank() < 2 || k.rank() != q.rank() || v.rank() != q.rank())
    fail("queries {}, keys {} and values {} need one rank of at least 2", to_string(q),
         to_string(k), to_string(v));
  size_t last = q.dims.size() - 1;
  Dims lead = leading(q), key_lead = leading(k);
  bool fits = key_lead == leading(v);
  for (size_t i = 0; fits && i < lead.size(); ++i)
    fits = lead[i] == key_lead[i] ||
           (i + 1 == lead.size() && key_lead[i] > 0 && lead[i] % key_lead[i] == 0);
  if (!fits)
    fail("leading sizes of queries {}, keys {} and values {} differ", to_string(q), to_string(k),
         to_string(v));
  if (q.dims[last] != k.dims[last])
    fail("queries {} have {} features, keys {} have {}", to_string(q), q.dims[last], to_string(k),
         k.dims[last]);
  if (k.dims[last - 1] != v.dims[last - 1])
    fail("there are {} keys in {} and {} values in {}", k.dims[last - 1], to_string(k),
         v.dims[last - 1], to_string(v));
  if (attrs.flag("causal") && q.dims[last - 1] > k.dims[last - 1])
    fail("causal attention of {} queries {} over {} keys {}: the first queries would see none",
         q.dims[last - 1], to_string(q), k.dims[last - 1], to_string(k));
  if (!mask)
    return;
  Dims whole = attention_shape(q, k, v).scores();
  fits = (mask->dtype == DType::boolean || mask->dtype == q.dtype) &&
         mask->dims.size() <= whole.size();
  for (size_t i = 1; fits && i <= mask->dims.size(); ++i) {
    int64_t size = mask->dims[mask->dims.size() - i];
    fits = size == 1 || size == whole[whole.size() - i];
  }
  if (!fits)
    fail("the mask is {}, it must be bool or {} and broadcast to the scores {}", to_string(*mask),
         name_of(q.dtype), to_string(whole));
}

const Type* attention_mask(std::span<const Type> operands, size_t fixed) {
  if (operands.size() != fixed && operands.size() != fixed + 1)
    fail("there are {} operands, there must be {}, or a mask behind them", operands.size(), fixed);
  return operands.size() > fixed ? &operands[fixed] : nullptr;
}

int64_t attention_flops(const AttentionShape& s, bool causal, int64_t per_score) {
  int64_t seen = s.queries * s.keys;
  if (causal)
    seen -= s.queries * (s.queries - 1) / 2;
  return s.heads * seen * per_score;
}

double lowest_number(DType dtype) {
  switch (dtype) {
    case DType::f64:
      return -DBL_MAX;
    case DType::f16:
      return -65504;
    case DType::bf16:
      return -0x1.fep127;
    default:
      return -double{FLT_MAX};
  }
}

// --- Naive evaluation.

AttentionTensors::AttentionTensors(std::span<const Tensor> operands, const Tensor* mask,
                                   const Attrs& attrs)
    : q_(operands[0]),
      k_(operands[1]),
      v_(operands[2]),
      mask_(mask),
      shape_(attention_shape(q_.type, k_.type, v_.type)),
      causal_(attrs.flag("causal")),
      scale_(attrs.real("scale")) {}

size_t AttentionTensors::q_at(int64_t head, int64_t query) const {
  return static_cast<size_t>((head * shape_.queries + query) * shape_.depth);
}

size_t AttentionTensors::k_at(int64_t head, int64_t key) const {
  return static_cast<size_t>((head / shape_.group * shape_.keys + key) * shape_.depth);
}

size_t AttentionTensors::v_at(int64_t head, int64_t key) const {
  return static_cast<size_t>((head / shape_.group * shape_.keys + key) * shape_.width);
}

double AttentionTensors::mask_at(int64_t head, int64_t query, int64_t key) const {
  Dims at = unravel(head, shape_.lead);
  at.insert(at.end(), {query, key});
  at.erase(at.begin(), at.end() - mask_->type.rank());
  for (size_t i = 0; i < at.size(); ++i)
    if (mask_->type.dims[i] == 1)
      at[i] = 0;
  return element(*mask_, at);
}

AttentionRow AttentionTensors::row(int64_t head, int64_t query) const {
  AttentionRow row;
  row.top = lowest_number(q_.type.dtype);
  bool is_bool = mask_ && mask_->type.dtype == DType::boolean;
  int64_t end = causal_ ? query + shape_.keys - shape_.queries + 1 : shape_.keys;
  for (int64_t key = 0; key < end; ++key) {
    double added = mask_ ? mask_at(head, query, key) : 0;
    if (is_bool && added == 0)
      continue;
    double score = 0;
    for (size_t d = 0; d < static_cast<size_t>(shape_.depth); ++d)
      score += q_.data[q_at(head, query) + d] * k_.data[k_at(head, key) + d];
    score = score * scale_ + (is_bool ? 0 : added);
    row.keys.push_back(key);
    row.scores.push_back(score);
    row.top = std::isnan(score) || score > row.top ? score : row.top;
  }
  for (double score : row.scores) {
    row.weights.push_back(std::exp(score - row.top));
    row.total += row.weights.back();
  }
  row.is_empty = mask_ && row.total == 0;
  return row;
}

// --- The same from primitives.

AttentionParts::AttentionParts(Builder& builder, ValueId q, ValueId k, ValueId v,
                               std::optional<ValueId> mask, const Attrs& attrs)
    : b_(builder),
      q_(q),
      k_(k),
      v_(v),
      mask_(mask),
      shape_(attention_shape(b_.type(q), b_.type(k), b_.type(v))),
      causal_(attrs.flag("causal")),
      scale_(attrs.real("scale")) {}

bool AttentionParts::has_bool_mask() const {
  return mask_ && b_.type(*mask_).dtype == DType::boolean;
}

ValueId AttentionParts::grouped(ValueId x) {
  Dims dims = shape_.key_lead;
  dims.insert(dims.end(), {shape_.group * shape_.queries, b_.dims(x).back()});
  return b_.reshape(x, dims);
}

ValueId AttentionParts::times(ValueId x, ValueId y, bool transpose_y) {
  ValueId product = b_.matmul(grouped(x), y, false, transpose_y);
  Dims dims = shape_.lead;
  dims.insert(dims.end(), {shape_.queries, b_.dims(product).back()});
  return b_.reshape(product, dims);
}

ValueId AttentionParts::rows_product(ValueId x, ValueId y) {
  return b_.matmul(grouped(x), grouped(y), true, false);
}

// key <= query + (keys - queries): the last query sees all keys.
std::optional<ValueId> AttentionParts::seen() {
  std::optional<ValueId> seen;
  Dims whole = shape_.scores();
  auto rank = static_cast<int64_t>(whole.size());
  if (has_bool_mask())
    seen = b_.broadcast_to(*mask_, whole);
  if (!causal_)
    return seen;
  Dims square = {shape_.queries, shape_.keys};
  auto position = [&](int64_t axis) {
    return b_.op(Opcode::iota, {}, {{"axis", axis}, {"dtype", DType::i32}, {"shape", square}});
  };
  ValueId key = position(1);
  ValueId query = b_.shift(position(0), static_cast<double>(shape_.keys - shape_.queries));
  ValueId past = b_.broadcast(b_.op(Opcode::less_equal, {key, query}), {rank - 2, rank - 1}, whole);
  return seen ? b_.op(Opcode::logical_and, {*seen, past}) : past;
}

ValueId AttentionParts::scores(double hidden) {
  ValueId scores = b_.scale(times(q_, k_, true), scale_);
  if (mask_ && !has_bool_mask())
    scores = b_.add(scores, b_.broadcast_to(*mask_, shape_.scores()));
  if (std::optional<ValueId> seen = this->seen())
    scores = b_.select(*seen, scores, b_.constant_like(scores, hidden));
  return scores;
}

ValueId AttentionParts::top(ValueId scores) {
  std::vector<int64_t> keys = {b_.type(scores).rank() - 1};
  ValueId top = b_.op(Opcode::reduce_max_number, {scores}, {{"axes", keys}});
  return b_.op(Opcode::maximum, {top, b_.constant_like(top, lowest_number(b_.type(top).dtype))});
}

ValueId AttentionParts::along_keys(ValueId x) {
  Dims whole = shape_.scores();
  return b_.broadcast_over(x, {static_cast<int64_t>(whole.size()) - 1}, whole);
}

ValueId AttentionParts::inverse(ValueId total) {
  ValueId inverse = b_.div(b_.constant_like(total, 1), total);
  if (!has_mask())
    return inverse;
  ValueId zero = b_.constant_like(total, 0);
  return b_.select(b_.op(Opcode::equal, {total, zero}), zero, inverse);
}

ValueId AttentionParts::weights(ValueId top, ValueId total) {
  ValueId power = b_.op(Opcode::exp_normal, {b_.sub(scores(-kInfinity), along_keys(top))});
  return b_.mul(power, along_keys(inverse(total)));
}

ValueId AttentionParts::weighted_values(ValueId weights) {
  return times(weights, v_, false);
}

ValueId AttentionParts::products_with_values(ValueId dy) {
  return times(dy, v_, true);
}

ValueId AttentionParts::q_gradient(ValueId d_scores) {
  return b_.scale(times(d_scores, k_, false), scale_);
}

ValueId AttentionParts::k_gradient(ValueId d_scores) {
  return b_.scale(rows_product(d_scores, q_), scale_);
}

ValueId AttentionParts::v_gradient(ValueId weights, ValueId dy) {
  return rows_product(weights, dy);
}

ValueId AttentionParts::mask_gradient(ValueId d_scores) {
  Dims mask = b_.dims(*mask_), whole = shape_.scores();
  std::vector<int64_t> repeated;
  for (size_t i = 0; i < whole.size(); ++i) {
    size_t missing = whole.size() - mask.size();
    if (i < missing || (mask[i - missing] == 1 && whole[i] != 1))
      repeated.push_back(static_cast<int64_t>(i));
  }
  return b_.reshape(repeated.empty() ? d_scores : b_.reduce_sum(d_scores, repeated), mask);
}

}  // namespace gradc::ops
