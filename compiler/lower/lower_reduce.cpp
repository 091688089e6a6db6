// Reduce kernels. Values of the rows' dims depend on folds of values of the domain's dims, which
// may depend on earlier folds (softmax: the maximum, then the sum of exp(x - maximum), then the
// quotients). A pass runs over a row's part of the domain and does the folds whose operands are
// known; the last one also stores the results of the domain's dims.
//
// Rows share nothing, so all passes of a row (or of a few columns, where the last axis is kept: the
// lanes) follow each other while the row is in cache. Several short rows are worked through at
// once: a short row alone is a chain of dependent instructions, and folds over lanes cost less
// together. Where functions are computed, rows go through a pipeline (reduce_staggered.cpp). Only
// where the tree cuts rows into chunks is each pass a loop over all chunks, whose values meet in
// the workspace.
//
// Where there are many columns of many elements, a few of them are no run of memory: then a pass
// sweeps over a band of columns, some elements of each column at a time, and keeps its sums in
// scratch memory.
//
// A kernel over rows may also fold across them (reduce_across.cpp).
#include <algorithm>
#include <array>

#include "compiler/lower/lower.h"
#include "compiler/lower/reduce_lowering.h"
#include "ir/op_def.h"

namespace gradc {

using loop::LoopKind;
using loop::Scalar;

ReduceLowering::ReduceLowering(const Function& function, const Target& target, bool parallel)
    : function_(function),
      plan_(plan_reduction(function, target)),
      tree_(plan_.tree),
      lanes_(target.lanes_f32()),
      parallel_(parallel),
      kernel_{.name = function.name},
      b_(kernel_),
      values_(function, b_),
      numbers_(tree_.groups.size()),
      stages_(visiting_passes()),
      row_values_(stages_.size() * static_cast<size_t>(rows_at_once()) * plan_.folds.size()),
      sweeps_(sweeps_columns()) {
  for (size_t f = 0; f < plan_.folds.size(); ++f)
    values_.define(plan_.folds[f].result,
                   [this, f](const Position& position) { return row_value(f, position); });
}

loop::Kernel ReduceLowering::run() {
  if (!plan_.across.empty())
    run_across();
  else if (tree_.chunks > 1)
    run_in_chunks();
  else if (tree_.lanes_reduce)
    run_rows();
  else
    run_columns();
  return std::move(kernel_);
}

void ReduceLowering::run_passes() {
  enter_row();
  Chunk whole{b_.index(0), tree_.groups[tree_.reduced()[0]].extent()};
  for (int64_t pass = 0; pass <= plan_.last_pass; ++pass) {
    if (!plan_.visits_domain(pass))
      continue;
    Carries folded = reduce(pass, 0, whole);
    set_rows(pass, folded);
    read_kept_after(pass);
  }
  compute_kept_again();
  for_each_row([&] { store_row_results(); });
}

std::vector<Scalar> ReduceLowering::begin_tasks(const Dims& dims) {
  int64_t tasks = element_count(dims);
  if (tasks == 1)
    return std::vector<Scalar>(dims.size(), b_.index(0));
  LoopKind kind = parallel_ ? LoopKind::parallel : LoopKind::serial;
  return unravel(b_, b_.begin_for(kind, tasks)[0], dims);
}

void ReduceLowering::end_loops() {
  while (b_.depth() > 0)
    b_.end_for();
}

bool ReduceLowering::has_plain_rows() const {
  return tree_.chunks == 1 && tree_.lanes_reduce && tree_.reduced().size() == 1 &&
         tree_.kept().size() == 1;
}

int64_t ReduceLowering::rows_at_once() const {
  constexpr int64_t kMostRows = 8;
  constexpr size_t kFewFolds = 3;
  if (!has_plain_rows())
    return 1;
  // Long rows alone are fastest in memory; many folds behind one another take longer than it.
  int64_t most = plan_.across.empty() && plan_.folds.size() <= kFewFolds ? 8 : 16;
  int64_t vectors = (plan_.row_elements + lanes_ - 1) / lanes_;
  int64_t rows = std::clamp<int64_t>(std::min(most / vectors, plan_.rows()), 1, kMostRows);
  return plan_.across.empty() || rows == 1 ? rows : rows / ReductionTree::kStrands * 2;
}

std::vector<ReduceLowering::Row> ReduceLowering::rows_from(Scalar first, int64_t count) {
  std::vector<Row> rows;
  for (int64_t row = 0; row < count; ++row) {
    Scalar place = numbers_[tree_.kept()[0]] = b_.add(first, b_.index(row));
    enter_row();
    rows.push_back({place, row_number_});
  }
  return rows;
}

void ReduceLowering::run_rows_at_once(int64_t first) {
  int64_t rows = rows_at_once(), blocks = (plan_.rows() - first) / rows;
  int64_t rest = first + blocks * rows;
  for (auto [begin, count, size] :
       {std::array{first, blocks, rows}, std::array{rest, int64_t{1}, plan_.rows() - rest}}) {
    if (count == 0 || size == 0)
      continue;
    Scalar block = begin_tasks({count})[0];
    open_ = rows_from(b_.add(b_.index(begin), b_.scaled(block, rows)), size);
    run_passes();
    end_loops();
  }
  open_.clear();
}

void ReduceLowering::run_rows() {
  if (int64_t blocks = staggered_blocks(); blocks > 0)
    return run_staggered(blocks);
  if (rows_at_once() > 1)
    return run_rows_at_once(0);
  std::vector<size_t> kept = tree_.kept();
  Dims dims;
  for (size_t g : kept)
    dims.push_back(tree_.groups[g].extent());
  std::vector<Scalar> tasks = begin_tasks(dims);
  for (size_t i = 0; i < kept.size(); ++i)
    numbers_[kept[i]] = tasks[i];
  run_passes();
  end_loops();
}

void ReduceLowering::run_columns() {
  int64_t columns = tree_.groups.back().extent(), block = columns;
  if (sweeps_)
    block = std::min(columns, band_columns());
  else if (parallel_)
    block = std::min(columns, 4 * lanes_);
  int64_t whole = columns / block;
  run_column_blocks(0, whole, block);
  if (columns % block)
    run_column_blocks(whole * block, 1, columns % block);
}

void ReduceLowering::run_column_blocks(int64_t begin, int64_t blocks, int64_t block) {
  std::vector<size_t> kept = tree_.kept();
  Dims dims;
  for (size_t g : kept)
    dims.push_back(tree_.groups[g].extent());
  dims.back() = blocks;
  std::vector<Scalar> tasks = begin_tasks(dims);
  for (size_t i = 0; i + 1 < kept.size(); ++i)
    numbers_[kept[i]] = tasks[i];
  Scalar start = b_.add(b_.index(begin), b_.scaled(tasks.back(), block));
  if (sweeps_) {
    sweep_passes({start, block});
  } else {
    begin_columns(start, block);
    run_passes();
  }
  end_loops();
}

void ReduceLowering::begin_columns(Scalar start, int64_t count) {
  numbers_.back() = start;
  if (count > 1)
    numbers_.back() = b_.add(start, b_.begin_for(LoopKind::vector, count, {}, {}, "j")[0]);
}

void ReduceLowering::run_in_chunks() {
  for (const PlannedFold& fold : plan_.folds) {
    const std::string& name = function_[fold.result].name;
    partials_.push_back(b_.add_buffer(
        {name + ".part", loop::Space::workspace, fold.sum_dtype, tree_.chunks * plan_.rows()}));
    totals_.push_back(b_.add_buffer(
        {name + ".row", loop::Space::workspace, function_.type(fold.result).dtype, plan_.rows()}));
  }
  int64_t extent = tree_.groups[tree_.reduced()[0]].extent();
  int64_t whole = extent / tree_.chunk;
  for (int64_t pass = 0; pass <= plan_.last_pass; ++pass) {
    if (!plan_.visits_domain(pass))
      continue;
    run_pass(pass, 0, whole, tree_.chunk);
    if (extent % tree_.chunk)
      run_pass(pass, whole, 1, extent % tree_.chunk);
    if (!folds_of(pass).empty())
      add_partials(pass);
  }
  if (!plan_.row_results.empty())
    over_all_rows([&] {
      load_totals(plan_.last_pass);
      store_row_results();
    });
}

void ReduceLowering::run_pass(int64_t pass, int64_t first, int64_t count, int64_t extent) {
  std::vector<size_t> kept = tree_.kept();
  Dims dims = {count};
  for (size_t g : kept)
    dims.push_back(tree_.groups[g].extent());
  if (!tree_.lanes_reduce)
    dims.back() = 1;
  std::vector<Scalar> tasks = begin_tasks(dims);
  for (size_t i = 0; i < kept.size(); ++i)
    numbers_[kept[i]] = tasks[i + 1];
  // A pass that only stores begins with what the pass before read last and left in a cache. Threads
  // have the chunks that they had.
  bool backwards = folds_of(pass).empty() && !parallel_;
  Scalar number =
      backwards ? b_.sub(b_.index(first + count - 1), tasks[0]) : b_.add(b_.index(first), tasks[0]);
  Chunk chunk{b_.scaled(number, tree_.chunk), extent};
  auto store_partials = [&](const Carries& folded) {
    Scalar at = b_.add(b_.scaled(number, plan_.rows()), row_number_);
    std::vector<size_t> folds = folds_of(pass);
    for (size_t i = 0; i < folds.size(); ++i)
      b_.store(partials_[folds[i]], at, folded[i]);
  };
  if (sweeps_) {
    int64_t columns = tree_.groups.back().extent(), block = std::min(columns, band_columns());
    for (int64_t start = 0; start < columns; start += block)
      sweep(
          pass, {b_.index(start), std::min(block, columns - start)}, chunk,
          [&](Scalar) { load_totals(pass - 1); },
          [&](Scalar, const Carries& folded) { store_partials(folded); });
    return end_loops();
  }
  if (!tree_.lanes_reduce)
    begin_columns(b_.index(0), tree_.groups.back().extent());
  enter_row();
  load_totals(pass - 1);
  store_partials(reduce(pass, 0, chunk));
  end_loops();
}

void ReduceLowering::load_totals(int64_t last_pass) {
  for (size_t f = 0; f < plan_.folds.size(); ++f)
    if (plan_.folds[f].pass <= last_pass)
      row_values_[f] = b_.load(totals_[f], row_number_);
}

void ReduceLowering::over_all_rows(const std::function<void()>& body) {
  Dims dims;
  for (size_t g : tree_.kept())
    dims.push_back(tree_.groups[g].extent());
  Scalar row = b_.index(0);
  if (plan_.rows() > 1)
    row = b_.begin_for(LoopKind::vector, plan_.rows(), {}, {}, "row")[0];
  std::vector<Scalar> kept_numbers = unravel(b_, row, dims);
  for (size_t i = 0; i < dims.size(); ++i)
    numbers_[tree_.kept()[i]] = kept_numbers[i];
  enter_row();
  body();
  end_loops();
}

void ReduceLowering::add_partials(int64_t pass) {
  over_all_rows([&] {
    Carries sums;
    for (size_t f : folds_of(pass))
      sums.push_back(identity(f));
    Carries current = b_.begin_for(LoopKind::serial, tree_.chunks, sums);
    Scalar at = b_.add(b_.scaled(current[0], plan_.rows()), row_number_);
    current.erase(current.begin());
    Carries parts;
    for (size_t f : folds_of(pass))
      parts.push_back(b_.load(partials_[f], at));
    set_rows(pass, b_.end_for(combine(pass, current, parts)));
    for (size_t f : folds_of(pass))
      b_.store(totals_[f], row_number_, row_values_[f]);
  });
}

loop::Kernel lower_reduce(const Function& function, const Target& target, int threads) {
  if (threads > 1) {
    loop::Kernel parallel = ReduceLowering(function, target, true).run();
    if (nanoseconds_of(parallel.body) >= kParallelNanoseconds)
      return parallel;
  }
  return ReduceLowering(function, target, false).run();
}

}  // namespace gradc
