// Depthwise convolutions whose channels are last: each channel is a lane, with taps of its own.
//
// convolution, data gradient:
//   serial: the weight as [taps][channels] in the workspace
//   parallel task over rows of the result {
//     serial blocks of its pixels { vector channels { a sum over the taps for each, unrolled } }
//   }
// weight gradient:
//   parallel task over some images {
//     serial rows of the result { vector channels { serial pixels { one sum per tap } } }
//   } -> sums in the workspace
//   serial: the sums of all tasks -> result
//
// Blocks next to an edge, some of whose taps meet padding, have code of their own. A data gradient
// with a stride s has a phase for each of the s pixels between two of the gradient's, along each
// axis, which meet different taps: what lies between is never multiplied.
#include <algorithm>

#include "compiler/lower/contract_results.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/contract_tasks.h"
#include "compiler/lower/depthwise_axes.h"
#include "compiler/lower/lower_contract.h"
#include "compiler/lower/stage_operand.h"
#include "ir/diagnostic.h"
#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::Code;
using loop::LoopKind;
using loop::Scalar;

constexpr int64_t kMostParts = 16;  // of the images, whose sums of a weight gradient are apart
constexpr int64_t kMostPixels = 4;  // of a row at once: they share loads of taps and pixels
constexpr int64_t kMostSums = 14;  // of a weight gradient's row at once: two vectors of each

class DepthwiseLowering {
 public:
  DepthwiseLowering(const Function& function, const Target& target, int threads)
      : kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        nest_(contraction_nest(function)),
        dtype_(nest_.sum_dtype()),
        sums_taps_(nest_.op.code == Opcode::conv_weight_gradient) {
    // Every product takes an instruction, and most of them read memory.
    parallel_ = pays_in_parallel(nest_, target.lanes_f32() / 2, threads);
    const Type& weight = sums_taps_ ? nest_.result_type : nest_.types[1];
    const Type& walked = sums_taps_ ? nest_.types[1] : nest_.result_type;
    images_ = walked.dims[0];
    channels_ = weight.dims[0];
    kernel_dims_ = Dims(weight.dims.begin() + 2, weight.dims.end());
    taps_ = element_count(kernel_dims_);
    for (size_t axis = 0; axis < kernel_dims_.size(); ++axis)
      axes_.push_back(walked_axis(nest_.op, axis, walked.dims[axis + 1],
                                  nest_.types[0].dims[axis + 1], kernel_dims_[axis]));
  }

  loop::Kernel run() {
    if (sums_taps_) {
      sum_taps();
      return std::move(kernel_);
    }
    stage_weight();
    for_outer_phases([&](const std::vector<const PixelPhase*>& outer) { convolve_rows(outer); });
    return std::move(kernel_);
  }

 private:
  Scalar element(size_t operand, const Position& position) {
    Scalar x = values_.element(nest_.operands[operand], position);
    if (position.condition)
      x = b_.select(*position.condition, x, b_.constant(x.dtype, 0));
    return b_.convert(x, dtype_);
  }

  // Of all axes but the last, in all combinations.
  template <typename F>
  void for_outer_phases(F f) {
    std::vector<const PixelPhase*> chosen;
    auto choose = [&](auto& self, size_t axis) -> void {
      if (axis + 1 == axes_.size())
        return f(chosen);
      for (const PixelPhase& phase : axes_[axis].phases) {
        chosen.push_back(&phase);
        self(self, axis + 1);
        chosen.pop_back();
      }
    };
    choose(choose, 0);
  }

  void stage_weight() {
    weight_ = b_.add_buffer({"taps", loop::Space::workspace, dtype_, taps_ * channels_});
    std::optional<uint32_t> given = values_.buffer_of(nest_.operands[1]);
    if (given && nest_.types[1].dtype == dtype_ && dtype_ == DType::f32) {
      b_.transpose({.rows = channels_,
                    .columns = taps_,
                    .from_buffer = *given,
                    .to_buffer = weight_,
                    .from_step = taps_,
                    .to_step = channels_},
                   b_.index(0), b_.index(0));
      return;
    }
    for (int64_t tap = 0; tap < taps_; ++tap) {
      Scalar channel = b_.begin_for(LoopKind::vector, channels_)[0];
      Position at{{channel, b_.index(0)}, std::nullopt};
      for (int64_t k : unraveled(tap))
        at.indices.push_back(b_.index(k));
      b_.store(weight_, b_.add(b_.index(tap * channels_), channel), element(1, at));
      b_.end_for();
    }
  }

  std::vector<int64_t> unraveled(int64_t tap) const {
    std::vector<int64_t> indices(kernel_dims_.size());
    for (size_t axis = kernel_dims_.size(); axis-- > 0; tap /= kernel_dims_[axis])
      indices[axis] = tap % kernel_dims_[axis];
    return indices;
  }

  // Where what is walked over and what one tap meets are.
  struct Row {
    Scalar image;
    std::vector<const PixelPhase*> phases;  // of the axes but the last
    std::vector<Scalar> j;
  };

  // Combinations of the taps that these axes meet: tap numbers so far, and where.
  struct OuterTap {
    int64_t number = 0;
    std::vector<Scalar> pixels;
    std::optional<Scalar> condition;
  };

  void require(std::optional<Scalar>& condition, std::optional<Scalar> more) {
    if (more)
      condition = condition ? b_.binary(Code::bit_and, *condition, *more) : more;
  }

  // That a tap of a phase at j is inside; none where it always is.
  std::optional<Scalar> is_inside(const PixelPhase& phase, const MetTap& met, int64_t source,
                                  Scalar pixel) {
    std::optional<Scalar> condition;
    if (met.offset < 0)
      condition = b_.compare(Code::less_equal, b_.index(0), pixel);
    if (met.step * (phase.count - 1) + met.offset >= source)
      require(condition, b_.compare(Code::less, pixel, b_.index(source)));
    return condition;
  }

  std::vector<OuterTap> outer_taps(const Row& row) {
    std::vector<OuterTap> all(1);
    for (size_t axis = 0; axis < row.phases.size(); ++axis) {
      std::vector<OuterTap> next;
      for (const OuterTap& outer : all)
        for (const MetTap& met : row.phases[axis]->taps) {
          OuterTap longer = outer;
          Scalar pixel = b_.add(b_.scaled(row.j[axis], met.step), b_.index(met.offset));
          longer.number = outer.number * kernel_dims_[axis] + met.tap;
          longer.pixels.push_back(pixel);
          require(longer.condition, is_inside(*row.phases[axis], met, axes_[axis].source, pixel));
          next.push_back(std::move(longer));
        }
      all = std::move(next);
    }
    return all;
  }

  int64_t tap_number(const OuterTap& outer, const MetTap& met) const {
    return outer.number * kernel_dims_.back() + met.tap;
  }

  // What a tap meets, of the first operand.
  Scalar met_element(const Row& row, const OuterTap& outer, const PixelPhase& phase,
                     const MetTap& met, bool is_interior, Scalar j, Scalar channel) {
    Position at{{row.image}, outer.condition};
    at.indices.insert(at.indices.end(), outer.pixels.begin(), outer.pixels.end());
    Scalar pixel = b_.add(b_.scaled(j, met.step), b_.index(met.offset));
    if (!is_interior)
      require(at.condition, is_inside(phase, met, axes_.back().source, pixel));
    at.indices.push_back(pixel);
    at.indices.push_back(channel);
    return element(0, at);
  }

  // The pixels of what is walked over, as indices of its axes.
  std::vector<Scalar> walked_indices(const Row& row, const PixelPhase& phase, Scalar j,
                                     Scalar channel) {
    std::vector<Scalar> indices = {row.image};
    for (size_t axis = 0; axis < row.phases.size(); ++axis)
      indices.push_back(pixel_of(*row.phases[axis], row.j[axis]));
    indices.push_back(pixel_of(phase, j));
    indices.push_back(channel);
    return indices;
  }
  Scalar pixel_of(const PixelPhase& phase, Scalar j) {
    return b_.add(b_.scaled(j, phase.step), b_.index(phase.first));
  }

  void convolve_rows(const std::vector<const PixelPhase*>& outer) {
    Dims dims = {images_};
    for (const PixelPhase* phase : outer)
      dims.push_back(phase->count);
    LoopKind kind = parallel_ ? LoopKind::parallel : LoopKind::serial;
    int64_t rows = element_count(dims);
    Scalar number = rows > 1 ? b_.begin_for(kind, rows, {}, {}, "row")[0] : b_.index(0);
    std::vector<Scalar> at = unravel(b_, number, dims);
    Row row{at[0], outer, {at.begin() + 1, at.end()}};
    std::vector<OuterTap> taps = outer_taps(row);
    for (const PixelPhase& phase : axes_.back().phases) {
      Range inner = inner_pixels(phase, axes_.back().source);
      for (const Segment& part :
           with_ends_apart(segments(phase.count, ceil_div(phase.count, kMostPixels)),
                           inner.begin > 0, inner.end < phase.count))
        for_parts(b_, part, [&](Scalar j, Scalar) { convolve_pixels(row, taps, phase, part, j); });
    }
    if (rows > 1)
      b_.end_for();
  }

  // Of a row, part.size pixels from j on.
  void convolve_pixels(const Row& row, const std::vector<OuterTap>& taps, const PixelPhase& phase,
                       const Segment& part, Scalar j) {
    Range inner = inner_pixels(phase, axes_.back().source);
    bool meets_all = part.count == 1 || (inner.begin <= part.start &&
                                         part.start + part.size * part.count <= inner.end);
    Scalar channel = b_.begin_for(LoopKind::vector, channels_)[0];
    std::vector<Scalar> sums(static_cast<size_t>(part.size), b_.constant(dtype_, 0));
    for (const OuterTap& tap : taps)
      for (const MetTap& met : phase.taps) {
        Scalar w = b_.load(weight_, b_.add(b_.index(tap_number(tap, met) * channels_), channel));
        for (int64_t p = 0; p < part.size; ++p)
          if (part.count > 1 || meets(met, part.start + p)) {
            Scalar& sum = sums[static_cast<size_t>(p)];
            Scalar x =
                met_element(row, tap, phase, met, meets_all, b_.add(j, b_.index(p)), channel);
            sum = b_.fma(x, w, sum);
          }
      }
    for (int64_t p = 0; p < part.size; ++p) {
      std::vector<Scalar> loops = walked_indices(row, phase, b_.add(j, b_.index(p)), channel);
      loops.push_back(b_.index(0));  // the one channel of a group
      store_results(values_, nest_, loops, sums[static_cast<size_t>(p)]);
    }
    b_.end_for();
  }

  bool meets(const MetTap& met, int64_t j) const {
    int64_t pixel = met.step * j + met.offset;
    return 0 <= pixel && pixel < axes_.back().source;
  }

  void sum_taps() {
    std::vector<Segment> parts = segments(images_, std::min(images_, kMostParts));
    int64_t size = taps_ * channels_, count = 0;
    for (const Segment& part : parts)
      count += part.count;
    sums_ = b_.add_buffer({"sums", loop::Space::workspace, dtype_, count * size});
    int64_t first = 0;
    for (const Segment& part : parts) {
      LoopKind kind = parallel_ ? LoopKind::parallel : LoopKind::serial;
      for_parts(
          b_, part,
          [&](Scalar image, Scalar i) {
            Scalar base = b_.scaled(b_.add(b_.index(first), i), size);
            clear_elements(b_, dtype_, size, sums_, base);
            sum_images(image, part.size, base);
          },
          kind);
      first += part.count;
    }
    store_taps(count, size);
  }

  void sum_images(Scalar first, int64_t count, Scalar base) {
    Dims dims = {count};
    for (size_t axis = 0; axis + 1 < axes_.size(); ++axis)
      dims.push_back(axes_[axis].phases[0].count);
    int64_t rows = element_count(dims);
    Scalar number = rows > 1 ? b_.begin_for(LoopKind::serial, rows)[0] : b_.index(0);
    std::vector<Scalar> at = unravel(b_, number, dims);
    Row row{b_.add(first, at[0]), {}, {at.begin() + 1, at.end()}};
    for (size_t axis = 0; axis + 1 < axes_.size(); ++axis)
      row.phases.push_back(&axes_[axis].phases[0]);
    std::vector<std::pair<const OuterTap*, const MetTap*>> some;
    std::vector<OuterTap> outer = outer_taps(row);
    for (const OuterTap& tap : outer)
      for (const MetTap& met : axes_.back().phases[0].taps) {
        some.emplace_back(&tap, &met);
        if (static_cast<int64_t>(some.size()) == kMostSums) {
          sum_row(row, some, base);
          some.clear();
        }
      }
    if (!some.empty())
      sum_row(row, some, base);
    if (rows > 1)
      b_.end_for();
  }

  void sum_row(const Row& row, const std::vector<std::pair<const OuterTap*, const MetTap*>>& taps,
               Scalar base) {
    const PixelPhase& phase = axes_.back().phases[0];
    Scalar channel = b_.begin_for(LoopKind::vector, channels_)[0];
    std::vector<Scalar> sums(taps.size(), b_.constant(dtype_, 0));
    for (const auto& [part, is_interior] : parts_of(phase, axes_.back().source)) {
      std::vector<Scalar> inside = sums;
      Scalar j = b_.index(part.start);
      if (part.count > 1) {
        std::vector<Scalar> opened = b_.begin_for(LoopKind::serial, part.count, sums);
        inside.assign(opened.begin() + 1, opened.end());
        j = b_.add(j, opened[0]);
      }
      Scalar dy = element(1, {walked_indices(row, phase, j, channel), std::nullopt});
      for (size_t i = 0; i < taps.size(); ++i) {
        const auto& [outer, met] = taps[i];
        inside[i] =
            b_.fma(met_element(row, *outer, phase, *met, is_interior, j, channel), dy, inside[i]);
      }
      sums = part.count > 1 ? b_.end_for(inside) : inside;
    }
    for (size_t i = 0; i < taps.size(); ++i) {
      int64_t number = tap_number(*taps[i].first, *taps[i].second);
      Scalar at = b_.add(b_.add(base, b_.index(number * channels_)), channel);
      b_.store(sums_, at, b_.add(b_.load(sums_, at), sums[i]));
    }
    b_.end_for();
  }

  void store_taps(int64_t parts, int64_t size) {
    for (int64_t tap = 0; tap < taps_; ++tap) {
      Scalar channel = b_.begin_for(LoopKind::vector, channels_)[0];
      Scalar at = b_.add(b_.index(tap * channels_), channel);
      Scalar sum = b_.load(sums_, at);
      for (int64_t part = 1; part < parts; ++part)
        sum = b_.add(sum, b_.load(sums_, b_.add(at, b_.index(part * size))));
      std::vector<Scalar> loops(nest_.result_loops, b_.index(0));
      loops[0] = channel;
      std::vector<int64_t> k = unraveled(tap);
      for (size_t axis = 0; axis < k.size(); ++axis)
        loops[nest_.result_loops - k.size() + axis] = b_.index(k[axis]);
      store_results(values_, nest_, loops, sum);
      b_.end_for();
    }
  }

  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  ContractionNest nest_;
  DType dtype_;
  bool sums_taps_;
  bool parallel_ = false;
  int64_t images_ = 0, channels_ = 0, taps_ = 0;
  Dims kernel_dims_;
  std::vector<WalkedAxis> axes_;
  uint32_t weight_ = 0, sums_ = 0;
};

}  // namespace

bool is_depthwise(const ContractionNest& nest) {
  const Op& op = nest.op;
  if (!op.attrs.flag("channels_last"))
    return false;
  const Type& weight = op.code == Opcode::conv_weight_gradient ? nest.result_type : nest.types[1];
  return weight.dims[0] > 1 && weight.dims[0] == op.attrs.integer("groups") &&
         weight.dims[1] == 1 && weight.elements() / weight.dims[0] <= kMostDepthwiseTaps;
}

loop::Kernel lower_contract_depthwise(const Function& kernel, const Target& target, int threads) {
  return DepthwiseLowering(kernel, target, threads).run();
}

}  // namespace gradc
