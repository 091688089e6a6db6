// Attention: one composite where nothing is wanted of its inside; else its parts.
#include <cmath>

#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"
#include "ir/half.h"

namespace gradc::onnx {
namespace {

enum Input : size_t { kQuery, kKey, kValue, kMask, kPastKey, kPastValue, kLengths };

// Queries [batch, heads, queries, depth], and keys and values [batch, fewer heads, keys, ...]; each
// of these heads serves heads / fewer ones that follow each other.
struct Heads {
  ValueId q, k, v;
  int64_t batch = 0, heads = 0, kv_heads = 0, queries = 0, keys = 0, past = 0, depth = 0;
  bool joined = false;  // as the node has them, [batch, positions, heads * depth]
};

struct Settings {
  double scale = 1, softcap = 0;
  bool causal = false;
  int64_t left = -1, right = -1;  // positions that a query sees before and after its own; -1: all
  int64_t mode = 0;  // what output 3 is
  DType precision = DType::f32;  // of the softmax
};

// [batch, positions, heads * depth] as [batch, heads, positions, depth]
ValueId split_heads(NodeContext& c, size_t i, int64_t heads) {
  Dims dims = c.dims(i);
  if (heads < 1 || dims[2] % heads != 0)
    fail("input {} is {}, its last axis is not {} heads", i, to_string(c.type(i)), heads);
  ValueId x = c.b.reshape(c.tensor(i), {dims[0], dims[1], heads, dims[2] / heads});
  return c.b.transpose(x, {0, 2, 1, 3});
}

ValueId with_past(NodeContext& c, size_t i, ValueId present) {
  if (!c.has(i))
    return present;
  Dims past = c.dims(i), expected = c.b.dims(present);
  if (past.size() == 4)
    expected[2] = past[2];
  if (past != expected || c.dtype(i) != c.b.type(present).dtype)
    fail("input {} is {}, it does not go before {}", i, to_string(c.type(i)),
         to_string(c.b.type(present)));
  if (past[2] == 0)
    return present;
  return c.b.op(Opcode::concat, {c.tensor(i), present}, {{"axis", int64_t{2}}});
}

Heads read_heads(NodeContext& c) {
  require_float(c, kQuery);
  Heads h;
  h.joined = c.rank(kQuery) == 3;
  if ((!h.joined && c.rank(kQuery) != 4) || c.rank(kKey) != c.rank(kQuery) ||
      c.rank(kValue) != c.rank(kQuery))
    fail("Q, K and V must all have 3 or all 4 axes, they are {}, {} and {}",
         to_string(c.type(kQuery)), to_string(c.type(kKey)), to_string(c.type(kValue)));
  if (c.has(kPastKey) != c.has(kPastValue))
    fail("past_key and past_value must both be given, or neither");
  std::optional<int64_t> heads = c.find_integer("q_num_heads");
  std::optional<int64_t> kv_heads = c.find_integer("kv_num_heads");
  if (h.joined) {
    if (!heads || !kv_heads)
      fail("attributes `q_num_heads` and `kv_num_heads` must be given for inputs of 3 axes");
    h.q = split_heads(c, kQuery, *heads);
    h.k = split_heads(c, kKey, *kv_heads);
    h.v = split_heads(c, kValue, *kv_heads);
  } else {
    h.q = c.tensor(kQuery);
    h.k = c.tensor(kKey);
    h.v = c.tensor(kValue);
  }
  h.k = with_past(c, kPastKey, h.k);
  h.v = with_past(c, kPastValue, h.v);
  Dims q = c.b.dims(h.q), k = c.b.dims(h.k), v = c.b.dims(h.v);
  h.batch = q[0], h.heads = q[1], h.queries = q[2], h.depth = q[3];
  h.kv_heads = k[1], h.keys = k[2];
  h.past = c.has(kPastKey) ? c.dims(kPastKey)[2] : 0;
  if (k[0] != h.batch || k[3] != h.depth || Dims{v[0], v[1], v[2]} != Dims{k[0], k[1], k[2]} ||
      h.heads % h.kv_heads != 0)
    fail("queries {}, keys {} and values {} do not fit", to_string(q), to_string(k), to_string(v));
  if (c.b.type(h.k).dtype != c.dtype(kQuery))
    fail("Q and K must have one element type, they are {} and {}", to_string(c.type(kQuery)),
         to_string(c.type(kKey)));
  return h;
}

Settings read_settings(NodeContext& c, const Heads& h) {
  Settings s;
  s.scale = c.real("scale", 1 / std::sqrt(static_cast<double>(h.depth)));
  s.softcap = c.real("softcap", 0);
  s.causal = c.flag("is_causal");
  s.mode = c.attribute("qk_matmul_output_mode", int64_t{0});
  if (s.mode < 0 || s.mode > 3)
    fail("attribute `qk_matmul_output_mode` is {}, it must lie in [0, 3]", s.mode);
  s.precision = c.find_dtype("softmax_precision").value_or(c.dtype(kQuery));
  if (!is_float(s.precision))
    fail("attribute `softmax_precision` must name a type of floats, it names {}",
         name_of(s.precision));
  if (c.opset >= 25) {
    s.left = c.attribute("left_window_size", int64_t{-1});
    s.right = c.attribute("right_window_size", int64_t{-1});
    if (s.left < -1 || s.right < -1)
      fail("the windows' sizes are {} and {}, they must be at least -1", s.left, s.right);
  }
  return s;
}

// --- Which keys a query sees: [batch or 1, 1, queries, keys], and nothing where it sees all.

class Mask {
 public:
  Mask(NodeContext& context, const Heads& heads, const Settings& settings)
      : c_(context), b_(context.b), h_(heads), s_(settings) {}

  std::optional<ValueId> seen() {
    if (c_.has(kLengths))
      lengths();
    if (s_.causal)
      require(b_.op(Opcode::less_equal, {key(), query()}));
    if (s_.left >= 0)
      require(b_.op(Opcode::less_equal, {b_.shift(query(), -static_cast<double>(s_.left)), key()}));
    if (s_.right >= 0)
      require(b_.op(Opcode::less_equal, {key(), b_.shift(query(), static_cast<double>(s_.right))}));
    return seen_;
  }

 private:
  Dims dims() const { return {lengths_ ? h_.batch : 1, 1, h_.queries, h_.keys}; }
  ValueId numbers(int64_t axis) {
    return b_.op(Opcode::iota, {}, {{"axis", axis}, {"dtype", DType::i64}, {"shape", dims()}});
  }
  ValueId key() { return numbers(3); }
  // A query's own position: behind the past, or the last of the sequence's.
  ValueId query() {
    if (!lengths_)
      return b_.shift(numbers(2), static_cast<double>(h_.past));
    ValueId last = b_.broadcast(*lengths_, {0}, dims());
    return b_.shift(b_.add(numbers(2), last), -static_cast<double>(h_.queries));
  }
  void require(ValueId condition) {
    seen_ = seen_ ? b_.op(Opcode::logical_and, {*seen_, condition}) : condition;
  }
  void lengths() {
    if (c_.dims(kLengths) != Dims{h_.batch} || !is_integer(c_.dtype(kLengths)) || c_.has(kPastKey))
      fail(
          "nonpad_kv_seqlen must be one whole number for each of {} sequences, and none of them "
          "has a past; it is {}",
          h_.batch, to_string(c_.type(kLengths)));
    lengths_ = cast(c_, c_.tensor(kLengths), DType::i64);
    require(b_.op(Opcode::less, {key(), b_.broadcast(*lengths_, {0}, dims())}));
  }

  NodeContext& c_;
  Builder& b_;
  const Heads& h_;
  const Settings& s_;
  std::optional<ValueId> lengths_, seen_;
};

// Input 3 as [1 or batch, 1 or heads, 1 or queries, keys], without the keys that it does not name.
ValueId given_mask(NodeContext& c, const Heads& h) {
  Dims dims = c.dims(kMask);
  while (dims.size() < 4)
    dims.insert(dims.begin(), 1);
  Dims whole = {h.batch, h.heads, h.queries, h.keys};
  bool fits = dims.size() == 4;
  for (size_t i = 0; fits && i < 4; ++i)
    fits = dims[i] == whole[i] || dims[i] == 1 || (i == 3 && dims[i] < whole[i]);
  if (!fits || (c.dtype(kMask) != DType::boolean && c.dtype(kMask) != c.dtype(kQuery)))
    fail("the mask is {}, it must be bool or {} and broadcast to {}", to_string(c.type(kMask)),
         name_of(c.dtype(kQuery)), to_string(whole));
  return c.b.reshape(c.tensor(kMask), dims);
}

// The same where it hides the keys that it does not name.
ValueId padded_mask(NodeContext& c, const Heads& h) {
  ValueId mask = given_mask(c, h);
  Dims dims = c.b.dims(mask);
  if (dims[3] == h.keys || (dims[3] == 1 && c.opset < 24))
    return mask;
  bool has_numbers = c.dtype(kMask) != DType::boolean;
  return c.b.op(Opcode::pad, {mask},
                {{"high", Dims{0, 0, 0, h.keys - dims[3]}},
                 {"low", Dims(4, 0)},
                 {"value", has_numbers ? -HUGE_VAL : 0.0}});
}

// Scores with the numbers of a mask added, where there is one, and which of them count.
struct Masked {
  ValueId scores;
  std::optional<ValueId> seen;  // of the scores' shape; all count without
  bool may_hide_rows = false;
};

Masked masked(NodeContext& c, const Heads& h, const Settings& s, ValueId scores) {
  Builder& b = c.b;
  Dims whole = b.dims(scores);
  Masked m{scores, Mask(c, h, s).seen(), c.has(kLengths) || s.left >= 0 || s.right >= 0};
  if (m.seen)
    m.seen = b.broadcast_to(*m.seen, whole);
  if (!c.has(kMask))
    return m;
  m.may_hide_rows = true;
  ValueId mask = given_mask(c, h), shown = mask;
  Dims dims = b.dims(mask);
  if (c.dtype(kMask) != DType::boolean) {
    ValueId hides =
        b.op(Opcode::is_inf, {mask}, {{"detect_negative", true}, {"detect_positive", false}});
    shown = b.op(Opcode::logical_not, {hides});
    mask = b.select(hides, b.constant_like(mask, 0), mask);
  }
  auto widened = [&](ValueId x) {  // a mask of fewer keys hides the others
    if (dims[3] == h.keys || (dims[3] == 1 && c.opset < 24))
      return b.broadcast_to(x, whole);
    return b.broadcast_to(
        b.op(Opcode::pad, {x},
             {{"high", Dims{0, 0, 0, h.keys - dims[3]}}, {"low", Dims(4, 0)}, {"value", 0.0}}),
        whole);
  };
  shown = widened(shown);
  m.seen = m.seen ? b.op(Opcode::logical_and, {*m.seen, shown}) : shown;
  if (c.dtype(kMask) != DType::boolean)
    m.scores = b.add(scores, widened(mask));
  return m;
}

// --- The whole.

// One row of keys for all queries of the heads that it serves: [batch, kv_heads, heads * queries
// / kv_heads, ...], which copies neither keys nor values.
Dims grouped(const Heads& h, int64_t last) {
  return {h.batch, h.kv_heads, h.heads / h.kv_heads * h.queries, last};
}

// A row without a key that is seen is 0.
ValueId softmax(NodeContext& c, const Settings& s, const Masked& m) {
  Builder& b = c.b;
  ValueId scores = m.scores;
  if (m.seen) {
    double lowest = c.dtype(kQuery) == DType::f16 ? -6e4 : -1e30;
    scores = b.select(*m.seen, scores, b.constant_like(scores, lowest));
  }
  ValueId weights = b.op(Opcode::softmax, {cast(c, scores, s.precision)}, {{"axis", int64_t{3}}});
  if (m.may_hide_rows)
    weights = b.select(*m.seen, weights, b.constant_like(weights, 0));
  return cast(c, weights, c.dtype(kQuery));
}

bool is_small(NodeContext& c) {
  return byte_size(c.dtype(kQuery)) < 4;
}

// As an element of 16 bits.
double root_of_scale(NodeContext& c, const Settings& s) {
  auto root = static_cast<float>(std::sqrt(s.scale));
  return double{c.dtype(kQuery) == DType::f16 ? f16_to_f32(f32_to_f16(root))
                                              : bf16_to_f32(f32_to_bf16(root))};
}

ValueId in_parts(NodeContext& c, const Heads& h, const Settings& s) {
  Builder& b = c.b;
  Dims whole = {h.batch, h.heads, h.queries, h.keys};
  // Queries and keys of 16 bits share the scale, so that neither they nor the scores overflow.
  bool shares = is_small(c) && s.scale > 0;
  ValueId q = b.scale(h.q, shares ? root_of_scale(c, s) : s.scale);
  ValueId k = shares ? b.scale(h.k, root_of_scale(c, s)) : h.k;
  q = b.reshape(q, grouped(h, h.depth));
  ValueId scores = b.reshape(b.matmul(q, k, false, true), whole);
  ValueId shown = scores;  // output 3
  if (s.softcap != 0) {
    ValueId small = b.scale(scores, 1 / s.softcap);
    scores = b.scale(b.op(Opcode::tanh, {small}), s.softcap);
  }
  if (s.mode == 1)
    shown = scores;
  Masked m = masked(c, h, s, scores);
  if (s.mode == 2) {
    ValueId hidden = b.constant_like(m.scores, -HUGE_VAL);
    shown = m.seen ? b.select(*m.seen, m.scores, hidden) : m.scores;
  }
  ValueId weights = softmax(c, s, m);
  c.result(3, s.mode == 3 ? weights : shown);
  ValueId v = cast(c, h.v, c.dtype(kQuery));
  ValueId y = b.matmul(b.reshape(weights, grouped(h, h.keys)), v);
  return b.reshape(y, {h.batch, h.heads, h.queries, b.dims(v)[3]});
}

bool can_be_whole(NodeContext& c, const Heads& h, const Settings& s) {
  return !is_small(c) && s.softcap == 0 && !c.wants(3) && s.precision == c.dtype(kQuery) &&
         c.b.type(h.v).dtype == c.dtype(kQuery);
}

// Whether nothing but what comes behind a query is hidden by other inputs than the mask.
bool hides_future(NodeContext& c, const Heads& h, const Settings& s) {
  return s.causal && !c.has(kLengths) && s.left < 0 && s.right < 0 && h.keys - h.queries == h.past;
}

// One number or truth per score, as far as they differ.
struct WholeMask {
  std::optional<ValueId> mask;
  bool causal = false;
};

WholeMask whole_mask(NodeContext& c, const Heads& h, const Settings& s) {
  Builder& b = c.b;
  if (hides_future(c, h, s))
    return {c.has(kMask) ? std::optional(padded_mask(c, h)) : std::nullopt, true};
  std::optional<ValueId> seen = Mask(c, h, s).seen();
  if (!c.has(kMask))
    return {seen};
  ValueId mask = padded_mask(c, h);
  if (!seen)
    return {mask};
  Dims joint = b.dims(mask), other = b.dims(*seen);
  for (size_t i = 0; i < joint.size(); ++i)
    joint[i] = std::max(joint[i], other[i]);
  mask = b.broadcast_to(mask, joint);
  seen = b.broadcast_to(*seen, joint);
  bool has_numbers = c.dtype(kMask) != DType::boolean;
  return {has_numbers ? b.select(*seen, mask, b.constant_like(mask, -HUGE_VAL))
                      : b.op(Opcode::logical_and, {*seen, mask})};
}

ValueId as_whole(NodeContext& c, const Heads& h, const Settings& s) {
  Builder& b = c.b;
  WholeMask mask = whole_mask(c, h, s);
  std::vector<ValueId> operands = {h.q, h.k, h.v};
  if (mask.mask)
    operands.push_back(*mask.mask);
  return b.op(Opcode::attention, operands, {{"causal", mask.causal}, {"scale", s.scale}});
}

void attention_node(NodeContext& c) {
  Heads h = read_heads(c);
  Settings s = read_settings(c, h);
  ValueId y = can_be_whole(c, h, s) ? as_whole(c, h, s) : in_parts(c, h, s);
  if (h.joined) {
    Dims dims = c.b.dims(y);
    y = c.b.reshape(c.b.transpose(y, {0, 2, 1, 3}), {dims[0], dims[2], dims[1] * dims[3]});
  }
  c.result(0, y);
  c.result(1, h.k);
  c.result(2, h.v);
}

constexpr NodeRule kRules[] = {
    {.op = "Attention", .since = 23, .build = attention_node},
};

}  // namespace

std::span<const NodeRule> attention_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
