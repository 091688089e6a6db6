#include "compiler/lower/contract_results.h"

#include <algorithm>

#include "compiler/lower/segments.h"
#include "ir/diagnostic.h"

namespace gradc {

using loop::LoopKind;
using loop::Scalar;

namespace {

// The nest may split an axis of channels into groups, or join axes.
std::vector<Scalar> result_indices(loop::Builder& b, const ContractionNest& nest,
                                   std::span<const Scalar> loops) {
  if (nest.has_joined_results)
    return unravel(b, ravel(b, loops, nest.contraction.result_dims), nest.result_type.dims);
  std::vector<Scalar> indices;
  size_t l = 0;
  for (int64_t dim : nest.result_type.dims) {
    Scalar index = b.index(0);
    for (int64_t covered = 1; covered < dim; ++l) {
      index = b.add(b.scaled(index, nest.loops[l].extent), loops[l]);
      covered *= nest.loops[l].extent;
    }
    indices.push_back(index);
  }
  return indices;
}

// Rows of a single loop whose sums are brought into the result's order at once where an epilogue
// follows: what it reads stays in the first level cache.
constexpr int64_t kTransposedRows = 128;

class BlockStore {
 public:
  BlockStore(KernelValues& values, const ContractionNest& nest, size_t vector_loop,
             const NestBlock& block, const OperandAccess& sums, const ScratchBuffers& scratch)
      : values_(values),
        b_(values.builder()),
        nest_(nest),
        vector_(vector_loop),
        size_(block.size.begin(),
              block.size.begin() + static_cast<std::ptrdiff_t>(nest.result_loops)),
        loops_(block.start.begin(),
               block.start.begin() + static_cast<std::ptrdiff_t>(nest.result_loops)),
        period_(block.period),
        sums_(sums),
        base_(sums.base),
        scratch_(scratch) {}

  void emit() {
    auto [first_of_run, run] = contiguous_rows();
    size_t opened = 0;
    size_t end = run > 1 ? first_of_run : nest_.result_loops;
    for (size_t l = 0; l < end; ++l)
      if (l != vector_ && size_[l] > 1) {
        move(l, b_.begin_for(LoopKind::serial, size_[l])[0]);
        ++opened;
      }
    if (run > 1)
      store_transposed(first_of_run, run);
    else
      store_rows();
    for (; opened > 0; --opened)
      b_.end_for();
  }

 private:
  void move(size_t l, Scalar i) {
    loops_[l] = b_.add(loops_[l], period_.empty() ? i : b_.scaled(i, period_[l]));
    base_ = b_.add(base_, b_.scaled(i, sums_.step[l]));
  }

  // The row loops that are one run of neighbours in the result, and their number of elements.
  std::pair<size_t, int64_t> contiguous_rows() const {
    int64_t run = 1;
    size_t first = nest_.result_loops;
    while (first > 0) {
      size_t l = first - 1;
      if (size_[l] > 1 && (l == vector_ || nest_.loops[l].result_step != run))
        break;
      run *= size_[l];
      first = l;
    }
    return {first, run};
  }

  // Vectors along the columns.
  void store_rows() {
    Scalar column = b_.begin_for(LoopKind::vector, size_[vector_])[0];
    move(vector_, column);
    store_results(values_, nest_, loops_, b_.load(sums_.buffer, base_));
    b_.end_for();
  }

  // The result wants neighbouring rows side by side: columns become rows, then vectors run along
  // what were rows.
  void store_transposed(size_t first_of_run, int64_t run) {
    GRADC_CHECK(period_.empty(), "@{} stores rows side by side", values_.function().name);
    size_t row = nest_.result_loops - 1;
    while (size_[row] == 1)
      --row;
    loop::Transpose transpose{.rows = run,
                              .columns = size_[vector_],
                              .from_buffer = sums_.buffer,
                              .from_step = sums_.step[row]};
    if (stores_sums_unchanged(values_.function(), nest_)) {
      transpose.to_buffer = values_.result_buffer(0);
      transpose.to_step = nest_.loops[vector_].result_step;
      Scalar to = b_.index(0);
      for (size_t l = 0; l < nest_.result_loops; ++l)
        to = b_.add(to, b_.scaled(loops_[l], nest_.loops[l].result_step));
      b_.transpose(transpose, base_, to);
      return;
    }
    while (size_[first_of_run] == 1)
      ++first_of_run;
    Dims dims(size_.begin() + static_cast<std::ptrdiff_t>(first_of_run), size_.end());
    int64_t part = dims[0] == run ? std::min(kTransposedRows, run) : dims[0];
    store_parts(transpose, dims, {0, part, dims[0] / part});
    if (dims[0] % part > 0)
      store_parts(transpose, dims, {dims[0] / part * part, dims[0] % part, 1});
  }

  // Parts of the outermost loop of a run over `dims`.
  void store_parts(loop::Transpose transpose, Dims dims, const Segment& parts) {
    size_t first = nest_.result_loops - dims.size();
    std::vector<Scalar> loops = loops_;
    Scalar base = base_;
    dims[0] = parts.size;
    for_parts(b_, parts, [&](Scalar start, Scalar) {
      move(first, start);
      transpose.rows = transpose.to_step = element_count(dims);
      transpose.to_buffer = scratch_("columns", transpose.columns * transpose.rows);
      b_.transpose(transpose, base_, b_.index(0));
      Scalar column = b_.begin_for(LoopKind::serial, transpose.columns)[0];
      loops_[vector_] = b_.add(loops_[vector_], column);
      Scalar j = b_.begin_for(LoopKind::vector, transpose.rows)[0];
      std::vector<Scalar> in_part = unravel(b_, j, dims);
      for (size_t k = 0; k < dims.size(); ++k)
        loops_[first + k] = b_.add(loops_[first + k], in_part[k]);
      Scalar at = b_.add(b_.scaled(column, transpose.to_step), j);
      store_results(values_, nest_, loops_, b_.load(transpose.to_buffer, at));
      b_.end_for();
      b_.end_for();
    });
    loops_ = std::move(loops);
    base_ = base;
  }

  KernelValues& values_;
  loop::Builder& b_;
  const ContractionNest& nest_;
  size_t vector_;
  Dims size_;  // per loop of the result
  std::vector<Scalar> loops_;  // where the open loops are
  std::vector<int64_t> period_;
  const OperandAccess& sums_;
  Scalar base_;  // in the sums, there
  const ScratchBuffers& scratch_;
};

}  // namespace

void store_results(KernelValues& values, const ContractionNest& nest, std::span<const Scalar> loops,
                   Scalar sum) {
  loop::Builder& b = values.builder();
  std::vector<Scalar> indices = result_indices(b, nest, loops);
  Scalar result = b.convert(sum, nest.result_type.dtype);
  values.define(nest.result, [result](const Position&) { return result; });
  const Function& kernel = values.function();
  std::vector<std::vector<Scalar>> positions;
  std::vector<Scalar> elements;
  for (const Result& r : kernel.results) {
    const Dims& dims = kernel.type(r.value).dims;
    positions.push_back(dims == nest.result_type.dims
                            ? indices
                            : unravel(b, ravel(b, indices, nest.result_type.dims), dims));
    elements.push_back(values.element(r.value, positions.back()));
  }
  // All are computed before the first is stored: a result may share an operand's bytes.
  for (size_t i = 0; i < elements.size(); ++i)
    values.store(i, positions[i], elements[i]);
}

void store_sums(KernelValues& values, const ContractionNest& nest, size_t vector_loop,
                const NestBlock& block, const OperandAccess& sums, const ScratchBuffers& scratch) {
  BlockStore(values, nest, vector_loop, block, sums, scratch).emit();
}

bool stores_sums_unchanged(const Function& kernel, const ContractionNest& nest) {
  return kernel.results.size() == 1 && kernel.results[0].value == nest.result &&
         nest.result_type.dtype == nest.sum_dtype();
}

}  // namespace gradc
