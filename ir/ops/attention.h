#pragma once
// What the records of attention share. Operands are q [..., queries, depth], k [..., keys, depth]
// and v [..., keys, width]; the axes before these are alike, but that the last of them, the heads,
// may be a whole number of times as many in q: so many neighbours share keys and values. A mask is
// broadcast to the scores [..., queries, keys]: numbers are added, of bool it says which are seen.
#include <optional>
#include <span>

#include "ir/builder.h"
#include "ir/ops/rules.h"

namespace gradc::ops {

struct AttentionShape {
  Dims lead, key_lead;  // of q, of k and v
  int64_t heads = 1, group = 1;  // of q in all; neighbours that share keys
  int64_t queries = 1, keys = 1, depth = 1, width = 1;
  Dims scores() const;  // [..., queries, keys]
};
AttentionShape attention_shape(const Type& q, const Type& k, const Type& v);
// Fails unless the operands fit; `mask` may be null.
void check_attention(const Type& q, const Type& k, const Type& v, const Type* mask,
                     const Attrs& attrs);
// Fails unless there are `fixed` operands, or one more, which is the mask.
const Type* attention_mask(std::span<const Type> operands, size_t fixed);

// Two multiply-adds per score that is seen, query and feature; the softmax counted as 5.
int64_t attention_flops(const AttentionShape& shape, bool causal, int64_t per_score);

// --- Naive evaluation.

// One query's scores. Hidden keys have none.
struct AttentionRow {
  std::vector<int64_t> keys;  // that are seen
  std::vector<double> scores, weights;  // weights: e^(score - top)
  double top = 0, total = 0;
  bool is_empty = false;  // the mask hides all keys: gives zeros
};

class AttentionTensors {
 public:
  // Operands q, k and v; mask may be null.
  AttentionTensors(std::span<const Tensor> operands, const Tensor* mask, const Attrs& attrs);
  const AttentionShape& shape() const { return shape_; }
  // Of query `query` of head `head` of all.
  AttentionRow row(int64_t head, int64_t query) const;
  // The first element of a vector of q, k or v.
  size_t q_at(int64_t head, int64_t query) const;
  size_t k_at(int64_t head, int64_t key) const;
  size_t v_at(int64_t head, int64_t key) const;

 private:
  double mask_at(int64_t head, int64_t query, int64_t key) const;
  const Tensor &q_, &k_, &v_;
  const Tensor* mask_;
  AttentionShape shape_;
  bool causal_;
  double scale_;
};

// --- The same from primitives.

class AttentionParts {
 public:
  AttentionParts(Builder& builder, ValueId q, ValueId k, ValueId v, std::optional<ValueId> mask,
                 const Attrs& attrs);
  const AttentionShape& shape() const { return shape_; }
  bool has_mask() const { return mask_.has_value(); }
  // scale * q k' + mask, `hidden` where a query does not see a key.
  ValueId scores(double hidden);
  // The largest score of a query, at least the lowest number.
  ValueId top(ValueId scores);
  // x repeated along the scores' last axis.
  ValueId along_keys(ValueId x);
  // e^(scores - top) / total, for sums of rows as attention_forward gives them.
  ValueId weights(ValueId top, ValueId total);
  ValueId inverse(ValueId total);  // 1 / total; 0 where a mask left nothing to sum
  ValueId weighted_values(ValueId weights);  // weights v
  ValueId products_with_values(ValueId dy);  // dy v'
  // What gradients of scores mean for the operands.
  ValueId q_gradient(ValueId d_scores);
  ValueId k_gradient(ValueId d_scores);
  ValueId mask_gradient(ValueId d_scores);
  ValueId v_gradient(ValueId weights, ValueId dy);  // weights' dy

 private:
  bool has_bool_mask() const;
  // Whether a query sees a key, of the scores' shape; nothing where all see all.
  std::optional<ValueId> seen();
  ValueId grouped(ValueId x);  // [..., queries, n] as rows of the head of keys that they share
  ValueId times(ValueId x, ValueId y, bool transpose_y);
  ValueId rows_product(ValueId x, ValueId y);  // x' y, summed over queries that share keys

  Builder& b_;
  ValueId q_, k_, v_;
  std::optional<ValueId> mask_;
  AttentionShape shape_;
  bool causal_;
  double scale_;
};

// The lowest number that an element of `dtype` can be.
double lowest_number(DType dtype);

}  // namespace gradc::ops
