#include "compiler/lower/contract_method.h"

#include "compiler/lower/matrix_windows.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

// What takes as much scratch as a tile, and an input, of Winograd's.
constexpr int64_t kRowsOfTile = 16, kElementsOfInput = 4;
constexpr int64_t kMatrixBlock = 128;  // rows and columns of a task of a matrix unit

}  // namespace

bool MethodChooser::choose_method() {
  if (nest_.op.attrs.flag("winograd")) {
    choose_winograd();
    return false;
  }
  if (is_depthwise(nest_)) {
    s_.method = ContractMethod::depthwise;
    return false;
  }
  summed_axes_ = std::count_if(nest_.loops.begin(), nest_.loops.end(),
                               [](const auto& loop) { return loop.summed && loop.extent > 1; });
  nest_ = with_joined_loops(std::move(nest_));
  // Sums whose terms are too far apart to be brought into order whole.
  constexpr int64_t kFar = 2048;
  bool sums_far = summed_elements() >= kFar;
  if ((sums_far && choose_pixels()) || (has_one_row_loop() && choose_matrix()) ||
      choose_windows() || choose_pixels() || choose_matrix())
    return false;
  nest_ = with_channel_parts(std::move(nest_));
  s_.blocks = nest_.extents();
  double cost = choose_by_cost();
  if (choose_pairs(cost) || s_.method != ContractMethod::tile)
    return false;
  if (double best = 4; packed_operand_ >= 0)
    choose_vector_loop(best, false, true);
  return true;
}

double MethodChooser::utilization(int64_t extent) const {
  return static_cast<double>(extent) / static_cast<double>(ceil_div(extent, lanes_) * lanes_);
}

double MethodChooser::tile_cost(size_t side, size_t v, bool packed) const {
  auto rows = static_cast<double>(nest_.rows_sharing(side));
  bool in_order = is_in_order(side) || (packed && static_cast<int64_t>(side) == packed_operand_);
  double staging = in_order ? 0 : nest_.step(side, v) != 1 ? 5 : 2;
  // Sums over many pixels wait for the next pass in rows of the result, or cost far more.
  bool waits = summed_axes_ > 1 && summed_elements() > kPassElements;
  double storing = nest_.loops[v].result_step == 1 ? 2 : waits ? 300 : 10;
  // Rows of pixels far apart are copied for the columns that they meet.
  double copying = has_far_pixels(1 - side) ? 6 : 0;
  auto columns = static_cast<double>(nest_.loops[v].extent);
  return 1 / utilization(nest_.loops[v].extent) + staging / rows + copying / columns +
         storing / static_cast<double>(summed_elements());
}

double MethodChooser::lanes_cost(int64_t extent) const {
  double folding = 7 * static_cast<double>(lanes_) / static_cast<double>(extent);
  return std::max(extent < 4 * lanes_ ? 2.0 : 0.0, 1.15 / utilization(extent) + folding);
}

void MethodChooser::choose_vector_loop(double& best, bool result_rows, bool packed) {
  for (size_t side : {0, 1}) {
    if (nest_.has_windows(side) || nest_.has_padding(side))
      continue;
    for (size_t l = 0; l < nest_.result_loops; ++l) {
      const ContractionLoop& loop = nest_.loops[l];
      if (loop.extent == 1 || !loop.moves[side] || loop.moves[1 - side] ||
          (result_rows && loop.result_step != 1) || tile_cost(side, l, packed) >= best)
        continue;
      best = tile_cost(side, l, packed);
      s_.method = ContractMethod::tile;
      s_.vector_operand = static_cast<int64_t>(side);
      s_.vector_loop = static_cast<int64_t>(l);
    }
  }
}

bool MethodChooser::choose_matrix() {
  if (!target_.matrix_bf16 || !is_matrix(0) || !is_matrix(1))
    return false;
  ContractSchedule before = s_;
  if (!choose_matrix_loops()) {
    s_ = before;
    return false;
  }
  s_.method = ContractMethod::matrix;
  s_.blocks = nest_.extents();
  std::fill_n(s_.blocks.begin(), nest_.result_loops, 1);
  for (size_t l : {vector_loop(), static_cast<size_t>(s_.row_loop)})
    s_.blocks[l] = std::min(nest_.loops[l].extent, kMatrixBlock);
  return true;
}

bool MethodChooser::has_one_row_loop() const {
  return std::ranges::count_if(nest_.loops, [](const ContractionLoop& loop) {
           return !loop.summed && loop.extent > 1;
         }) <= 2;
}

bool MethodChooser::choose_windows() {
  constexpr int64_t kFewest = 8, kProducts = 1 << 15;
  if (!target_.matrix_bf16 || nest_.types[0].dtype != DType::bf16 ||
      nest_.types[1].dtype != DType::bf16)
    return false;
  std::optional<MatrixWindows> windows = matrix_windows(nest_);
  if (!windows)
    return false;
  int64_t columns = nest_.loops[windows->column_loop].extent, positions = 0, depth = 0;
  for (const WindowPhase& phase : windows->phases) {
    positions += phase.positions();
    depth = std::max(depth, phase.taps() * windows->channels);
  }
  if (std::min({positions, columns, summed_elements()}) < kFewest ||
      positions * columns * summed_elements() < kProducts)
    return false;
  s_.method = ContractMethod::windows;
  s_.vector_operand = static_cast<int64_t>(1 - windows->image);
  s_.vector_loop = static_cast<int64_t>(windows->column_loop);
  s_.blocks = nest_.extents();
  s_.blocks[windows->column_loop] = std::min(columns, kMatrixBlock);
  // What a task has of the image in order should stay in the second level cache.
  int64_t bytes =
      limits_.pass_elements >= kPassElements ? target_.l2_bytes / 2 : limits_.pass_elements << 10;
  s_.rows = std::clamp<int64_t>(bytes / (2 * depth) / 16 * 16, 16, 2 * kMatrixBlock);
  return true;
}

bool MethodChooser::choose_pixels() {
  constexpr int64_t kFewest = 8, kFewestPositions = 64, kProducts = 1 << 15;
  constexpr int64_t kOutputs = 256, kColumns = 640, kSums = 160 << 10;
  if (!target_.matrix_bf16 || nest_.types[0].dtype != DType::bf16 ||
      nest_.types[1].dtype != DType::bf16)
    return false;
  std::optional<MatrixPixels> pixels = matrix_pixels(nest_);
  if (!pixels)
    return false;
  int64_t taps = pixels->phase.taps(), columns = taps * pixels->channels;
  if (std::min(pixels->outputs, columns) < kFewest ||
      pixels->phase.positions() < kFewestPositions ||
      pixels->outputs * columns * pixels->phase.positions() < kProducts)
    return false;
  s_.method = ContractMethod::pixels;
  s_.vector_operand = static_cast<int64_t>(pixels->image);
  s_.vector_loop = static_cast<int64_t>(pixels->channel_loop);
  s_.row_loop = static_cast<int64_t>(pixels->output_loop);
  s_.blocks = nest_.extents();
  // Blocks of equal size, whole tiles of the unit, whose sums stay in the second level cache.
  auto block_of = [](int64_t extent, int64_t most) {
    int64_t parts = ceil_div(extent, std::max(most, kRowsOfTile));
    return std::min(extent, round_up(ceil_div(extent, parts), kRowsOfTile));
  };
  int64_t sums = std::min(kSums, kColumns * std::min(kOutputs, limits_.rows));
  int64_t outputs = block_of(pixels->outputs, std::min(kOutputs, limits_.rows));
  int64_t channels = block_of(pixels->channels, std::min(kColumns, sums / outputs) / taps);
  auto tasks = [&] {
    return ceil_div(pixels->outputs, outputs) * ceil_div(pixels->channels, channels);
  };
  while (threads_ > 1 && tasks() < 2 * threads_ && channels > kRowsOfTile)
    channels = block_of(channels, channels / 2);
  while (threads_ > 1 && tasks() < 2 * threads_ && outputs > 2 * kRowsOfTile)
    outputs = block_of(outputs, outputs / 2);
  s_.blocks[pixels->output_loop] = outputs;
  if (pixels->channels > 1)
    s_.blocks[pixels->channel_loop] = channels;
  return true;
}

void MethodChooser::choose_winograd() {
  s_.method = ContractMethod::winograd;
  s_.winograd =
      choose_winograd_schedule(winograd_shape(nest_), target_, threads_, limits_.rows / kRowsOfTile,
                               limits_.pass_elements / kElementsOfInput, limits_.stage_once);
}

bool MethodChooser::is_matrix(size_t operand) const {
  return nest_.types[operand].dtype == DType::bf16 && !nest_.has_windows(operand) &&
         !nest_.has_padding(operand);
}

bool MethodChooser::choose_matrix_loops() {
  constexpr int64_t kFewest = 8, kProducts = 1 << 15;
  for (size_t l = 0; l < nest_.result_loops; ++l)
    if (nest_.loops[l].extent > 1 && nest_.loops[l].result_step == 1)
      s_.vector_loop = static_cast<int64_t>(l);
  if (s_.vector_loop < 0)
    return false;
  s_.vector_operand = nest_.loops[vector_loop()].moves[1] ? 1 : 0;
  int64_t rows = 1, columns = nest_.loops[vector_loop()].extent;
  for (size_t l = 0; l < nest_.result_loops; ++l) {
    const ContractionLoop& loop = nest_.loops[l];
    if (loop.extent == 1 || l == vector_loop())
      continue;
    if (!is_row(l))
      return false;
    rows *= loop.extent;
    s_.row_loop = static_cast<int64_t>(l);
  }
  return std::min({rows, columns, summed_elements()}) >= kFewest &&
         rows * columns * summed_elements() >= kProducts;
}

double MethodChooser::choose_by_cost() {
  double best = 4;  // about what vectors along the result without tiles cost
  choose_vector_loop(best, false);
  const ContractionLoop* summed =
      nest_.result_loops < nest_.loops.size() ? &nest_.loops.back() : nullptr;
  bool contiguous = summed && nest_.step(0, nest_.loops.size() - 1) == 1 &&
                    nest_.step(1, nest_.loops.size() - 1) == 1;
  int64_t columns = nest_.result_loops ? nest_.loops[nest_.result_loops - 1].extent : 1;
  double direct = 4 / utilization(columns);
  bool is_short = summed && summed->extent < 4 * lanes_;
  if (contiguous && summed->extent >= lanes_ / 2 &&
      (best >= 4 ? direct > (is_short ? 8 : lanes_cost(summed->extent))
                 : best > lanes_cost(summed->extent)))
    s_.method = ContractMethod::lanes;
  double chosen = s_.method == ContractMethod::lanes  ? lanes_cost(summed->extent)
                  : s_.method == ContractMethod::tile ? best
                                                      : direct;
  if (double cost = 1.25 * best; s_.method == ContractMethod::tile && limits_.result_rows)
    choose_vector_loop(cost, true);
  return chosen;
}

bool MethodChooser::choose_pairs(double cost) {
  ContractSchedule before = s_;
  if (choose_pair_loops() && pairs_cost() < cost) {
    choose_pair_rows();
    return true;
  }
  s_ = before;
  return false;
}

bool MethodChooser::choose_pair_loops() {
  constexpr int64_t kFewestRows = 8, kMostStaged = 32 << 10;
  s_.vector_loop = s_.row_loop = -1;
  for (size_t l = 0; l < nest_.result_loops; ++l)
    if (nest_.loops[l].extent > 1 && nest_.loops[l].result_step == 1)
      s_.vector_loop = static_cast<int64_t>(l);
  if (s_.vector_loop < 0 || nest_.sum_dtype() != DType::f32)
    return false;
  const ContractionLoop& column = nest_.loops[vector_loop()];
  s_.vector_operand = column.moves[1] ? 1 : 0;
  if (column.moves[a()] || column.extent >= lanes_)
    return false;
  for (size_t side : {0, 1})
    if (nest_.has_windows(side) || nest_.has_padding(side))
      return false;
  size_t last = nest_.loops.size() - 1;
  for (size_t l = 0; l < last; ++l) {
    const ContractionLoop& loop = nest_.loops[l];
    if (loop.extent == 1 || l == vector_loop())
      continue;
    if (is_row(l) && s_.row_loop < 0)
      s_.row_loop = static_cast<int64_t>(l);
    else if (loop.summed || !loop.moves[0] || !loop.moves[1])
      return false;
  }
  if (s_.row_loop < 0 || nest_.result_loops == nest_.loops.size())
    return false;
  int64_t summed = nest_.loops[last].extent;
  bool has_order = nest_.step(b(), vector_loop()) == 1 || nest_.step(b(), last) == 1;
  return nest_.step(a(), last) == 1 && has_order && summed % (lanes_ / 2) == 0 &&
         summed >= 4 * lanes_ && summed * column.extent <= kMostStaged &&
         nest_.loops[static_cast<size_t>(s_.row_loop)].extent >= kFewestRows;
}

int64_t MethodChooser::pair_vectors() const {
  return ceil_div(nest_.loops[vector_loop()].extent, 2);
}

int64_t MethodChooser::most_pair_rows() const {
  return (target_.vector_registers - 3 - pair_vectors()) / pair_vectors();
}

double MethodChooser::pairs_cost() const {
  if (most_pair_rows() * pair_vectors() < 8)
    return 1e9;
  auto columns = static_cast<double>(nest_.loops[vector_loop()].extent);
  auto rows = static_cast<double>(nest_.loops[static_cast<size_t>(s_.row_loop)].extent);
  double used = columns / static_cast<double>(2 * pair_vectors());
  double folding = 2.5 * static_cast<double>(lanes_) / static_cast<double>(summed_elements());
  return 1.05 / used + folding + 12 / rows;
}

void MethodChooser::choose_pair_rows() {
  s_.method = ContractMethod::pairs;
  std::fill_n(s_.blocks.begin(), nest_.result_loops, 1);
  s_.blocks[vector_loop()] = nest_.loops[vector_loop()].extent;
  auto row = static_cast<size_t>(s_.row_loop);
  int64_t rows = nest_.loops[row].extent;
  int64_t panels = ceil_div(rows, most_pair_rows());
  s_.rows = ceil_div(rows, panels);
  s_.vectors = pair_vectors();
  s_.row_parts = std::min<int64_t>(threads_, panels);
  s_.blocks[row] = ceil_div(rows, s_.row_parts);
  s_.stage_a = is_computed(a());
  s_.stage_b = is_computed(b());
  s_.direct_store = true;
}

}  // namespace gradc
