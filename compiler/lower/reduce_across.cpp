// Reduce kernels that fold across their rows beside along them, as the gradients of a norm by its
// scale and its input do: one sweep for both. Tasks are the chunks of rows that a kernel of the
// folds across alone would have, and add in its order, so that bits are the same: row i of a chunk
// to sum i % kStrands, these in order, then the chunks in order.
//
//   parallel chunk {
//     strands of sums, one per column, in scratch: cleared
//     rows { the passes of some rows; the last pass adds each element to a sum of its column }
//     sum of the strands -> partial sums in the workspace
//   }
//   partial sums -> results
#include "compiler/lower/reduce_lowering.h"
#include "ir/diagnostic.h"

namespace gradc {

using loop::LoopKind;
using loop::Scalar;

void ReduceLowering::run_across() {
  const ReductionTree& across = plan_.across_tree;
  GRADC_CHECK(tree_.chunks == 1 && tree_.lanes_reduce && !across.lanes_reduce &&
                  tree_.groups.size() == 2 && across.groups.size() == 2,
              "@{} folds across rows of which each is not one run of memory", function_.name);
  for (const PlannedFold& fold : plan_.across) {
    const std::string& name = function_[fold.result].name;
    across_sums_.push_back(b_.add_buffer({name + ".sum", loop::Space::scratch, fold.sum_dtype,
                                          ReductionTree::kStrands * plan_.row_elements}));
    across_partials_.push_back(b_.add_buffer({name + ".part", loop::Space::workspace,
                                              fold.sum_dtype, across.chunks * plan_.row_elements}));
  }
  int64_t whole = plan_.rows() / across.chunk, rest = plan_.rows() % across.chunk;
  run_across_chunks(0, whole, across.chunk);
  if (rest > 0)
    run_across_chunks(whole, 1, rest);
  add_across_partials();
}

template <typename Body>
void ReduceLowering::over_across_columns(Body body) {
  Scalar column = b_.begin_for(LoopKind::vector, plan_.row_elements, {}, {}, "j")[0];
  body(column);
  b_.end_for();
}

void ReduceLowering::run_across_chunks(int64_t first, int64_t count, int64_t extent) {
  Scalar chunk = b_.add(b_.index(first), begin_tasks({count})[0]);
  across_strands_ = std::min(ReductionTree::kStrands, extent);
  across_strand_ = b_.index(0);
  over_across_columns([&](Scalar column) {
    for (size_t f = 0; f < plan_.across.size(); ++f)
      for (int64_t s = 0; s < across_strands_; ++s)
        b_.store(across_sums_[f], in_strand(s, column),
                 b_.constant(plan_.across[f].sum_dtype, plan_.across[f].identity));
  });
  run_across_rows(b_.scaled(chunk, plan_.across_tree.chunk), extent);
  over_across_columns([&](Scalar column) {
    for (size_t f = 0; f < plan_.across.size(); ++f) {
      Scalar total = b_.load(across_sums_[f], column);
      for (int64_t s = 1; s < across_strands_; ++s)
        total = b_.binary(plan_.across[f].combine, total,
                          b_.load(across_sums_[f], in_strand(s, column)));
      b_.store(across_partials_[f], b_.add(b_.scaled(chunk, plan_.row_elements), column), total);
    }
  });
  end_loops();
}

// One long row after the other, or several short ones at once, an even number of them.
void ReduceLowering::run_across_rows(Scalar first, int64_t rows) {
  int64_t step = rows_at_once(), rounds = rows / step, rest = rows % step;
  if (rounds > 0) {
    Scalar round = b_.begin_for(LoopKind::serial, rounds)[0];
    if (step == 1) {
      open_.clear();
      across_strand_ = b_.rem(round, b_.index(across_strands_));
      numbers_[tree_.kept()[0]] = b_.add(first, round);
      run_passes();
      across_strand_ = b_.index(0);
    } else {
      run_across_rows_at_once(b_.add(first, b_.scaled(round, step)), step);
    }
    b_.end_for();
  }
  if (rest > 0)
    run_across_rows_at_once(b_.add(first, b_.index(rounds * step)), rest);
}

void ReduceLowering::run_across_rows_at_once(Scalar first, int64_t rows) {
  open_ = rows_from(first, rows);
  run_passes();
}

Scalar ReduceLowering::in_strand(int64_t strand, Scalar column) {
  Scalar number = b_.add(across_strand_, b_.index(strand));
  return b_.add(b_.scaled(number, plan_.row_elements), column);
}

void ReduceLowering::visit_across(std::span<const Scalar> indices) {
  if (plan_.across.empty())
    return;
  across_column_ = column_number(indices);
  int64_t strand = static_cast<int64_t>(row_) % across_strands_;
  for (size_t f = 0; f < plan_.across.size(); ++f) {
    const PlannedFold& fold = plan_.across[f];
    Scalar x = b_.convert(values_.element(fold.operand, indices), fold.sum_dtype);
    auto [open, fresh] = across_open_.try_emplace({f, strand});
    if (fresh)
      open->second = b_.load(across_sums_[f], in_strand(strand, across_column_));
    open->second = b_.binary(fold.combine, open->second, x);
  }
}

void ReduceLowering::store_across() {
  for (const auto& [at, sum] : across_open_)
    b_.store(across_sums_[at.first], in_strand(at.second, across_column_), sum);
  across_open_.clear();
}

void ReduceLowering::add_across_partials() {
  int64_t chunks = plan_.across_tree.chunks;
  Dims dims;
  for (int64_t axis : plan_.axes)
    dims.push_back(plan_.domain[static_cast<size_t>(axis)]);
  over_across_columns([&](Scalar column) {
    Carries sums;
    for (const PlannedFold& fold : plan_.across)
      sums.push_back(b_.constant(fold.sum_dtype, fold.identity));
    Scalar at = column;
    if (chunks > 1) {
      sums = b_.begin_for(LoopKind::serial, chunks, sums);
      at = b_.add(b_.scaled(sums[0], plan_.row_elements), column);
      sums.erase(sums.begin());
    }
    for (size_t f = 0; f < plan_.across.size(); ++f) {
      Scalar part = b_.load(across_partials_[f], at);
      sums[f] = chunks > 1 ? b_.binary(plan_.across[f].combine, sums[f], part) : part;
    }
    if (chunks > 1)
      sums = b_.end_for(sums);
    std::vector<Scalar> indices = unravel(b_, column, dims);
    for (size_t f = 0; f < plan_.across.size(); ++f) {
      size_t result = plan_.across_results[f];
      DType dtype = function_.type(function_.results[result].value).dtype;
      values_.store(result, indices, b_.convert(sums[f], dtype));
    }
  });
}

}  // namespace gradc
