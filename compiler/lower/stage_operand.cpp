#include "compiler/lower/stage_operand.h"

#include <algorithm>

#include "ir/diagnostic.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

// One axis of a staged operand: position q holds the element whose numerator is base + q.
struct StagedAxis {
  int64_t extent = 1;
  int64_t stride = 0;
  Scalar base;
  std::optional<int64_t> known_base;
  int64_t divisor = 1;
  int64_t size = 0;  // of the operand's axis
  bool can_leave = false;  // some position of some block has no element
};

void set_strides(std::vector<StagedAxis>& axes) {
  int64_t stride = 1;
  for (size_t axis = axes.size(); axis-- > 0;) {
    axes[axis].stride = stride;
    stride *= axes[axis].extent;
  }
}

std::vector<StagedAxis> staged_axes(loop::Builder& b, const ContractionNest& nest, size_t operand,
                                    const NestBlock& block) {
  std::vector<StagedAxis> axes;
  const auto& indices = nest.contraction.operand_indices[operand];
  for (size_t axis = 0; axis < indices.size(); ++axis) {
    const AffineIndex& index = indices[axis];
    Range range = nest.numerators(operand, axis, block.size);
    Scalar base = b.index(range.begin);
    for (auto [l, coefficient] : index.terms)
      base = b.add(base, b.scaled(block.start[static_cast<size_t>(l)], coefficient));
    Range everywhere = nest.numerators(operand, axis, nest.extents());
    int64_t size = nest.types[operand].dims[axis];
    bool can_leave = index.divisor != 1 || everywhere.begin < 0 || everywhere.end > size;
    axes.push_back({range.size(), 0, base, b.constant_of(base), index.divisor, size, can_leave});
  }
  set_strides(axes);
  return axes;
}

// What is known while the axes are visited, outermost first.
struct Cursor {
  std::vector<Scalar> indices;  // in the operand
  std::optional<Scalar> condition;  // for an element to be there
  Scalar to;  // where it goes
};

class PaddedCopy {
 public:
  PaddedCopy(KernelValues& values, const ContractionNest& nest, size_t operand,
             std::vector<StagedAxis> axes, uint32_t buffer, Scalar to)
      : values_(values),
        b_(values.builder()),
        nest_(nest),
        operand_(operand),
        axes_(std::move(axes)),
        buffer_(buffer),
        to_(to),
        dtype_(nest.sum_dtype()) {
    for (size_t axis = 0; axis < axes_.size(); ++axis)
      if (axes_[axis].extent > 1)
        innermost_ = axis;
  }

  void emit() {
    bool has_gaps = std::any_of(axes_.begin(), axes_.end(),
                                [](const StagedAxis& axis) { return axis.can_leave; });
    if (has_gaps) {
      int64_t elements = 1;
      for (const StagedAxis& axis : axes_)
        elements *= axis.extent;
      Scalar i = b_.begin_for(LoopKind::vector, elements)[0];
      b_.store(buffer_, b_.add(to_, i), b_.constant(dtype_, 0));
      b_.end_for();
    }
    visit(0, {{}, std::nullopt, to_});
  }

 private:
  void visit(size_t axis, Cursor at) {
    if (axis == axes_.size()) {
      Scalar element = operand_element(values_, nest_, operand_, {at.indices, at.condition});
      if (at.condition)
        element = b_.select(*at.condition, element, b_.constant(element.dtype, 0));
      b_.store(buffer_, at.to, b_.convert(element, dtype_));
      return;
    }
    const StagedAxis& a = axes_[axis];
    if (!a.known_base || !a.can_leave)
      visit_all(axis, std::move(at));
    else
      visit_present(axis, std::move(at));
  }

  Scalar open(size_t axis, int64_t extent) {
    if (extent == 1)
      return b_.index(0);
    ++opened_;
    return b_.begin_for(axis == innermost_ ? LoopKind::vector : LoopKind::serial, extent)[0];
  }

  // Only the positions that have an element.
  void visit_present(size_t axis, Cursor at) {
    const StagedAxis& a = axes_[axis];
    int64_t first = std::max<int64_t>(0, ceil_div(*a.known_base, a.divisor));
    int64_t last = std::min(a.size - 1, floor_div(*a.known_base + a.extent - 1, a.divisor));
    if (first > last)
      return;
    size_t opened = opened_;
    Scalar e = b_.add(b_.index(first), open(axis, last - first + 1));
    at.indices.push_back(e);
    Scalar q = b_.sub(b_.scaled(e, a.divisor), b_.index(*a.known_base));
    at.to = b_.add(at.to, b_.scaled(q, a.stride));
    visit(axis + 1, std::move(at));
    close(opened);
  }

  // Every position, under a condition where it may have no element.
  void visit_all(size_t axis, Cursor at) {
    const StagedAxis& a = axes_[axis];
    size_t opened = opened_;
    Scalar q = open(axis, a.extent);
    Scalar index = b_.add(a.base, q);
    auto require = [&](Scalar condition) {
      at.condition = at.condition ? b_.binary(Code::bit_and, *at.condition, condition) : condition;
    };
    if (a.divisor != 1) {
      Scalar divisor = b_.index(a.divisor);
      require(b_.compare(Code::equal, b_.rem(index, divisor), b_.index(0)));
      index = b_.div(index, divisor);
    }
    if (a.can_leave) {
      require(b_.compare(Code::less_equal, b_.index(0), index));
      require(b_.compare(Code::less, index, b_.index(a.size)));
    }
    at.indices.push_back(index);
    at.to = b_.add(at.to, b_.scaled(q, a.stride));
    visit(axis + 1, std::move(at));
    close(opened);
  }

  void close(size_t opened) {
    for (; opened_ > opened; --opened_)
      b_.end_for();
  }

  KernelValues& values_;
  loop::Builder& b_;
  const ContractionNest& nest_;
  size_t operand_;
  std::vector<StagedAxis> axes_;
  uint32_t buffer_;
  Scalar to_;  // where the copy begins
  DType dtype_;
  size_t innermost_ = SIZE_MAX;
  size_t opened_ = 0;
};

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
        size_(block.size),
        at_(block.start),
        row_elements_(row_elements),
        scratch_(scratch),
        to_(to ? *to : b_.index(0)) {}

  OperandAccess emit() {
    OperandAccess access{0, to_, std::vector<int64_t>(nest_.loops.size())};
    std::vector<size_t> summed = row_order();  // the loops of a row's number, outermost first
    int64_t rows = 1;
    for (size_t i = summed.size(); i-- > 0; rows *= size_[summed[i]])
      access.step[summed[i]] = rows * row_elements_;
    access.step[vector_] = 1;
    access.buffer = to_buffer_ = scratch_("b", rows * row_elements_);
    clear_behind(rows);

    // Innermost loops that walk over neighbours in the operand are transposed as a whole.
    std::vector<size_t> run;
    int64_t elements = 1;
    while (!summed.empty() && nest_.step(operand_, vector_) != 1 &&
           nest_.step(operand_, summed.back()) == elements) {
      elements *= size_[summed.back()];
      run.insert(run.begin(), summed.back());
      summed.pop_back();
    }
    for (size_t l : summed) {
      Scalar i = b_.begin_for(LoopKind::serial, size_[l])[0];
      at_[l] = b_.add(at_[l], i);
      to_ = b_.add(to_, b_.scaled(i, access.step[l]));
    }
    if (run.empty())
      copy_row();
    else
      transpose(run, elements);
    for (size_t i = 0; i < summed.size(); ++i)
      b_.end_for();
    return access;
  }

 private:
  Scalar element(const std::vector<Scalar>& at) {
    Scalar x = operand_element(values_, nest_, operand_,
                               {operand_indices(b_, nest_, operand_, at), std::nullopt});
    return b_.convert(x, nest_.sum_dtype());
  }

  void clear_behind(int64_t rows) {
    int64_t columns = row_elements_ - size_[vector_];
    if (columns == 0)
      return;
    Scalar row = b_.begin_for(LoopKind::serial, rows)[0];
    Scalar behind = b_.add(b_.scaled(row, row_elements_), b_.index(size_[vector_]));
    clear_elements(b_, nest_.sum_dtype(), columns, to_buffer_, b_.add(to_, behind));
    b_.end_for();
  }

  // The summed loops as they are nested; or, where many rows can then be transposed at once, as
  // they lie in the operand, such as the taps of a channel side by side.
  std::vector<size_t> row_order() const {
    constexpr int64_t kWorthwhile = 8;
    std::vector<size_t> loops;
    for (size_t l = nest_.result_loops; l < nest_.loops.size(); ++l)
      if (size_[l] > 1)
        loops.push_back(l);
    std::vector<size_t> in_memory = loops;
    std::stable_sort(in_memory.begin(), in_memory.end(), [&](size_t x, size_t y) {
      return nest_.step(operand_, x) > nest_.step(operand_, y);
    });
    int64_t run = 1;
    for (size_t i = in_memory.size(); i-- > 0 && nest_.step(operand_, in_memory[i]) == run;)
      run *= size_[in_memory[i]];
    bool transposes = nest_.step(operand_, vector_) != 1 && run >= kWorthwhile;
    return transposes ? in_memory : loops;
  }

  void copy_row() {
    std::vector<Scalar> at = at_;
    Scalar column = b_.begin_for(LoopKind::vector, size_[vector_])[0];
    at[vector_] = b_.add(at[vector_], column);
    b_.store(to_buffer_, b_.add(to_, column), element(at));
    b_.end_for();
  }

  // Elements that are computed in this kernel are computed along the run first.
  void transpose(const std::vector<size_t>& run, int64_t elements) {
    std::optional<uint32_t> from = values_.buffer_of(nest_.operands[operand_]);
    loop::Transpose move{.rows = size_[vector_],
                         .columns = elements,
                         .to_buffer = to_buffer_,
                         .to_step = row_elements_};
    Scalar start = b_.index(0);
    if (from && nest_.types[operand_].dtype == nest_.sum_dtype()) {
      move.from_buffer = *from;
      move.from_step = nest_.step(operand_, vector_);
      start = b_.index(nest_.offset(operand_));
      for (size_t l = 0; l < nest_.loops.size(); ++l)
        start = b_.add(start, b_.scaled(at_[l], nest_.step(operand_, l)));
    } else {
      move.from_buffer = scratch_("b_columns", size_[vector_] * elements);
      move.from_step = elements;
      compute_columns(run, elements, move.from_buffer);
    }
    b_.transpose(move, start, to_);
  }

  void compute_columns(const std::vector<size_t>& run, int64_t elements, uint32_t buffer) {
    std::vector<Scalar> at = at_;
    Dims dims;
    for (size_t l : run)
      dims.push_back(size_[l]);
    Scalar row = b_.begin_for(LoopKind::serial, size_[vector_])[0];
    at[vector_] = b_.add(at[vector_], row);
    Scalar j = b_.begin_for(LoopKind::vector, elements)[0];
    std::vector<Scalar> in_run = unravel(b_, j, dims);
    for (size_t i = 0; i < run.size(); ++i)
      at[run[i]] = b_.add(at[run[i]], in_run[i]);
    b_.store(buffer, b_.add(b_.scaled(row, elements), j), element(at));
    b_.end_for();
    b_.end_for();
  }

  KernelValues& values_;
  loop::Builder& b_;
  const ContractionNest& nest_;
  size_t operand_, vector_;
  const std::vector<int64_t>& size_;
  std::vector<Scalar> at_;  // the current index of each loop of the nest
  int64_t row_elements_;
  const ScratchBuffers& scratch_;
  uint32_t to_buffer_ = 0;
  Scalar to_;  // where the current row goes
};

}  // namespace

Scalar operand_element(KernelValues& values, const ContractionNest& nest, size_t operand,
                       Position position) {
  ValueId value = nest.operands[operand];
  const Dims &joined = nest.types[operand].dims, &dims = values.function().type(value).dims;
  if (joined != dims) {
    loop::Builder& b = values.builder();
    position.indices = unravel(b, ravel(b, position.indices, joined), dims);
  }
  return values.element(value, position);
}

std::vector<Scalar> operand_indices(loop::Builder& b, const ContractionNest& nest, size_t operand,
                                    const std::vector<Scalar>& loops) {
  std::vector<Scalar> indices;
  for (const AffineIndex& index : nest.contraction.operand_indices[operand]) {
    Scalar sum = b.index(index.offset);
    for (auto [l, coefficient] : index.terms)
      sum = b.add(sum, b.scaled(loops[static_cast<size_t>(l)], coefficient));
    indices.push_back(sum);
  }
  return indices;
}

OperandAccess access_in_place(KernelValues& values, const ContractionNest& nest, size_t operand,
                              const NestBlock& block, std::span<const size_t> without) {
  loop::Builder& b = values.builder();
  OperandAccess access{*values.buffer_of(nest.operands[operand]), b.index(0),
                       std::vector<int64_t>(nest.loops.size())};
  Dims strides = row_major_strides(nest.types[operand].dims);
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    if (std::find(without.begin(), without.end(), axis) != without.end())
      continue;
    const AffineIndex& index = nest.contraction.operand_indices[operand][axis];
    access.base = b.add(access.base, b.index(index.offset * strides[axis]));
    for (auto [l, coefficient] : index.terms)
      access.step[static_cast<size_t>(l)] += coefficient * strides[axis];
  }
  for (size_t l = 0; l < nest.loops.size(); ++l)
    access.base = b.add(access.base, b.scaled(block.start[l], access.step[l]));
  return access;
}

int64_t padded_elements(const ContractionNest& nest, size_t operand, const NestBlock& block) {
  int64_t elements = 1;
  for (size_t axis = 0; axis < nest.types[operand].dims.size(); ++axis)
    elements *= nest.numerators(operand, axis, block.size).size();
  return elements;
}

namespace {

// To a copy that has all positions of these axes.
OperandAccess padded_access(loop::Builder& b, const ContractionNest& nest, size_t operand,
                            const NestBlock& block, const std::vector<StagedAxis>& axes,
                            uint32_t buffer) {
  OperandAccess access{buffer, b.index(0), std::vector<int64_t>(nest.loops.size())};
  int64_t first = 0;
  for (size_t axis = 0; axis < axes.size(); ++axis)
    for (auto [l, coefficient] : nest.contraction.operand_indices[operand][axis].terms) {
      auto loop = static_cast<size_t>(l);
      access.step[loop] += coefficient * axes[axis].stride;
      first -= std::min<int64_t>(0, coefficient * (block.size[loop] - 1)) * axes[axis].stride;
    }
  access.base = b.index(first);
  return access;
}

}  // namespace

OperandAccess stage_padded(KernelValues& values, const ContractionNest& nest, size_t operand,
                           const NestBlock& block, uint32_t buffer) {
  loop::Builder& b = values.builder();
  std::vector<StagedAxis> axes = staged_axes(b, nest, operand, block);
  OperandAccess access = padded_access(b, nest, operand, block, axes, buffer);
  if (!axes.empty())
    PaddedCopy(values, nest, operand, std::move(axes), buffer, b.index(0)).emit();
  return access;
}

OperandAccess stage_padded_whole(KernelValues& values, const ContractionNest& nest, size_t operand,
                                 uint32_t buffer, bool parallel) {
  loop::Builder& b = values.builder();
  NestBlock whole{std::vector<Scalar>(nest.loops.size(), b.index(0)), nest.extents()};
  std::vector<StagedAxis> axes = staged_axes(b, nest, operand, whole);
  OperandAccess access = padded_access(b, nest, operand, whole, axes, buffer);
  auto outermost = std::find_if(axes.begin(), axes.end(),
                                [](const StagedAxis& axis) { return axis.extent > 1; });
  if (outermost == axes.end()) {
    PaddedCopy(values, nest, operand, std::move(axes), buffer, b.index(0)).emit();
    return access;
  }
  Scalar i = b.begin_for(parallel ? LoopKind::parallel : LoopKind::serial, outermost->extent)[0];
  outermost->extent = 1;
  outermost->base = b.add(outermost->base, i);
  outermost->known_base = std::nullopt;
  Scalar to = b.scaled(i, outermost->stride);
  PaddedCopy(values, nest, operand, std::move(axes), buffer, to).emit();
  b.end_for();
  return access;
}

// As many elements of an axis as the block may read, moved to where all of them are there.
StagedInside stage_inside(KernelValues& values, const ContractionNest& nest, size_t operand,
                          const NestBlock& block, std::span<const size_t> inside, uint32_t buffer) {
  loop::Builder& b = values.builder();
  std::vector<StagedAxis> axes = staged_axes(b, nest, operand, block);
  for (size_t axis : inside) {
    StagedAxis& a = axes[axis];
    a.extent = std::min(a.extent, a.size);
    a.base = b.min(b.max(a.base, b.index(0)), b.index(a.size - a.extent));
    a.known_base = b.constant_of(a.base);
    a.can_leave = false;
  }
  set_strides(axes);
  StagedInside staged{{buffer, b.index(0), std::vector<int64_t>(nest.loops.size())}, {}};
  for (size_t axis = 0; axis < axes.size(); ++axis)
    if (std::find(inside.begin(), inside.end(), axis) == inside.end())
      for (auto [l, coefficient] : nest.contraction.operand_indices[operand][axis].terms)
        staged.access.step[static_cast<size_t>(l)] += coefficient * axes[axis].stride;
  for (size_t axis : inside)
    staged.axes.push_back({axes[axis].base, axes[axis].stride});
  PaddedCopy(values, nest, operand, std::move(axes), buffer, b.index(0)).emit();
  return staged;
}

OperandAccess stage_vectors(KernelValues& values, const ContractionNest& nest, size_t operand,
                            size_t vector_loop, const NestBlock& block, int64_t row_elements,
                            const ScratchBuffers& scratch, std::optional<Scalar> to) {
  return VectorCopy(values, nest, operand, vector_loop, block, row_elements, scratch, to).emit();
}

}  // namespace gradc
