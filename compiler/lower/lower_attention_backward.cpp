// attention_backward: weights are computed again, block by block. Queries that share keys are one
// task, which sums their gradients by keys and values where these belong; where there are too few
// heads of keys, the strips of one are dealt out to several tasks, as many as the shape says, whose
// sums are added at the end.
//
//   parallel head of keys, part of its strips {
//     dk = dv = 0
//     strip of queries {
//       q' = q and dy' = dy transposed, dq = 0
//       block of keys {
//         weights = exp(scale * k q' - top) / total, d = scale * weights * (v dy' - delta)
//         dv += weights dy, dk += d q, dq += d' k
//       }
//     }
//   }
#include <algorithm>

#include "compiler/lower/attention_strips.h"
#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/split.h"
#include "compiler/lower/stage_operand.h"

namespace gradc {
namespace {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

// Tasks that keep a few threads busy.
constexpr int64_t kEnoughTasks = 16;

class BackwardLowering {
 public:
  BackwardLowering(const Function& function, const Target& target, int threads)
      : kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        s_(function, b_, values_, target, 7),
        shape_(s_.shape()),
        dtype_(s_.dtype()),
        key_heads_(shape_.heads / shape_.group),
        strips_(shape_.queries / s_.strip_rows()) {
    parallel_ =
        threads > 1 && s_.nanoseconds(3 * shape_.depth + 2 * shape_.width) > kParallelNanoseconds;
    parts_ = std::clamp<int64_t>(kEnoughTasks / key_heads_, 1,
                                 std::max<int64_t>(1, strips_ * shape_.group));
    for (size_t i = 0; i < results_.size(); ++i)
      results_[i] = s_.result(i);
    dk_ = sums_of("dk", 1, shape_.depth);
    dv_ = sums_of("dv", 2, shape_.width);
    int64_t rows = s_.strip_rows();
    q_ = s_.scratch("q", shape_.depth * rows);
    dy_ = s_.scratch("dy", shape_.width * rows);
    weights_ = s_.scratch("weights", s_.most_keys() * rows);
    slopes_ = s_.scratch("slopes", s_.most_keys() * rows);
  }

  loop::Kernel run() {
    Scalar task = begin_parts(b_, key_heads_ * parts_, parallel_);
    key_head_ = b_.div(task, b_.index(parts_));
    part_ = b_.rem(task, b_.index(parts_));
    sums_start_ =
        b_.scaled(b_.add(b_.scaled(part_, parts_ > 1 ? key_heads_ : 0), key_head_), shape_.keys);
    clear(dk_, shape_.depth);
    clear(dv_, shape_.width);
    lower_whole_strips();
    lower_last_strip();
    close();
    if (parts_ > 1) {
      add_parts(dk_, results_[1], key_heads_ * shape_.keys * shape_.depth);
      add_parts(dv_, results_[2], key_heads_ * shape_.keys * shape_.width);
    }
    return std::move(kernel_);
  }

 private:
  void close() {
    while (b_.depth() > 0)
      b_.end_for();
  }

  uint32_t sums_of(const char* name, size_t result, int64_t columns) {
    if (parts_ == 1)
      return results_[result];
    int64_t elements = parts_ * key_heads_ * shape_.keys * columns;
    return b_.add_buffer({name, loop::Space::workspace, dtype_, elements});
  }

  void clear(uint32_t sums, int64_t columns) {
    clear_elements(b_, dtype_, shape_.keys * columns, sums, b_.scaled(sums_start_, columns));
  }

  // Strips part, part + parts, ... of all strips of the queries that share keys: with `causal` the
  // short and the long ones are dealt out evenly.
  void lower_whole_strips() {
    int64_t all = strips_ * shape_.group;
    if (all == 0)
      return;
    Scalar count = b_.div(b_.sub(b_.index(all - 1 + parts_), part_), b_.index(parts_));
    s_.repeat(count, (all - 1) / parts_ + 1, [&](Scalar i) {
      Scalar number = b_.add(part_, b_.scaled(i, parts_));
      lower_strip(b_.div(number, b_.index(strips_)),
                  b_.scaled(b_.rem(number, b_.index(strips_)), s_.strip_rows()), s_.strip_rows());
    });
  }

  // Those behind the whole strips, by the first task.
  void lower_last_strip() {
    int64_t rest = shape_.queries % s_.strip_rows();
    if (rest == 0)
      return;
    Scalar is_first = b_.convert(b_.compare(Code::equal, part_, b_.index(0)), DType::i64);
    Scalar count = parts_ == 1 ? b_.index(shape_.group) : b_.scaled(is_first, shape_.group);
    s_.repeat(count, shape_.group,
              [&](Scalar i) { lower_strip(i, b_.index(shape_.queries - rest), rest); });
  }

  // `member`: of the queries' heads that share keys.
  void lower_strip(Scalar member, Scalar first, int64_t rows) {
    Scalar head = b_.add(b_.scaled(key_head_, shape_.group), member);
    AttentionStrip strip{head, key_head_, first, rows};
    s_.stage(strip, s_.operand(0), shape_.depth, q_);
    s_.stage(strip, s_.operand(6), shape_.width, dy_);
    Scalar start = s_.query_at(strip, b_.index(0), shape_.depth);
    clear_elements(b_, dtype_, rows * shape_.depth, results_[0], start);
    s_.for_each_block(strip, [&](const AttentionBlock& block) { lower_block(strip, block); });
  }

  void lower_block(const AttentionStrip& strip, const AttentionBlock& block) {
    auto sums = [&](uint32_t buffer, int64_t columns) {
      return AttentionAhead{buffer, columns,
                            b_.scaled(b_.add(sums_start_, block.first_key), columns), true, false};
    };
    s_.products(strip, block, s_.operand(1), shape_.depth, q_, weights_, true,
                {s_.rows_of(strip, block, s_.operand(2), shape_.width)});
    s_.products(strip, block, s_.operand(2), shape_.width, dy_, slopes_, false,
                {sums(dv_, shape_.width)});
    for (const AttentionRows& group : block.rows)
      weigh(strip, group);
    s_.add_keys(strip, block, weights_, s_.operand(6), shape_.width, dv_, sums_start_);
    s_.add_keys(strip, block, slopes_, s_.operand(0), shape_.depth, dk_, sums_start_);
    s_.add_queries(strip, block, slopes_, s_.operand(1), shape_.depth, results_[0],
                   s_.query_at(strip, b_.index(0), shape_.depth),
                   s_.rows_after(strip, block, s_.operand(1), shape_.depth));
  }

  void weigh(const AttentionStrip& strip, const AttentionRows& group) {
    Scalar zero = b_.constant(dtype_, 0), one = b_.constant(dtype_, 1);
    s_.for_each_row(group, [&](Scalar row) {
      Scalar at = s_.query_at(strip, row, 1);
      Scalar top = b_.load(s_.operand(3), at), total = b_.load(s_.operand(4), at);
      Scalar delta = b_.load(s_.operand(5), at), inverse = b_.div(one, total);
      if (s_.has_mask())
        inverse = b_.select(b_.compare(Code::equal, total, zero), zero, inverse);
      Scalar factor = b_.mul(inverse, b_.constant(dtype_, s_.scale()));
      Scalar key = b_.begin_for(LoopKind::serial, group.keys)[0];
      Scalar to = b_.add(b_.scaled(key, s_.strip_rows()), row);
      Scalar power = b_.unary(Code::exp_normal, s_.above(b_.load(weights_, to), top));
      Scalar slope = b_.mul(b_.sub(b_.load(slopes_, to), delta), b_.mul(power, factor));
      b_.store(weights_, to, b_.mul(power, inverse));
      b_.store(slopes_, to, slope);
      b_.end_for();
    });
  }

  void add_parts(uint32_t sums, uint32_t to, int64_t elements) {
    int64_t piece = std::min<int64_t>(elements, 4096);
    auto pieces = [&](int64_t begin, int64_t count, int64_t size) {
      Scalar first = b_.add(b_.index(begin), b_.scaled(begin_parts(b_, count, parallel_), size));
      Scalar i = b_.add(first, b_.begin_for(LoopKind::vector, size)[0]);
      Scalar sum = b_.load(sums, i);
      for (int64_t part = 1; part < parts_; ++part)
        sum = b_.add(sum, b_.load(sums, b_.add(i, b_.index(part * elements))));
      b_.store(to, i, sum);
      close();
    };
    pieces(0, elements / piece, piece);
    if (elements % piece > 0)
      pieces(elements - elements % piece, 1, elements % piece);
  }

  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  AttentionStrips s_;
  const ops::AttentionShape& shape_;
  DType dtype_;
  int64_t key_heads_, strips_;  // whole strips of a head of queries
  bool parallel_ = false;
  int64_t parts_ = 1;
  std::array<uint32_t, 3> results_{};
  uint32_t dk_ = 0, dv_ = 0;  // results, or sums of parts in workspace
  uint32_t q_ = 0, dy_ = 0, weights_ = 0, slopes_ = 0;  // scratch
  Scalar key_head_, part_, sums_start_;
};

}  // namespace

loop::Kernel lower_attention_backward(const Function& kernel, const Target& target, int threads) {
  return BackwardLowering(kernel, target, threads).run();
}

}  // namespace gradc
