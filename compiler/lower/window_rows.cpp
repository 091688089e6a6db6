#include "compiler/lower/window_rows.h"

#include <algorithm>

#include "compiler/lower/stage_operand.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

// The part of the image that a block meets, in its order: index `base` of an axis comes first.
struct Strip {
  uint32_t buffer = 0;
  Scalar start;
  std::vector<int64_t> stride;  // per axis
};

class WindowCopy {
 public:
  WindowCopy(KernelValues& values, const ContractionNest& nest, size_t image,
             const WindowPhase& phase, const WindowBlock& block)
      : values_(values),
        b_(values.builder()),
        nest_(nest),
        image_(image),
        channels_(block.channels),
        axes_(phase.axes),
        block_(block),
        buffer_(nest.types[image_].dtype == DType::bf16 ? values.buffer_of(nest.operands[image_])
                                                        : std::nullopt) {
    for (size_t i = 0; i < axes_.size(); ++i) {
      const WindowAxis& axis = axes_[i];
      extent_.push_back(axis.position_step * (block.size[i] - 1) + axis.tap_step * (axis.taps - 1) +
                        1);
      base_.push_back(b_.add(b_.scaled(block.start[i], axis.position_step), b_.index(axis.offset)));
      int64_t last = axis.position_step * (axis.positions - 1) + axis.tap_step * (axis.taps - 1);
      leaves_.push_back(axis.offset < 0 || axis.offset + last >= axis.size);
    }
  }

  WindowRows emit(int64_t row_elements) {
    strip_ = find_strip();
    WindowRows rows{b_.scratch("rows", DType::bf16, block_.positions() * row_elements),
                    row_elements};
    rows_ = rows;
    visit_positions(0, strip_.start, b_.index(0));
    return rows;
  }

 private:
  Scalar begin(int64_t extent) {
    return extent == 1 ? b_.index(0) : b_.begin_for(LoopKind::serial, extent)[0];
  }
  void end(int64_t extent) {
    if (extent > 1)
      b_.end_for();
  }

  // The image itself, where the block lies inside of it.
  Strip find_strip() {
    bool leaves = std::find(leaves_.begin(), leaves_.end(), true) != leaves_.end();
    Strip strip{0, b_.index(0), std::vector<int64_t>(axes_.size())};
    if (buffer_ && !leaves) {
      strip.buffer = *buffer_;
      strip.start = block_.first_channel;
      Dims strides = row_major_strides(nest_.types[image_].dims);
      for (size_t i = 0; i < axes_.size(); ++i) {
        strip.stride[i] = strides[i];
        strip.start = b_.add(strip.start, b_.scaled(base_[i], strides[i]));
      }
      return strip;
    }
    int64_t elements = channels_;
    for (size_t i = axes_.size(); i-- > 0; elements *= extent_[i])
      strip.stride[i] = elements;
    strip.buffer = b_.scratch("strip", DType::bf16, elements);
    if (leaves)
      clear_elements(b_, DType::bf16, elements, strip.buffer, b_.index(0));
    strip_ = strip;
    copy_inside(0, {}, b_.index(0));
    return strip;
  }

  // Copies what the image has, axis by axis.
  void copy_inside(size_t i, std::vector<Scalar> indices, Scalar to) {
    if (i == axes_.size()) {
      copy_channels(std::move(indices), to);
      return;
    }
    std::optional<int64_t> base = b_.constant_of(base_[i]);
    auto inside = [&](Scalar position) {
      std::vector<Scalar> at = indices;
      at.push_back(b_.add(base_[i], position));
      copy_inside(i + 1, std::move(at), b_.add(to, b_.scaled(position, strip_.stride[i])));
    };
    if (leaves_[i] && !base) {
      Scalar first = b_.max(b_.sub(b_.index(0), base_[i]), b_.index(0));
      Scalar last = b_.min(b_.sub(b_.index(axes_[i].size), base_[i]), b_.index(extent_[i]));
      Scalar count = b_.max(b_.sub(last, first), b_.index(0));
      Scalar q = b_.begin_counted(count, extent_[i])[0];
      inside(b_.add(first, q));
      b_.end_for();
      return;
    }
    int64_t first = leaves_[i] ? std::max<int64_t>(0, -*base) : 0;
    int64_t count = leaves_[i] ? std::min(axes_[i].size - *base, extent_[i]) - first : extent_[i];
    if (count < 1)
      return;
    if (i + 1 == axes_.size() && buffer_ && channels_ == nest_.types[image_].dims.back()) {
      indices.push_back(b_.add(base_[i], b_.index(first)));
      copy_run(indices, count * channels_, b_.add(to, b_.index(first * strip_.stride[i])));
      return;
    }
    Scalar q = begin(count);
    inside(b_.add(b_.index(first), q));
    end(count);
  }

  void copy_channels(std::vector<Scalar> indices, Scalar to) {
    if (buffer_) {
      copy_run(indices, channels_, to);
      return;
    }
    Scalar c = b_.begin_for(LoopKind::vector, channels_)[0];
    indices.push_back(b_.add(block_.first_channel, c));
    Position place{std::move(indices), std::nullopt};
    Scalar x = operand_element(values_, nest_, image_, std::move(place), DType::bf16);
    b_.store(strip_.buffer, b_.add(to, c), x);
    b_.end_for();
  }

  // Neighbours in the image, from the block's first channel at `indices` on.
  void copy_run(const std::vector<Scalar>& indices, int64_t elements, Scalar to) {
    Dims strides = row_major_strides(nest_.types[image_].dims);
    Scalar from = block_.first_channel;
    for (size_t i = 0; i < indices.size(); ++i)
      from = b_.add(from, b_.scaled(indices[i], strides[i]));
    copy(*buffer_, from, strip_.buffer, to, elements);
  }

  void copy(uint32_t from_buffer, Scalar from, uint32_t to_buffer, Scalar to, int64_t elements) {
    Scalar i = b_.begin_for(LoopKind::vector, elements)[0];
    b_.store(to_buffer, b_.add(to, i), b_.load(from_buffer, b_.add(from, i)));
    b_.end_for();
  }

  // `from`: what the first tap meets there; `row`: its number.
  void visit_positions(size_t i, Scalar from, Scalar row) {
    if (i == axes_.size()) {
      copy_row(from, b_.scaled(row, rows_.row_elements));
      return;
    }
    Scalar p = begin(block_.size[i]);
    visit_positions(i + 1, b_.add(from, b_.scaled(p, axes_[i].position_step * strip_.stride[i])),
                    b_.add(b_.scaled(row, block_.size[i]), p));
    end(block_.size[i]);
  }

  // Taps that are neighbours along the last axis are one run with their channels.
  void copy_row(Scalar from, Scalar to) {
    size_t outer = axes_.size();
    int64_t run = channels_;
    if (outer > 0 && axes_.back().tap_step == 1 && strip_.stride.back() == channels_)
      run *= axes_[--outer].taps;
    int64_t depth = run;
    for (size_t i = 0; i < outer; ++i)
      depth *= axes_[i].taps;
    visit_taps(0, outer, from, to, run);
    clear_elements(b_, DType::bf16, rows_.row_elements - depth, rows_.buffer,
                   b_.add(to, b_.index(depth)));
  }

  void visit_taps(size_t i, size_t outer, Scalar from, Scalar to, int64_t run) {
    if (i == outer) {
      copy(strip_.buffer, from, rows_.buffer, to, run);
      return;
    }
    int64_t inner = run;
    for (size_t k = i + 1; k < outer; ++k)
      inner *= axes_[k].taps;
    Scalar tap = begin(axes_[i].taps);
    visit_taps(i + 1, outer, b_.add(from, b_.scaled(tap, axes_[i].tap_step * strip_.stride[i])),
               b_.add(to, b_.scaled(tap, inner)), run);
    end(axes_[i].taps);
  }

  KernelValues& values_;
  loop::Builder& b_;
  const ContractionNest& nest_;
  size_t image_;
  int64_t channels_;
  const std::vector<WindowAxis>& axes_;
  const WindowBlock& block_;
  std::optional<uint32_t> buffer_;  // of the image, where it is not computed in the kernel
  std::vector<int64_t> extent_;  // per axis, of the strip
  std::vector<Scalar> base_;
  std::vector<bool> leaves_;  // whether some position's taps leave the image
  Strip strip_;
  WindowRows rows_;
};

}  // namespace

std::vector<WindowParts> window_parts(const WindowPhase& phase, int64_t most) {
  std::vector<WindowParts> all = {{}};
  for (size_t i = phase.axes.size(); i-- > 0;) {
    int64_t positions = phase.axes[i].positions;
    std::vector<WindowParts> longer;
    for (const Segment& part : segments(positions, ceil_div(positions, std::max<int64_t>(1, most))))
      for (const WindowParts& inner : all) {
        longer.push_back({part});
        longer.back().insert(longer.back().end(), inner.begin(), inner.end());
      }
    all = std::move(longer);
    most /= positions;
  }
  return all;
}

WindowRows window_rows(KernelValues& values, const ContractionNest& nest, size_t image,
                       const WindowPhase& phase, const WindowBlock& block, int64_t row_elements) {
  return WindowCopy(values, nest, image, phase, block).emit(row_elements);
}

}  // namespace gradc
