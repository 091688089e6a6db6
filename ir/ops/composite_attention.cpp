// Attention: each query's average of the values, weighted by softmax of its products with the keys.
#include <algorithm>

#include "ir/ops/composite.h"

namespace gradc::ops {
namespace {

// Operands q [..., queries, depth], k [..., keys, depth] and v [..., keys, width].
struct Shape {
  int64_t rank, queries, keys, depth;
};

Shape shape_of(const Type& q, const Type& k) {
  size_t last = q.dims.size() - 1;
  return {q.rank(), q.dims[last - 1], k.dims[last - 1], q.dims[last]};
}

Types infer_attention(std::span<const Type> x, const Attrs& attrs) {
  check_floats(x);
  const Type &q = x[0], &k = x[1], &v = x[2];
  if (q.rank() < 2 || k.rank() != q.rank() || v.rank() != q.rank())
    fail("queries {}, keys {} and values {} need one rank of at least 2", to_string(q),
         to_string(k), to_string(v));
  size_t last = q.dims.size() - 1;
  auto batch = [&](const Type& type) { return Dims(type.dims.begin(), type.dims.end() - 2); };
  if (batch(q) != batch(k) || batch(q) != batch(v))
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
  Type y = q;
  y.dims[last] = v.dims[last];
  return one(y);
}

std::vector<Tensor> eval_attention(std::span<const Tensor> x, const Op& op,
                                   std::span<const Type> types) {
  const Tensor &q = x[0], &k = x[1], &v = x[2];
  Shape shape = shape_of(q.type, k.type);
  auto last = static_cast<size_t>(shape.rank - 1);
  return {tensor_of(types[0], [&](const Dims& at) {
    int64_t seen =
        op.attrs.flag("causal") ? at[last - 1] + shape.keys - shape.queries + 1 : shape.keys;
    std::vector<double> scores;
    Dims q_at = at, k_at = at, v_at = at;
    for (k_at[last - 1] = 0; k_at[last - 1] < seen; ++k_at[last - 1]) {
      double score = 0;
      for (int64_t d = 0; d < shape.depth; ++d) {
        q_at[last] = k_at[last] = d;
        score += element(q, q_at) * element(k, k_at);
      }
      scores.push_back(score * op.attrs.real("scale"));
    }
    double top = *std::max_element(scores.begin(), scores.end()), sum = 0, total = 0;
    for (v_at[last - 1] = 0; v_at[last - 1] < seen; ++v_at[last - 1]) {
      double weight = std::exp(scores[static_cast<size_t>(v_at[last - 1])] - top);
      sum += weight * element(v, v_at);
      total += weight;
    }
    return sum / total;
  })};
}

// Finite, so that a masked score less the row's maximum is never infinity less infinity; far enough
// below any score that its exp is 0.
double masked_score(DType dtype) {
  return dtype == DType::f16 ? -6e4 : -1e30;
}

// Scores where key <= query + (keys - queries): the last query sees all keys.
ValueId mask_future(Builder& b, ValueId scores, const Shape& shape) {
  Dims square = {shape.queries, shape.keys};
  auto position = [&](int64_t axis) {
    return b.op(Opcode::iota, {}, {{"axis", axis}, {"dtype", DType::i32}, {"shape", square}});
  };
  ValueId key = position(1);
  ValueId query = b.shift(position(0), static_cast<double>(shape.keys - shape.queries));
  ValueId visible = b.op(Opcode::less_equal, {key, query});
  ValueId everywhere = b.broadcast(visible, {shape.rank - 2, shape.rank - 1}, b.dims(scores));
  ValueId masked = b.constant_like(scores, masked_score(b.type(scores).dtype));
  return b.select(everywhere, scores, masked);
}

std::vector<ValueId> expand_attention(Builder& b, const Op& op) {
  ValueId q = op.operand(0), k = op.operand(1), v = op.operand(2);
  Shape shape = shape_of(b.type(q), b.type(k));
  ValueId scores = b.scale(b.matmul(q, k, false, true), op.attrs.real("scale"));
  if (op.attrs.flag("causal"))
    scores = mask_future(b, scores, shape);
  ValueId weights = b.op(Opcode::softmax, {scores}, {{"axis", shape.rank - 1}});
  return {b.matmul(weights, v)};
}

// Two multiply-adds per query, key and feature; the softmax counted as 5 per score.
int64_t flops_attention(std::span<const Type> x, std::span<const Type> y, const Attrs&) {
  Shape shape = shape_of(x[0], x[1]);
  int64_t scores = x[0].elements() / shape.depth * shape.keys;
  return scores * (2 * shape.depth + 2 * y[0].dims.back() + 5);
}

}  // namespace

extern constexpr OpDef attention = {
    .name = "attention",
    .doc =
        "softmax(q k' * scale) v for q [..., queries, depth], k [..., keys, depth] and v [..., "
        "keys, width]. With `causal` a query sees only keys up to its own position, counted from "
        "the end.",
    .examples =
        "attention(f32[2,3,4], f32[2,5,4], f32[2,5,2]) {causal=false, scale=0.5}\n"
        "attention(f32[1,2,4,3], f32[1,2,4,3], f32[1,2,4,3]) {causal=true, scale=0.577}\n"
        "attention(f32[2,3], f32[4,3], f32[4,3]) {causal=true, scale=1.0}",
    .kernel = KernelClass::composite,
    .operands = 3,
    .attrs = {{"causal", AttrKind::boolean}, {"scale", AttrKind::real}},
    .infer = infer_attention,
    .eval = eval_attention,
    .flops = flops_attention,
    .expand = expand_attention,
};

}  // namespace gradc::ops
