// Copies of operands axis by axis, which make padding and dilation explicit.
#include <algorithm>

#include "compiler/lower/stage_operand.h"
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
  Position position;  // in the operand, with the condition for an element to be there
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
    bool has_gaps = std::ranges::any_of(
        axes_, [](const StagedAxis& axis) { return axis.known_base && axis.divisor != 1; });
    if (has_gaps)
      clear(to_, axes_.front().extent * axes_.front().stride);
    clears_ends_ = !has_gaps;
    visit(0, {{}, to_});
  }

 private:
  void visit(size_t axis, Cursor at) {
    if (axis == axes_.size()) {
      b_.store(buffer_, at.to, operand_element(values_, nest_, operand_, at.position, dtype_));
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

  void clear(Scalar from, int64_t elements) {
    if (elements > 0)
      clear_elements(b_, dtype_, elements, buffer_, from);
  }

  // Only the positions that have an element, and zeros before and behind them.
  void visit_present(size_t axis, Cursor at) {
    const StagedAxis& a = axes_[axis];
    int64_t first = std::max<int64_t>(0, ceil_div(*a.known_base, a.divisor));
    int64_t last = std::min(a.size - 1, floor_div(*a.known_base + a.extent - 1, a.divisor));
    if (clears_ends_) {
      int64_t begin = std::min(a.extent, first - *a.known_base);
      int64_t end = std::max(begin, last + 1 - *a.known_base);
      clear(at.to, begin * a.stride);
      clear(b_.add(at.to, b_.index(end * a.stride)), (a.extent - end) * a.stride);
    }
    if (first > last)
      return;
    size_t opened = opened_;
    Scalar e = b_.add(b_.index(first), open(axis, last - first + 1));
    at.position.indices.push_back(e);
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
      std::optional<Scalar>& all = at.position.condition;
      all = all ? b_.binary(Code::bit_and, *all, condition) : condition;
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
    at.position.indices.push_back(index);
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
  bool clears_ends_ = false;  // else all was cleared
};

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

}  // namespace gradc
