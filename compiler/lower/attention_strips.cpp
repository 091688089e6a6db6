#include "compiler/lower/attention_strips.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "compiler/lower/segments.h"
#include "compiler/lower/stage_operand.h"
#include "ir/integer_math.h"

namespace gradc {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

namespace {

constexpr int64_t kStripVectors = 2;  // of queries
constexpr int64_t kBlockKeys = 64;
constexpr int64_t kPanelKeys = 16;  // on the diagonal
constexpr int64_t kMostTileRows = 12;
constexpr int64_t kMostTileVectors = 4, kMostNarrowTileVectors = 2;  // with 32 registers, and fewer

}  // namespace

AttentionStrips::AttentionStrips(const Function& function, loop::Builder& builder,
                                 KernelValues& values, const Target& target, size_t fixed)
    : function_(function),
      op_(function.ops.at(0)),
      b_(builder),
      values_(values),
      lanes_(target.lanes_f32()),
      shape_(ops::attention_shape(function.type(op_.operand(0)), function.type(op_.operand(1)),
                                  function.type(op_.operand(2)))),
      dtype_(function.type(op_.operand(0)).dtype),
      causal_(op_.attrs.flag("causal")),
      scale_(op_.attrs.real("scale")),
      strip_rows_(kStripVectors * lanes_) {
  registers_ = target.vector_registers * 4 / byte_size(dtype_);
  offset_ = causal_ ? shape_.keys - shape_.queries : 0;
  if (op_.operands.size() == fixed)
    return;
  mask_ = function.type(op_.operand(fixed));
  mask_->dims.insert(mask_->dims.begin(), shape_.scores().size() - mask_->dims.size(), 1);
  mask_buffer_ = operand(fixed);
  mask_by_query_ = mask_->dims[mask_->dims.size() - 2] > 1;
  if (!mask_by_query_)
    return;
  staged_mask_ = scratch("mask", most_keys() * strip_rows_);
  if (has_bool_mask() || mask_->dims.back() == 1)
    mask_numbers_ = scratch("numbers", most_keys() * strip_rows_);
}

bool AttentionStrips::has_bool_mask() const {
  return mask_ && mask_->dtype == DType::boolean;
}

bool AttentionStrips::has_number_mask() const {
  return mask_ && !has_bool_mask();
}

bool AttentionStrips::scales_late() const {
  return scale_ > 0 && !has_number_mask();
}

int64_t AttentionStrips::most_keys() const {
  return std::max(kBlockKeys, strip_rows_ + kPanelKeys);
}

double AttentionStrips::nanoseconds(int64_t products) const {
  auto scores = static_cast<double>(element_count(shape_.scores()));
  return scores * static_cast<double>(products) / static_cast<double>(lanes_) / 8;
}

uint32_t AttentionStrips::operand(size_t i) const {
  return *values_.buffer_of(op_.operand(i));
}

uint32_t AttentionStrips::result(size_t i) {
  for (size_t k = 0; k < function_.results.size(); ++k)
    if (function_.results[k].value == op_.result(i))
      return values_.result_buffer(k);
  int64_t elements = function_.type(op_.result(i)).elements();
  return b_.add_buffer({"unread", loop::Space::workspace, dtype_, elements});
}

uint32_t AttentionStrips::scratch(std::string name, int64_t elements) {
  return b_.add_buffer({std::move(name), loop::Space::scratch, dtype_, elements});
}

// --- Blocks.

AttentionBlock AttentionStrips::whole_block(const AttentionStrip& strip, Scalar first_key,
                                            int64_t keys) {
  return {first_key, keys, false, {{0, keys, 0}}, {{0, strip.rows, keys}}};
}

// Query r of the strip sees keys up to r + shift of the block.
AttentionBlock AttentionStrips::diagonal_block(const AttentionStrip& strip, Scalar first_key) {
  int64_t shift = offset_ % kPanelKeys;
  AttentionBlock block{first_key, strip.rows + shift, true, {}, {}};
  for (int64_t key = 0; key < block.keys; key += kPanelKeys)
    block.panels.push_back({key, std::min(kPanelKeys, block.keys - key),
                            std::max<int64_t>(0, key - shift) / lanes_ * lanes_});
  for (int64_t row = 0; row < strip.rows; row += lanes_) {
    int64_t keys = 0;
    for (const AttentionPanel& panel : block.panels)
      if (panel.row <= row)
        keys = panel.key + panel.keys;
    block.rows.push_back({row, std::min(lanes_, strip.rows - row), keys});
  }
  return block;
}

void AttentionStrips::repeat(Scalar count, int64_t limit, const std::function<void(Scalar)>& body) {
  std::optional<int64_t> known = b_.constant_of(count);
  if (known == 0 || limit == 0)
    return;
  if (known == 1)
    return body(b_.index(0));
  body(known ? b_.begin_for(LoopKind::serial, *known)[0] : b_.begin_counted(count, limit)[0]);
  b_.end_for();
}

void AttentionStrips::for_each_block(const AttentionStrip& strip,
                                     const std::function<void(const AttentionBlock&)>& body) {
  auto blocks = [&](Scalar start, Scalar count, int64_t limit, int64_t keys) {
    repeat(count, limit,
           [&](Scalar i) { body(whole_block(strip, b_.add(start, b_.scaled(i, keys)), keys)); });
  };
  if (!causal_) {
    int64_t whole = shape_.keys / kBlockKeys, rest = shape_.keys % kBlockKeys;
    blocks(b_.index(0), b_.index(whole), whole, kBlockKeys);
    if (rest > 0)
      body(whole_block(strip, b_.index(whole * kBlockKeys), rest));
    return;
  }
  // What all see, in blocks and then in parts of a block, up to the diagonal.
  int64_t before = offset_ / kPanelKeys * kPanelKeys, most = shape_.queries - strip.rows + before;
  int64_t part = std::gcd(std::gcd(strip_rows_, kBlockKeys), before);
  Scalar diagonal = b_.add(strip.first, b_.index(before)), block = b_.index(kBlockKeys);
  Scalar whole = b_.div(diagonal, block), rest = b_.rem(diagonal, block);
  blocks(b_.index(0), whole, most / kBlockKeys, kBlockKeys);
  if (part < kBlockKeys)
    blocks(b_.sub(diagonal, rest), b_.div(rest, b_.index(part)),
           std::min(most, kBlockKeys - part) / part, part);
  body(diagonal_block(strip, diagonal));
}

// --- Work on a block.

Scalar AttentionStrips::query_at(const AttentionStrip& strip, Scalar row, int64_t columns) {
  Scalar query = b_.add(b_.scaled(strip.head, shape_.queries), b_.add(strip.first, row));
  return b_.scaled(query, columns);
}

Scalar AttentionStrips::key_at(const AttentionStrip& strip, const AttentionBlock& block,
                               int64_t columns) {
  Scalar key = b_.add(b_.scaled(strip.key_head, shape_.keys), block.first_key);
  return b_.scaled(key, columns);
}

// What fits into registers beside a vector of each column and a broadcast element.
int64_t AttentionStrips::most_tile_rows(int64_t columns) const {
  int64_t vectors = ceil_div(columns, lanes_);
  return std::clamp<int64_t>((registers_ - vectors - 1) / vectors, 1, kMostTileRows);
}

void AttentionStrips::for_each_panel(int64_t columns,
                                     const std::function<void(int64_t, int64_t)>& body) const {
  int64_t vectors = registers_ >= 32 ? kMostTileVectors : kMostNarrowTileVectors;
  int64_t most = vectors * lanes_;
  for (int64_t column = 0; column < columns; column += most)
    body(column, std::min(most, columns - column));
}

int64_t AttentionStrips::keys_seen(const AttentionBlock& block, int64_t row) const {
  return std::min(block.keys, row + 1 + offset_ % kPanelKeys);
}

void AttentionStrips::in_parts(int64_t extent, int64_t most,
                               const std::function<void(Scalar, int64_t)>& body) {
  for (const Segment& part : segments(extent, ceil_div(extent, most)))
    repeat(b_.index(part.count), part.count, [&](Scalar i) {
      body(b_.add(b_.index(part.start), b_.scaled(i, part.size)), part.size);
    });
}

void AttentionStrips::for_each_row(const AttentionRows& rows,
                                   const std::function<void(Scalar)>& f) {
  Scalar row = b_.begin_for(LoopKind::vector, rows.rows, {}, {}, "row")[0];
  f(b_.add(b_.index(rows.row), row));
  b_.end_for();
}

void AttentionStrips::stage(const AttentionStrip& strip, uint32_t from, int64_t columns,
                            uint32_t to) {
  b_.transpose({.rows = strip.rows,
                .columns = columns,
                .from_buffer = from,
                .to_buffer = to,
                .from_step = columns,
                .to_step = strip_rows_},
               query_at(strip, b_.index(0), columns), b_.index(0));
  int64_t idle = round_up(strip.rows, lanes_) - strip.rows;
  if (idle == 0)
    return;
  Scalar column = b_.begin_for(LoopKind::serial, columns)[0];
  clear_elements(b_, dtype_, idle, to,
                 b_.add(b_.scaled(column, strip_rows_), b_.index(strip.rows)));
  b_.end_for();
}

AttentionAhead AttentionStrips::rows_of(const AttentionStrip& strip, const AttentionBlock& block,
                                        uint32_t from, int64_t columns) {
  return {from, columns, key_at(strip, block, columns), false, false};
}

AttentionAhead AttentionStrips::rows_of(const AttentionStrip& strip, uint32_t from, int64_t columns,
                                        bool written) {
  return {from, columns, query_at(strip, b_.index(0), columns), written, true};
}

AttentionAhead AttentionStrips::rows_after(const AttentionStrip& strip, const AttentionBlock& block,
                                           uint32_t from, int64_t columns) {
  AttentionBlock next{b_.add(block.first_key, b_.index(block.keys)), block.keys, false, {}, {}};
  return rows_of(strip, next, from, columns);
}

void AttentionStrips::fetch(const AttentionAhead& ahead, Scalar key, int64_t keys, loop::Tile& tile,
                            std::vector<Scalar>& operands) {
  constexpr int64_t kFarBytes = 256 << 10;  // the keys and values of a head: less comes soon enough
  if (!ahead.once && shape_.keys * (shape_.depth + shape_.width) * byte_size(dtype_) <= kFarBytes)
    return;
  tile.ahead.push_back({ahead.buffer, keys, ahead.columns, ahead.columns, ahead.written});
  operands.push_back(b_.add(ahead.first, b_.scaled(key, ahead.columns)));
}

void AttentionStrips::products(const AttentionStrip& strip, const AttentionBlock& block,
                               uint32_t from, int64_t depth, uint32_t staged, uint32_t to,
                               bool scores, const std::vector<AttentionAhead>& ahead) {
  if (scores && mask_by_query_)
    stage_mask(strip, block);
  Scalar start = key_at(strip, block, depth);
  for (const AttentionPanel& panel : block.panels) {
    int64_t columns = strip.rows - panel.row;
    in_parts(panel.keys, most_tile_rows(columns), [&](Scalar first, int64_t rows) {
      Scalar key = b_.add(first, b_.index(panel.key));
      loop::Tile tile{.rows = rows,
                      .columns = columns,
                      .loops = {{depth, 1, strip_rows_}},
                      .a_buffer = from,
                      .b_buffer = staged,
                      .a_row_step = depth,
                      .padded = true};
      std::vector<Scalar> operands = {b_.add(start, b_.scaled(key, depth)), b_.index(panel.row)};
      for (const AttentionAhead& wanted : ahead)
        fetch(wanted, key, rows, tile, operands);
      auto [row, group, column, sum] = b_.begin_tile(tile, operands);
      Scalar query = b_.add(column, b_.index(panel.row)), in_block = b_.add(key, row);
      Scalar product = scores ? score(strip, block, in_block, query, sum) : sum;
      b_.store(to, b_.add(b_.scaled(in_block, strip_rows_), query), product);
      b_.end_tile();
    });
  }
}

void AttentionStrips::add_queries(const AttentionStrip& strip, const AttentionBlock& block,
                                  uint32_t weights, uint32_t from, int64_t columns, uint32_t to,
                                  Scalar to_start, const AttentionAhead& ahead) {
  Scalar start = key_at(strip, block, columns);
  int64_t ahead_per_row = ahead.once ? 1 : ceil_div(block.keys, strip.rows);
  auto add = [&](Scalar first, int64_t rows, int64_t keys, int64_t column, int64_t width) {
    loop::Tile tile{.rows = rows,
                    .columns = width,
                    .loops = {{keys, strip_rows_, columns}},
                    .a_buffer = weights,
                    .b_buffer = from,
                    .a_row_step = 1,
                    .accumulate = true,
                    .acc_buffer = to,
                    .acc_row_step = columns};
    Scalar acc = b_.add(b_.add(to_start, b_.scaled(first, columns)), b_.index(column));
    std::vector<Scalar> operands = {first, b_.add(start, b_.index(column)), acc};
    if (column == 0)
      fetch(ahead, b_.scaled(first, ahead_per_row), rows * ahead_per_row, tile, operands);
    auto [row, group, at, sum] = b_.begin_tile(tile, operands);
    b_.store(to, b_.add(b_.add(acc, b_.scaled(row, columns)), at), sum);
    b_.end_tile();
  };
  for_each_panel(columns, [&](int64_t column, int64_t width) {
    for (const AttentionRows& group : block.rows) {
      int64_t most = most_tile_rows(width);
      if (!block.diagonal) {
        in_parts(group.rows, most, [&](Scalar first, int64_t rows) {
          add(b_.add(first, b_.index(group.row)), rows, group.keys, column, width);
        });
        continue;
      }
      for (const Segment& part : segments(group.rows, ceil_div(group.rows, most)))
        for (int64_t i = 0; i < part.count; ++i) {
          int64_t first = group.row + part.start + i * part.size;
          add(b_.index(first), part.size, keys_seen(block, first + part.size - 1), column, width);
        }
    }
  });
}

void AttentionStrips::add_keys(const AttentionStrip& strip, const AttentionBlock& block,
                               uint32_t weights, uint32_t from, int64_t columns, uint32_t to,
                               Scalar to_start) {
  Scalar start = b_.scaled(b_.add(to_start, block.first_key), columns);
  for (const AttentionPanel& panel : block.panels)
    for_each_panel(columns, [&](int64_t column, int64_t width) {
      in_parts(panel.keys, most_tile_rows(width), [&](Scalar first, int64_t rows) {
        Scalar key = b_.add(first, b_.index(panel.key));
        loop::Tile tile{.rows = rows,
                        .columns = width,
                        .loops = {{strip.rows - panel.row, 1, columns}},
                        .a_buffer = weights,
                        .b_buffer = from,
                        .a_row_step = strip_rows_,
                        .accumulate = true,
                        .acc_buffer = to,
                        .acc_row_step = columns};
        Scalar a = b_.add(b_.scaled(key, strip_rows_), b_.index(panel.row));
        Scalar b = b_.add(query_at(strip, b_.index(panel.row), columns), b_.index(column));
        Scalar acc = b_.add(b_.add(start, b_.scaled(key, columns)), b_.index(column));
        auto [row, group, at, sum] = b_.begin_tile(tile, std::array{a, b, acc});
        b_.store(to, b_.add(b_.add(acc, b_.scaled(row, columns)), at), sum);
        b_.end_tile();
      });
    });
}

// --- Masks.

// Of the head's part.
Scalar AttentionStrips::mask_start(const AttentionStrip& strip) {
  const Dims& dims = mask_->dims;
  Dims strides = row_major_strides(dims);
  std::vector<Scalar> at = unravel(b_, strip.head, shape_.lead);
  Scalar start = b_.index(0);
  for (size_t i = 0; i < at.size(); ++i)
    if (dims[i] > 1)
      start = b_.add(start, b_.scaled(at[i], strides[i]));
  return start;
}

// The block's part of a mask that differs between queries: [key][query] in scratch. What is of bool
// becomes 0 where a key is seen and 1 where it is not.
void AttentionStrips::stage_mask(const AttentionStrip& strip, const AttentionBlock& block) {
  bool by_key = mask_->dims.back() > 1;
  int64_t step = by_key ? shape_.keys : 1;
  Scalar start = b_.add(mask_start(strip), b_.scaled(strip.first, step));
  if (by_key)
    start = b_.add(start, block.first_key);
  uint32_t from = mask_buffer_;
  if (has_bool_mask() || !by_key) {
    from = mask_numbers_;
    Scalar row = b_.begin_for(LoopKind::serial, strip.rows)[0];
    Scalar key = b_.begin_for(LoopKind::vector, block.keys)[0];
    Scalar at = b_.add(start, b_.scaled(row, step));
    Scalar number = b_.load(mask_buffer_, by_key ? b_.add(at, key) : at);
    if (has_bool_mask())
      number = b_.select(number, b_.constant(dtype_, 0), b_.constant(dtype_, 1));
    b_.store(from, b_.add(b_.scaled(row, most_keys()), key), number);
    b_.end_for();
    b_.end_for();
    start = b_.index(0), step = most_keys();
  }
  b_.transpose({.rows = strip.rows,
                .columns = block.keys,
                .from_buffer = from,
                .to_buffer = staged_mask_,
                .from_step = step,
                .to_step = strip_rows_},
               start, b_.index(0));
}

// `key` in the block, `row` in the strip.
Scalar AttentionStrips::score(const AttentionStrip& strip, const AttentionBlock& block, Scalar key,
                              Scalar row, Scalar product) {
  Scalar hidden = b_.constant(dtype_, -std::numeric_limits<double>::infinity());
  Scalar factor = b_.constant(dtype_, scale_);
  Scalar score = scales_late() || has_number_mask() ? product : b_.mul(product, factor);
  if (mask_ && mask_by_query_) {
    Scalar number = b_.load(staged_mask_, b_.add(b_.scaled(key, strip_rows_), row));
    Scalar seen = b_.compare(Code::equal, number, b_.constant(dtype_, 0));
    score = has_bool_mask() ? b_.select(seen, score, hidden) : b_.fma(score, factor, number);
  } else if (mask_) {
    Scalar at = mask_start(strip);
    if (mask_->dims.back() > 1)
      at = b_.add(at, b_.add(block.first_key, key));
    Scalar number = b_.load(mask_buffer_, at);
    score = has_bool_mask() ? b_.select(number, score, hidden) : b_.fma(score, factor, number);
  }
  if (!block.diagonal)
    return score;
  Scalar last = b_.add(row, b_.index(offset_ % kPanelKeys));
  return b_.select(b_.compare(Code::less_equal, key, last), score, hidden);
}

Scalar AttentionStrips::scaled(Scalar score) {
  return scales_late() ? b_.mul(score, b_.constant(dtype_, scale_)) : score;
}

Scalar AttentionStrips::above(Scalar score, Scalar top) {
  return scales_late() ? b_.fma(score, b_.constant(dtype_, scale_), b_.unary(Code::neg, top))
                       : b_.sub(score, top);
}

}  // namespace gradc
