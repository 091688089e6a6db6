#include "compiler/lower/stage_operand.h"

#include <algorithm>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

int64_t floor_div(int64_t x, int64_t y) {
  return x >= 0 ? x / y : -((-x + y - 1) / y);
}

int64_t ceil_div(int64_t x, int64_t y) {
  return -floor_div(-x, y);
}

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

std::vector<StagedAxis> staged_axes(loop::Builder& b, const ContractionNest& nest, size_t operand,
                                    const NestBlock& block) {
  std::vector<StagedAxis> axes;
  const auto& indices = nest.contraction.operand_indices[operand];
  for (size_t axis = 0; axis < indices.size(); ++axis) {
    const AffineIndex& index = indices[axis];
    Range range = nest.numerators(operand, axis, block.size);
    Scalar base = b.index(range.begin);
    for (auto [l, coefficient] : index.terms)
      base = b.add(base, b.mul(block.start[static_cast<size_t>(l)], b.index(coefficient)));
    Range everywhere = nest.numerators(operand, axis, nest.extents());
    int64_t size = nest.types[operand].dims[axis];
    bool can_leave = index.divisor != 1 || everywhere.begin < 0 || everywhere.end > size;
    axes.push_back({range.size(), 0, base, b.constant_of(base), index.divisor, size, can_leave});
  }
  int64_t stride = 1;
  for (size_t axis = axes.size(); axis-- > 0;) {
    axes[axis].stride = stride;
    stride *= axes[axis].extent;
  }
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
  PaddedCopy(KernelValues& values, ValueId value, std::vector<StagedAxis> axes, uint32_t buffer,
             DType dtype)
      : values_(values),
        b_(values.builder()),
        value_(value),
        axes_(std::move(axes)),
        buffer_(buffer),
        dtype_(dtype) {
    for (size_t axis = 0; axis < axes_.size(); ++axis)
      if (axes_[axis].extent > 1)
        innermost_ = axis;
  }

  void emit() {
    bool has_gaps = std::any_of(axes_.begin(), axes_.end(),
                                [](const StagedAxis& axis) { return axis.can_leave; });
    if (has_gaps) {
      int64_t elements = axes_[0].extent * axes_[0].stride;
      Scalar i = b_.begin_for(LoopKind::vector, elements)[0];
      b_.store(buffer_, i, b_.constant(dtype_, 0));
      b_.end_for();
    }
    visit(0, {{}, std::nullopt, b_.index(0)});
  }

 private:
  void visit(size_t axis, Cursor at) {
    if (axis == axes_.size()) {
      Scalar element = values_.element(value_, Position{at.indices, at.condition});
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
    Scalar q = b_.sub(b_.mul(e, b_.index(a.divisor)), b_.index(*a.known_base));
    at.to = b_.add(at.to, b_.mul(q, b_.index(a.stride)));
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
    at.to = b_.add(at.to, b_.mul(q, b_.index(a.stride)));
    visit(axis + 1, std::move(at));
    close(opened);
  }

  void close(size_t opened) {
    for (; opened_ > opened; --opened_)
      b_.end_for();
  }

  KernelValues& values_;
  loop::Builder& b_;
  ValueId value_;
  std::vector<StagedAxis> axes_;
  uint32_t buffer_;
  DType dtype_;
  size_t innermost_ = SIZE_MAX;
  size_t opened_ = 0;
};

// The index of every axis of an operand without padding.
std::vector<Scalar> operand_indices(loop::Builder& b, const ContractionNest& nest, size_t operand,
                                    const std::vector<Scalar>& loops) {
  std::vector<Scalar> indices;
  for (const AffineIndex& index : nest.contraction.operand_indices[operand]) {
    Scalar sum = b.index(index.offset);
    for (auto [l, coefficient] : index.terms)
      sum = b.add(sum, b.mul(loops[static_cast<size_t>(l)], b.index(coefficient)));
    indices.push_back(sum);
  }
  return indices;
}

}  // namespace

OperandAccess access_in_place(KernelValues& values, const ContractionNest& nest, size_t operand,
                              const NestBlock& block) {
  loop::Builder& b = values.builder();
  OperandAccess access{
      *values.buffer_of(nest.operands[operand]), b.index(nest.offset(operand)), {}};
  for (size_t l = 0; l < nest.loops.size(); ++l) {
    access.step.push_back(nest.step(operand, l));
    access.base = b.add(access.base, b.mul(block.start[l], b.index(access.step[l])));
  }
  return access;
}

int64_t padded_elements(const ContractionNest& nest, size_t operand, const NestBlock& block) {
  int64_t elements = 1;
  for (size_t axis = 0; axis < nest.types[operand].dims.size(); ++axis)
    elements *= nest.numerators(operand, axis, block.size).size();
  return elements;
}

OperandAccess stage_padded(KernelValues& values, const ContractionNest& nest, size_t operand,
                           const NestBlock& block, uint32_t buffer) {
  loop::Builder& b = values.builder();
  std::vector<StagedAxis> axes = staged_axes(b, nest, operand, block);
  OperandAccess access{buffer, b.index(0), std::vector<int64_t>(nest.loops.size())};
  int64_t first = 0;
  for (size_t axis = 0; axis < axes.size(); ++axis)
    for (auto [l, coefficient] : nest.contraction.operand_indices[operand][axis].terms) {
      auto loop = static_cast<size_t>(l);
      access.step[loop] += coefficient * axes[axis].stride;
      first -= std::min<int64_t>(0, coefficient * (block.size[loop] - 1)) * axes[axis].stride;
    }
  access.base = b.index(first);
  if (!axes.empty())
    PaddedCopy(values, nest.operands[operand], std::move(axes), buffer, nest.sum_dtype()).emit();
  return access;
}

OperandAccess stage_vectors(KernelValues& values, const ContractionNest& nest, size_t operand,
                            size_t vector_loop, const NestBlock& block, uint32_t buffer,
                            int64_t row_elements) {
  loop::Builder& b = values.builder();
  OperandAccess access{buffer, b.index(0), std::vector<int64_t>(nest.loops.size())};
  std::vector<size_t> summed;  // the loops of a row's number, outermost first
  int64_t rows = 1;
  for (size_t l = nest.loops.size(); l-- > nest.result_loops;) {
    access.step[l] = rows * row_elements;
    rows *= block.size[l];
    if (block.size[l] > 1)
      summed.insert(summed.begin(), l);
  }
  access.step[vector_loop] = 1;

  // Innermost summed loops that walk over neighbours in the operand are transposed as a whole.
  std::optional<uint32_t> from = values.buffer_of(nest.operands[operand]);
  int64_t run = 1;
  if (from && nest.types[operand].dtype == nest.sum_dtype() && nest.step(operand, vector_loop) != 1)
    while (!summed.empty() && nest.step(operand, summed.back()) == run) {
      run *= block.size[summed.back()];
      summed.pop_back();
    }

  std::vector<Scalar> at = block.start;
  Scalar to = b.index(0);
  for (size_t l : summed) {
    Scalar i = b.begin_for(LoopKind::serial, block.size[l])[0];
    at[l] = b.add(at[l], i);
    to = b.add(to, b.mul(i, b.index(access.step[l])));
  }
  if (run > 1) {
    Scalar start = b.index(nest.offset(operand));
    for (size_t l = 0; l < nest.loops.size(); ++l)
      start = b.add(start, b.mul(at[l], b.index(nest.step(operand, l))));
    b.transpose({.rows = block.size[vector_loop],
                 .columns = run,
                 .from_buffer = *from,
                 .to_buffer = buffer,
                 .from_step = nest.step(operand, vector_loop),
                 .to_step = row_elements},
                start, to);
  } else {
    Scalar column = b.begin_for(LoopKind::vector, block.size[vector_loop])[0];
    at[vector_loop] = b.add(at[vector_loop], column);
    Scalar element = values.element(nest.operands[operand], operand_indices(b, nest, operand, at));
    b.store(buffer, b.add(to, column), b.convert(element, nest.sum_dtype()));
    b.end_for();
  }
  for (size_t i = 0; i < summed.size(); ++i)
    b.end_for();
  return access;
}

}  // namespace gradc
