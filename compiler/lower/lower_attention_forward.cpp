// attention_forward: per strip of queries, with running largest scores and sums (Milakov and
// Gimelshein 2018; Dao et al. 2022):
//
//   parallel head, strip {
//     q' = q transposed, sums = 0, top = -inf, total = 0
//     block of keys {
//       scores = scale * k q', masked
//       top = max(top, scores), weights = exp(scores - top), what was summed is scaled to the new
//       top total += weights, sums += weights' v
//     }
//     y = sums / total
//   }
#include <limits>

#include "compiler/lower/attention_strips.h"
#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/split.h"

namespace gradc {
namespace {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

class ForwardLowering {
 public:
  ForwardLowering(const Function& function, const Target& target, int threads)
      : kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        s_(function, b_, values_, target, 3),
        shape_(s_.shape()),
        dtype_(s_.dtype()) {
    parallel_ = threads > 1 && s_.nanoseconds(shape_.depth + shape_.width) > kParallelNanoseconds;
    for (size_t i = 0; i < results_.size(); ++i)
      results_[i] = s_.result(i);
    int64_t rows = s_.strip_rows();
    q_ = s_.scratch("q", shape_.depth * rows);
    weights_ = s_.scratch("weights", s_.most_keys() * rows);
    sums_ = s_.scratch("sums", shape_.width * rows);
    factors_ = s_.scratch("factors", rows);
    top_ = s_.scratch("top", rows);
    total_ = s_.scratch("total", rows);
  }

  loop::Kernel run() {
    int64_t strips = shape_.queries / s_.strip_rows(), rest = shape_.queries % s_.strip_rows();
    if (strips > 0) {
      Scalar part = begin_parts(b_, shape_.heads * strips, parallel_);
      lower_strip(whole_strip(part, strips), whole_strip(b_.add(part, b_.index(1)), strips));
    }
    if (rest > 0) {
      Scalar head = begin_parts(b_, shape_.heads, parallel_);
      Scalar first = b_.index(shape_.queries - rest);
      lower_strip(strip_of(head, first, rest), strip_of(b_.add(head, b_.index(1)), first, rest));
    }
    return std::move(kernel_);
  }

 private:
  // 0, n - 1, 1, n - 2, ...: the first strips of causal attention are short, the last are long.
  Scalar in_pairs(Scalar i, int64_t n) {
    if (!s_.is_causal())
      return i;
    Scalar pair = b_.div(i, b_.index(2)), is_second = b_.rem(i, b_.index(2));
    Scalar last = b_.sub(b_.index(n - 1), b_.scaled(pair, 2));
    return b_.add(pair, b_.mul(is_second, last));
  }

  AttentionStrip strip_of(Scalar head, Scalar first, int64_t rows) {
    return {head, b_.div(head, b_.index(shape_.group)), first, rows};
  }

  AttentionStrip whole_strip(Scalar part, int64_t strips) {
    Scalar i = b_.rem(part, b_.index(strips));
    return strip_of(b_.div(part, b_.index(strips)), b_.scaled(in_pairs(i, strips), s_.strip_rows()),
                    s_.strip_rows());
  }

  void lower_strip(const AttentionStrip& strip, const AttentionStrip& next) {
    begin(strip);
    s_.for_each_block(strip, [&](const AttentionBlock& block) {
      std::vector<AttentionAhead> ahead = {s_.rows_of(strip, block, s_.operand(2), shape_.width)};
      if (block.diagonal)
        ahead.push_back(s_.rows_of(next, s_.operand(0), shape_.depth, false));
      s_.products(strip, block, s_.operand(1), shape_.depth, q_, weights_, true, ahead);
      for (const AttentionRows& group : block.rows)
        weigh(group);
      for_each_sum(strip, [&](Scalar at, Scalar factor) {
        b_.store(sums_, at, b_.mul(b_.load(sums_, at), factor));
      });
      s_.add_queries(strip, block, weights_, s_.operand(2), shape_.width, sums_, b_.index(0),
                     block.diagonal ? s_.rows_of(strip, results_[0], shape_.width, true)
                                    : s_.rows_after(strip, block, s_.operand(1), shape_.depth));
    });
    finish(strip);
    while (b_.depth() > 0)
      b_.end_for();
  }

  Scalar number(double value) { return b_.constant(dtype_, value); }

  // Calls f(where a sum lies, the factor of its query).
  template <typename F>
  void for_each_sum(const AttentionStrip& strip, F f) {
    Scalar row = b_.begin_for(LoopKind::serial, strip.rows)[0];
    Scalar factor = b_.load(factors_, row);
    Scalar column = b_.begin_for(LoopKind::vector, shape_.width)[0];
    f(b_.add(b_.scaled(row, shape_.width), column), factor);
    b_.end_for();
    b_.end_for();
  }

  void begin(const AttentionStrip& strip) {
    s_.stage(strip, s_.operand(0), shape_.depth, q_);
    s_.for_each_row({0, strip.rows, 0}, [&](Scalar row) {
      b_.store(top_, row, number(-std::numeric_limits<double>::infinity()));
      b_.store(total_, row, number(0));
    });
    Scalar i = b_.begin_for(LoopKind::vector, strip.rows * shape_.width)[0];
    b_.store(sums_, i, number(0));
    b_.end_for();
  }

  Scalar score_at(Scalar key, Scalar row) { return b_.add(b_.scaled(key, s_.strip_rows()), row); }

  // Of two scores. One that is no number may be lost here: its weight is none either.
  Scalar larger(Scalar top, Scalar score) {
    return b_.select(b_.compare(Code::less, top, score), score, top);
  }

  // The largest score of a query, in chains that do not wait for each other.
  Scalar largest(int64_t keys, Scalar row) {
    int64_t chains = keys % 4 == 0 ? 4 : 1;
    std::vector<Scalar> tops(static_cast<size_t>(chains),
                             number(-std::numeric_limits<double>::infinity()));
    std::vector<Scalar> at = b_.begin_for(LoopKind::serial, keys / chains, tops);
    for (int64_t i = 0; i < chains; ++i) {
      Scalar key = b_.add(b_.scaled(at[0], chains), b_.index(i));
      tops[static_cast<size_t>(i)] =
          larger(at[static_cast<size_t>(i) + 1], b_.load(weights_, score_at(key, row)));
    }
    tops = b_.end_for(tops);
    for (; tops.size() > 1; tops.pop_back())
      tops[0] = larger(tops[0], tops.back());
    return tops[0];
  }

  // Where nothing was seen so far, the lowest number serves as top: exp(-inf - lowest) is 0.
  void weigh(const AttentionRows& group) {
    s_.for_each_row(group, [&](Scalar row) {
      Scalar before = b_.load(top_, row);
      Scalar top = larger(before, s_.scaled(largest(group.keys, row)));
      top = larger(number(ops::lowest_number(dtype_)), top);
      Scalar factor = b_.unary(Code::exp_normal, b_.sub(before, top));
      Scalar total = b_.mul(b_.load(total_, row), factor);
      std::vector<Scalar> at = b_.begin_for(LoopKind::serial, group.keys, {&total, 1});
      Scalar to = score_at(at[0], row);
      Scalar weight = b_.unary(Code::exp_normal, s_.above(b_.load(weights_, to), top));
      b_.store(weights_, to, weight);
      Scalar next = b_.add(at[1], weight);
      total = b_.end_for({&next, 1})[0];
      b_.store(top_, row, top);
      b_.store(total_, row, total);
      b_.store(factors_, row, factor);
    });
  }

  void finish(const AttentionStrip& strip) {
    Scalar start = s_.query_at(strip, b_.index(0), 1);
    s_.for_each_row({0, strip.rows, 0}, [&](Scalar row) {
      Scalar total = b_.load(total_, row), inverse = b_.div(number(1), total);
      if (s_.has_mask())
        inverse = b_.select(b_.compare(Code::equal, total, number(0)), number(0), inverse);
      b_.store(factors_, row, inverse);
      b_.store(results_[1], b_.add(start, row), b_.load(top_, row));
      b_.store(results_[2], b_.add(start, row), total);
    });
    start = b_.scaled(start, shape_.width);
    for_each_sum(strip, [&](Scalar at, Scalar inverse) {
      b_.store(results_[0], b_.add(start, at), b_.mul(b_.load(sums_, at), inverse));
    });
  }

  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  AttentionStrips s_;
  const ops::AttentionShape& shape_;
  DType dtype_;
  bool parallel_ = false;
  std::array<uint32_t, 3> results_{};
  uint32_t q_ = 0, weights_ = 0, sums_ = 0, factors_ = 0, top_ = 0, total_ = 0;  // scratch
};

}  // namespace

loop::Kernel lower_attention_forward(const Function& kernel, const Target& target, int threads) {
  return ForwardLowering(kernel, target, threads).run();
}

}  // namespace gradc
