#pragma once
// How attention's kernels go through the scores: by strips of queries, and in a strip by blocks of
// keys. What is computed of a block lies in scratch as [key][query of the strip]: lanes are
// queries, so that a query's largest score and sum are lane by lane, and neither keys nor values
// are brought into another order.
//
// With `causal` a strip ends in a block on the diagonal, of which no query sees all. It consists of
// panels of a few keys, each of which is computed for the vectors of queries that see some of them.
#include <functional>
#include <vector>

#include "compiler/lower/contraction.h"
#include "compiler/lower/kernel_values.h"
#include "compiler/target.h"
#include "ir/op_def.h"
#include "ir/ops/attention.h"

namespace gradc {

// Keys [key, key + keys) of a block, for the queries of the strip from `row` on.
struct AttentionPanel {
  int64_t key = 0, keys = 0, row = 0;
};

// Queries [row, row + rows) of a strip, which see at most the first `keys` keys of a block.
struct AttentionRows {
  int64_t row = 0, rows = 0, keys = 0;
};

struct AttentionBlock {
  loop::Scalar first_key;
  int64_t keys = 0;
  bool diagonal = false;
  std::vector<AttentionPanel> panels;
  std::vector<AttentionRows> rows;
};

// A strip of queries [first, first + rows) of a head.
struct AttentionStrip {
  loop::Scalar head, key_head, first;
  int64_t rows = 0;
};

// Rows of a buffer that are wanted next, one for each key of a block: tiles ask for them meanwhile.
struct AttentionAhead {
  uint32_t buffer = 0;
  int64_t columns = 0;
  loop::Scalar first;  // where the block's first key has its row
  bool written = false;
  bool once = false;  // touched by one strip only, so that it is far whatever its size
};

class AttentionStrips {
 public:
  // `fixed`: how many operands the op has without a mask.
  AttentionStrips(const Function& function, loop::Builder& builder, KernelValues& values,
                  const Target& target, size_t fixed);

  const ops::AttentionShape& shape() const { return shape_; }
  DType dtype() const { return dtype_; }
  double scale() const { return scale_; }
  bool has_mask() const { return mask_.has_value(); }
  int64_t strip_rows() const { return strip_rows_; }  // of a whole strip, and of scratch
  int64_t most_keys() const;  // of a block
  // Roughly, of the whole kernel on one core, when a score takes as much as this many
  // multiplications.
  double nanoseconds(int64_t products) const;
  uint32_t operand(size_t i) const;  // the buffer of the op's operand
  uint32_t result(size_t i);  // of its result; a workspace buffer where nobody reads it
  uint32_t scratch(std::string name, int64_t elements);
  bool is_causal() const { return causal_; }

  // Calls body(block) for all blocks that queries of the strip see.
  void for_each_block(const AttentionStrip& strip,
                      const std::function<void(const AttentionBlock&)>& body);
  // The strip of an operand [heads, queries, columns] as scratch [columns][query].
  void stage(const AttentionStrip& strip, uint32_t from, int64_t columns, uint32_t to);
  // Rows of an operand [key heads, keys, columns] for the block, or for the next one.
  AttentionAhead rows_of(const AttentionStrip& strip, const AttentionBlock& block, uint32_t from,
                         int64_t columns);
  AttentionAhead rows_after(const AttentionStrip& strip, const AttentionBlock& block, uint32_t from,
                            int64_t columns);
  // Rows of an operand [heads, queries, columns] for a strip, or of a result.
  AttentionAhead rows_of(const AttentionStrip& strip, uint32_t from, int64_t columns, bool written);
  // to[key][query] = rows of `from`, [key heads, keys, depth], times staged [depth][query]. With
  // `scores` it is one: -inf where a query does not see a key, and what `scaled` and `above` take.
  void products(const AttentionStrip& strip, const AttentionBlock& block, uint32_t from,
                int64_t depth, uint32_t staged, uint32_t to, bool scores,
                const std::vector<AttentionAhead>& ahead);
  // A score of `products` times the op's scale, and that minus `top`. Where the scale is a positive
  // number and nothing was added to the scores yet, it is multiplied here, which costs nothing.
  loop::Scalar scaled(loop::Scalar score);
  loop::Scalar above(loop::Scalar score, loop::Scalar top);
  // to[to_start + query][column] += sum over the block's keys of weights[key][query] *
  // from[key][column]
  void add_queries(const AttentionStrip& strip, const AttentionBlock& block, uint32_t weights,
                   uint32_t from, int64_t columns, uint32_t to, loop::Scalar to_start,
                   const AttentionAhead& ahead);
  // to[to_start + key][column] += sum over queries of weights[key][query] * from[query][column]
  void add_keys(const AttentionStrip& strip, const AttentionBlock& block, uint32_t weights,
                uint32_t from, int64_t columns, uint32_t to, loop::Scalar to_start);
  // A vector loop over the queries of `rows`: f(query in the strip)
  void for_each_row(const AttentionRows& rows, const std::function<void(loop::Scalar)>& f);
  // A serial loop of `count` iterations, known or not.
  void repeat(loop::Scalar count, int64_t limit, const std::function<void(loop::Scalar)>& body);

  // Where queries of the strip begin in a tensor of `columns` for each.
  loop::Scalar query_at(const AttentionStrip& strip, loop::Scalar row, int64_t columns);

 private:
  bool has_bool_mask() const;
  bool has_number_mask() const;
  bool scales_late() const;
  AttentionBlock whole_block(const AttentionStrip& strip, loop::Scalar first_key, int64_t keys);
  AttentionBlock diagonal_block(const AttentionStrip& strip, loop::Scalar first_key);
  loop::Scalar key_at(const AttentionStrip& strip, const AttentionBlock& block, int64_t columns);
  int64_t most_tile_rows(int64_t columns) const;
  // How many keys of a block on the diagonal this query of the strip sees.
  int64_t keys_seen(const AttentionBlock& block, int64_t row) const;
  // Calls body(first column, columns) for what the vectors of a tile can hold.
  void for_each_panel(int64_t columns, const std::function<void(int64_t, int64_t)>& body) const;
  // The rows of `ahead` for keys [key, key + keys) of the block, after a tile with these operands.
  void fetch(const AttentionAhead& ahead, loop::Scalar key, int64_t keys, loop::Tile& tile,
             std::vector<loop::Scalar>& operands);
  // Calls body(first, count) for parts of at most `most`.
  void in_parts(int64_t extent, int64_t most,
                const std::function<void(loop::Scalar, int64_t)>& body);
  void stage_mask(const AttentionStrip& strip, const AttentionBlock& block);
  loop::Scalar mask_start(const AttentionStrip& strip);
  loop::Scalar score(const AttentionStrip& strip, const AttentionBlock& block, loop::Scalar key,
                     loop::Scalar row, loop::Scalar product);

  const Function& function_;
  const Op& op_;
  loop::Builder& b_;
  KernelValues& values_;
  int64_t lanes_, registers_;
  ops::AttentionShape shape_;
  DType dtype_;
  bool causal_;
  double scale_;
  std::optional<Type> mask_;
  uint32_t mask_buffer_ = 0;
  bool mask_by_query_ = false;
  uint32_t staged_mask_ = 0, mask_numbers_ = 0;  // scratch
  int64_t strip_rows_;
  int64_t offset_ = 0;  // of a query's position: how many keys come before the first query's own
};

}  // namespace gradc
