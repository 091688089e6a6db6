// Copies of operands with the vector loop innermost.
#include <algorithm>

#include "compiler/lower/stage_operand.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

class VectorCopy {
 public:
  VectorCopy(KernelValues& values, const ContractionNest& nest, size_t operand, size_t vector_loop,
             const NestBlock& block, int64_t row_elements, const ScratchBuffers& scratch,
             std::optional<Scalar> to)
      : values_(values),
        b_(values.builder()),
        nest_(nest),
        operand_(operand),
        vector_(vector_loop),
        block_(block),
        row_elements_(row_elements),
        scratch_(scratch),
        to_(to ? *to : b_.index(0)) {}

  OperandAccess emit() {
    OperandAccess access{0, to_, std::vector<int64_t>(nest_.loops.size())};
    std::vector<size_t> summed = row_order();  // the loops of a row's number, outermost first
    int64_t rows = 1;
    for (size_t i = summed.size(); i-- > 0; rows *= block_.size[summed[i]])
      access.step[summed[i]] = rows * row_elements_;
    access.step[vector_] = 1;
    access.buffer = to_buffer_ = scratch_("b", rows * row_elements_);
    clear_behind(rows);

    // Innermost loops that walk over neighbours in the operand are transposed as a whole.
    std::vector<size_t> run;
    int64_t elements = 1;
    while (!summed.empty() && nest_.step(operand_, vector_) != 1 &&
           nest_.step(operand_, summed.back()) == elements) {
      elements *= block_.size[summed.back()];
      run.insert(run.begin(), summed.back());
      summed.pop_back();
    }
    for (size_t l : summed) {
      Scalar i = b_.begin_for(LoopKind::serial, block_.size[l])[0];
      block_.start[l] = b_.add(block_.start[l], i);
      to_ = b_.add(to_, b_.scaled(i, access.step[l]));
    }
    if (run.empty())
      stage_row(values_, nest_, operand_, vector_, block_, to_buffer_, to_);
    else
      transpose(run, elements);
    for (size_t i = 0; i < summed.size(); ++i)
      b_.end_for();
    return access;
  }

 private:
  void clear_behind(int64_t rows) {
    int64_t columns = row_elements_ - block_.size[vector_];
    if (columns == 0)
      return;
    Scalar row = b_.begin_for(LoopKind::serial, rows)[0];
    Scalar behind = b_.add(b_.scaled(row, row_elements_), b_.index(block_.size[vector_]));
    clear_elements(b_, nest_.sum_dtype(), columns, to_buffer_, b_.add(to_, behind));
    b_.end_for();
  }

  // The summed loops as they are nested; or, where many rows can then be transposed at once, as
  // they lie in the operand, such as the taps of a channel side by side.
  std::vector<size_t> row_order() const {
    constexpr int64_t kWorthwhile = 8;
    std::vector<size_t> loops;
    for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
      if (block_.size[l] > 1)
        loops.push_back(l);
    std::vector<size_t> in_memory = loops;
    std::stable_sort(in_memory.begin(), in_memory.end(), [&](size_t x, size_t y) {
      return nest_.step(operand_, x) > nest_.step(operand_, y);
    });
    int64_t run = 1;
    for (size_t i = in_memory.size(); i-- > 0 && nest_.step(operand_, in_memory[i]) == run;)
      run *= block_.size[in_memory[i]];
    bool transposes = nest_.step(operand_, vector_) != 1 && run >= kWorthwhile;
    return transposes ? in_memory : loops;
  }

  // Elements that are computed in this kernel are computed along the run first.
  void transpose(const std::vector<size_t>& run, int64_t elements) {
    std::optional<uint32_t> from = values_.buffer_of(nest_.operands[operand_]);
    loop::Transpose move{.rows = block_.size[vector_],
                         .columns = elements,
                         .to_buffer = to_buffer_,
                         .to_step = row_elements_};
    Scalar start = b_.index(0);
    if (from && nest_.types[operand_].dtype == nest_.sum_dtype()) {
      move.from_buffer = *from;
      move.from_step = nest_.step(operand_, vector_);
      start = b_.index(nest_.offset(operand_));
      for (size_t l = 0; l < nest_.loops.size(); ++l)
        start = b_.add(start, b_.scaled(block_.start[l], nest_.step(operand_, l)));
    } else {
      move.from_buffer = scratch_("b_columns", block_.size[vector_] * elements);
      move.from_step = elements;
      compute_columns(run, elements, move.from_buffer);
    }
    b_.transpose(move, start, to_);
  }

  void compute_columns(const std::vector<size_t>& run, int64_t elements, uint32_t buffer) {
    std::vector<Scalar> at = block_.start;
    Dims dims;
    for (size_t l : run)
      dims.push_back(block_.size[l]);
    Scalar row = b_.begin_for(LoopKind::serial, block_.size[vector_])[0];
    at[vector_] = b_.add(at[vector_], row);
    Scalar j = b_.begin_for(LoopKind::vector, elements)[0];
    std::vector<Scalar> in_run = unravel(b_, j, dims);
    for (size_t i = 0; i < run.size(); ++i)
      at[run[i]] = b_.add(at[run[i]], in_run[i]);
    b_.store(buffer, b_.add(b_.scaled(row, elements), j),
             operand_element_at(values_, nest_, operand_, at, nest_.sum_dtype()));
    b_.end_for();
    b_.end_for();
  }

  KernelValues& values_;
  loop::Builder& b_;
  const ContractionNest& nest_;
  size_t operand_, vector_;
  NestBlock block_;  // from the current index of each loop on
  int64_t row_elements_;
  const ScratchBuffers& scratch_;
  uint32_t to_buffer_ = 0;
  Scalar to_;  // where the current row goes
};

}  // namespace

OperandAccess stage_vectors(KernelValues& values, const ContractionNest& nest, size_t operand,
                            size_t vector_loop, const NestBlock& block, int64_t row_elements,
                            const ScratchBuffers& scratch, std::optional<Scalar> to) {
  return VectorCopy(values, nest, operand, vector_loop, block, row_elements, scratch, to).emit();
}

}  // namespace gradc
