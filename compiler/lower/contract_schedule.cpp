#include "compiler/lower/contract_schedule.h"

#include <algorithm>

#include "compiler/kernel.h"
#include "compiler/lower/packed_weight.h"
#include "compiler/lower/present_taps.h"
#include "compiler/lower/tile_chooser.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

// Elements of the summed loops in one pass where a's rows are not contiguous along them: its cache
// lines should stay in the first level cache.
constexpr int64_t kStridedPassElements = 256;
// Where channels come in parts: what a pass has of b is in order in the first level cache, or just
// outside of it.
constexpr int64_t kPartPassElements = 160;
// The same where b is transposed for few rows, which takes a fifth of the time.
constexpr int64_t kTransposedPassElements = 256, kFewTransposedRows = 96;
constexpr int64_t kStageBytes = 256 << 10;  // of a, staged at once
constexpr int64_t kSumRows = 1024;  // whose sums a task holds
constexpr int64_t kStagedRows = 256;  // where a is staged row by row, without windows
constexpr int64_t kFewRows = 24;  // too few for staging b to pay off
// Of pixels that a weight gradient sums in a pass: their vectors of b stay in the first level
// cache.
constexpr int64_t kPassPixels = 128;
constexpr int64_t kPassStagedPixels = 64, kStagedChannels = 64;  // where a pass copies pixels

bool may_be_in_place(const Function& kernel, size_t result) {
  return std::ranges::count(in_place_pairs(kernel), result, &InPlacePair::result) > 0;
}

}  // namespace

int64_t largest_divisor(int64_t x, int64_t limit) {
  for (int64_t d = std::min(x, limit); d > 1; --d)
    if (x % d == 0)
      return d;
  return 1;
}

ContractSchedule TileChooser::choose() {
  if (!choose_method())
    return s_;
  choose_row_loop();
  choose_padding();
  choose_tile();
  s_.packed = is_packed();
  if (wants_panels()) {
    choose_panels();
    return s_;
  }
  choose_passes(pass_limit());
  s_.stage_a = (nest_.has_padding(a()) && !s_.skip_padding) || is_computed(a()) || copies_pixels();
  if (copies_pixels())
    s_.staged_rows = kStagedChannels;
  choose_sums();
  stage_once();
  choose_tasks();
  choose_staging();
  return s_;
}

void TileChooser::choose_row_loop() {
  int64_t longest = 1;
  for (size_t l = 0; l < nest_.result_loops; ++l) {
    if (!is_row(l) || nest_.loops[l].extent < std::min<int64_t>(longest, 6) ||
        nest_.loops[l].extent == 1)
      continue;
    longest = nest_.loops[l].extent;
    s_.row_loop = static_cast<int64_t>(l);
  }
}

void TileChooser::choose_padding() {
  if (!nest_.has_padding(a()) || is_computed(a()))
    return;
  if (nest_.has_channel_parts && !nest_.is_spread(a()))
    return;
  std::optional<std::vector<TapAxis>> axes = tap_axes(nest_, a());
  if (!axes)
    return;
  int64_t row_loop = -1, longest = kFewestSharedRows - 1;
  for (size_t l = 0; l < nest_.result_loops; ++l) {
    bool moves_window = std::any_of(axes->begin(), axes->end(),
                                    [&](const TapAxis& axis) { return axis.result_loop == l; });
    if (!is_row(l) || moves_window || nest_.loops[l].extent <= longest)
      continue;
    longest = nest_.loops[l].extent;
    row_loop = static_cast<int64_t>(l);
  }
  if (row_loop < 0)
    return;
  s_.skip_padding = true;
  s_.row_loop = row_loop;
}

void TileChooser::choose_tile() {
  int64_t registers = target_.vector_registers >= 32 ? 29 : target_.vector_registers - 1;
  registers /= std::max<int64_t>(1, byte_size(nest_.sum_dtype()) / 4);  // that a vector takes
  int64_t all_vectors = ceil_div(nest_.loops[vector_loop()].extent, lanes_);
  int64_t all_rows = s_.row_loop < 0 ? 1 : nest_.loops[static_cast<size_t>(s_.row_loop)].extent;
  double best = 1e9;
  for (int64_t vectors = std::min<int64_t>({all_vectors, 8, limits_.tile_vectors}); vectors >= 1;
       --vectors) {
    int64_t rows = std::min((registers - 1 - vectors) / vectors, std::min<int64_t>(all_rows, 14));
    if (rows < 1)
      continue;
    int64_t row_panels = ceil_div(all_rows, rows), panels = ceil_div(all_vectors, vectors);
    double r = static_cast<double>(all_rows) / static_cast<double>(row_panels);
    double v = static_cast<double>(all_vectors) / static_cast<double>(panels);
    double cycles = (std::max({r * v, r / 2 + v, 4.0}) + 0.15 * r + 0.25 * v) / (r * v);
    if (cycles < best - 1e-9) {
      best = cycles;
      s_.rows = ceil_div(all_rows, row_panels);
      s_.vectors = ceil_div(all_vectors, panels);
    }
  }
}

bool TileChooser::is_packed() const {
  if (!kernel_.attrs.has("packed_columns") || s_.vector_operand != packed_operand_)
    return false;
  int64_t columns = s_.vectors * lanes_;
  std::optional<PackedOrder> order = packed_order(kernel_, nest_, b(), vector_loop(), columns);
  return order && columns == kernel_.attrs.integer("packed_columns") &&
         packed_source(kernel_, nest_.operands[b()], *order);
}

bool TileChooser::sums_pixels() const {
  return s_.row_loop >= 0 && summed_axes_ > 1 &&
         nest_.step(a(), static_cast<size_t>(s_.row_loop)) == 1;
}

bool TileChooser::copies_pixels() const {
  return sums_pixels() && has_far_pixels(a());
}

int64_t TileChooser::pass_limit() const {
  if (sums_pixels())
    return copies_pixels() ? kPassStagedPixels : kPassPixels;
  if (nest_.has_channel_parts && !s_.packed)
    return std::max(kPartPassElements, summed_elements() / nest_.loops[nest_.result_loops].extent);
  bool strided =
      s_.row_loop >= 0 && !nest_.has_windows(a()) && nest_.step(a(), nest_.loops.size() - 1) != 1;
  if (strided)
    return kStridedPassElements;
  bool transposes = nest_.step(b(), vector_loop()) != 1 && !s_.packed;
  return transposes && all_rows() <= kFewTransposedRows ? kTransposedPassElements : kPassElements;
}

void TileChooser::choose_passes(int64_t limit) {
  limit = std::min(limits_.pass_elements, limits_.pass_factor * limit);
  int64_t elements = 1;
  for (size_t l = nest_.loops.size(); l-- > nest_.result_loops;) {
    int64_t extent = nest_.loops[l].extent;
    int64_t parts = ceil_div(extent, std::max<int64_t>(1, limit / elements));
    s_.blocks[l] = ceil_div(extent, parts);
    elements *= extent;
  }
}

int64_t TileChooser::passes() const {
  int64_t count = 1;
  for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
    count *= ceil_div(nest_.loops[l].extent, s_.blocks[l]);
  return count;
}

void TileChooser::choose_sums() {
  if (nest_.loops[vector_loop()].result_step != 1)
    return;
  s_.direct_store = passes() == 1;
  if (!s_.direct_store && !adds_beside_others())
    s_.sums_in = first_sums_holder();
}

bool TileChooser::adds_beside_others() const {
  constexpr int64_t kManyPasses = 4, kFewRowsOfSums = 256;
  return threads_ > 1 && passes() >= kManyPasses &&
         nest_.loops[vector_loop()].extent > s_.vectors * lanes_ &&
         all_rows() <= std::min(kFewRowsOfSums, limits_.rows) && limits_.pass_elements == INT64_MAX;
}

int64_t TileChooser::first_sums_holder() const {
  int64_t holder = -1;
  for (size_t i = 0; i < kernel_.results.size(); ++i) {
    if (kernel_.type(kernel_.results[i].value).dtype != nest_.sum_dtype())
      continue;
    if (!may_be_in_place(kernel_, i))
      return static_cast<int64_t>(i);
    holder = holder < 0 ? static_cast<int64_t>(i) : holder;
  }
  return holder;
}

void TileChooser::stage_once() {
  bool shared = nest_.loops[vector_loop()].extent > s_.vectors * lanes_;
  if (!limits_.stage_once || !s_.stage_a || s_.staged_rows > 0 || !shared)
    return;
  s_.stage_a = false;
  s_.stage_a_once = true;
}

bool TileChooser::shares_rows(int64_t rows) const {
  constexpr int64_t kManyRows = 256;
  if (!s_.direct_store)
    return false;
  if (reads_in_order() && nest_.types[b()].bytes() <= target_.l2_bytes / 2)
    return rows >= 2 * s_.rows * threads_;
  return rows >= kManyRows * threads_ && rows >= nest_.loops[vector_loop()].extent;
}

bool TileChooser::reads_in_order() const {
  return s_.packed ||
         (nest_.step(b(), vector_loop()) == 1 && !is_computed(b()) && is_in_order(b()));
}

void TileChooser::choose_tasks() {
  int64_t tasks = 1, all_rows = 1;
  for (size_t l = 0; l < nest_.result_loops; ++l) {
    int64_t extent = nest_.loops[l].extent;
    if (l == vector_loop()) {
      s_.blocks[l] = std::min(extent, s_.vectors * lanes_);
      tasks *= ceil_div(extent, s_.blocks[l]);
    } else if (is_row(l)) {
      s_.blocks[l] = 1;
      all_rows *= extent;
    } else {
      s_.blocks[l] = 1;
      tasks *= extent;
    }
  }
  int64_t limit = s_.direct_store || s_.sums_in >= 0 ? 4 * kSumRows : kSumRows;
  bool stages_all = s_.stage_a && s_.staged_rows == 0;
  if (stages_all && !nest_.has_windows(a()))
    limit = kStagedRows;
  if (stages_all || !(s_.direct_store || s_.sums_in >= 0))
    limit = std::min(limit, limits_.rows);
  if (threads_ > 1 && shares_rows(all_rows))
    limit = std::min(limit, ceil_div(all_rows, threads_));
  else if (threads_ > 1 && tasks < 2 * threads_)
    limit = std::max<int64_t>(32, std::min(limit, all_rows * tasks / (2 * threads_)));
  if (s_.row_loop >= 0) {
    auto l = static_cast<size_t>(s_.row_loop);
    // A weight gradient sums all taps while its pixels are at hand.
    int64_t taps = sums_pixels() ? all_rows / nest_.loops[l].extent : 1;
    s_.row_parts = ceil_div(nest_.loops[l].extent * std::min(taps, limit / kFewRows + 1), limit);
    s_.blocks[l] = ceil_div(nest_.loops[l].extent, s_.row_parts);
    limit /= s_.blocks[l];
  }
  for (size_t l = nest_.result_loops; l-- > 0;) {
    if (!is_row(l) || static_cast<int64_t>(l) == s_.row_loop)
      continue;
    s_.blocks[l] = largest_divisor(nest_.loops[l].extent, limit);
    limit /= s_.blocks[l];
  }
}

int64_t TileChooser::rows_of_task() const {
  int64_t rows = 1;
  for (size_t l = 0; l < nest_.result_loops; ++l)
    if (is_row(l))
      rows *= s_.blocks[l];
  return rows;
}

int64_t TileChooser::staged_bytes(size_t first, int64_t together) const {
  std::vector<int64_t> extents = s_.blocks;
  std::fill_n(extents.begin(), first, 1);
  if (first > 0)
    extents[first - 1] = together;
  int64_t elements = 1;
  for (size_t axis = 0; axis < nest_.types[a()].dims.size(); ++axis)
    elements *= nest_.numerators(a(), axis, extents).size();
  return elements * byte_size(nest_.sum_dtype());
}

void TileChooser::choose_staging() {
  bool contiguous = nest_.step(b(), vector_loop()) == 1 && !is_computed(b());
  bool small = nest_.types[b()].bytes() <= target_.l1_bytes;
  s_.stage_b =
      !s_.packed && !(contiguous && (small || is_in_order(b()) || rows_of_task() < kFewRows));
  if (!s_.stage_a || s_.staged_rows > 0)
    return;
  auto last = static_cast<size_t>(std::max<int64_t>(0, s_.row_loop));
  size_t first = 0;
  while (first < last && staged_bytes(first) > kStageBytes)
    ++first;
  s_.staged_from = static_cast<int64_t>(first);
  if (first > 0 && is_row(first - 1))
    s_.staged_together = most_together(first);
}

int64_t TileChooser::most_together(size_t first) const {
  constexpr int64_t kTogetherBytes = 96 << 10;
  auto moves_along = [&](const TapAxis& axis) {
    return axis.result_loop && static_cast<int64_t>(*axis.result_loop) != s_.row_loop;
  };
  std::optional<std::vector<TapAxis>> axes = tap_axes(nest_, a());
  if (limits_.rows < INT64_MAX || !axes || std::ranges::count_if(*axes, moves_along) < 2)
    return 1;
  int64_t all = s_.blocks[first - 1], together = all;
  while (together > 1 && (all % together != 0 || staged_bytes(first, together) > kTogetherBytes))
    --together;
  return together;
}

ContractSchedule choose_contract_schedule(const Function& kernel, const Target& target, int threads,
                                          const ContractLimits& limits) {
  return TileChooser(kernel, target, threads, limits).choose();
}

}  // namespace gradc
