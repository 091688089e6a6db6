#include "compiler/passes/far_taps.h"

#include <algorithm>

#include "compiler/lower/contraction.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

constexpr double kMostPresent = 0.92;  // of all taps of all pixels: more do not pay for parts

// Pixels of an axis, and the taps that they meet.
struct Part {
  int64_t begin = 0, end = 0, first_tap = 0, end_tap = 0;

  int64_t pixels() const { return end - begin; }
  int64_t taps() const { return end_tap - first_tap; }
  bool meets_taps_of(const Part& part) const {
    return first_tap == part.first_tap && end_tap == part.end_tap;
  }
};

class Splitting {
 public:
  Splitting(Builder& builder, const Op& op, ValueId read, ValueId weight, Dims result)
      : b_(builder),
        op_(op),
        read_(read),
        weight_(weight),
        result_(std::move(result)),
        is_gradient_(op.code == Opcode::conv_data_gradient),
        first_axis_(op.attrs.flag("channels_last") ? 1 : 2) {
    for (size_t i = 0; i < op.attrs.integers("dilation").size(); ++i)
      parts_.push_back(parts_of(i));
  }

  bool pays() const {
    double present = 1;
    for (size_t i = 0; i < parts_.size(); ++i) {
      int64_t met = 0;
      for (const Part& part : parts_[i])
        met += part.pixels() * part.taps();
      present *= static_cast<double>(met) / static_cast<double>(pixels(i) * taps(i));
    }
    return present <= kMostPresent;
  }

  ValueId run() { return pixels_of({}); }

 private:
  size_t axis_of(size_t i) const { return first_axis_ + i; }
  int64_t pixels(size_t i) const { return result_[axis_of(i)]; }
  int64_t taps(size_t i) const { return b_.dims(weight_)[i + 2]; }
  int64_t size_read(size_t i) const { return b_.dims(read_)[axis_of(i)]; }
  int64_t attr(std::string_view name, size_t i) const { return op_.attrs.integers(name)[i]; }

  // Tap k of pixel p meets element p * stride - low + k * dilation, or, of a data gradient, whose
  // stride is 1, p + low - k * dilation.
  bool meets(size_t i, int64_t pixel, int64_t tap) const {
    int64_t way = tap * attr("dilation", i) - attr("low", i);
    int64_t element = is_gradient_ ? pixel - way : pixel * attr("stride", i) + way;
    return element >= 0 && element < size_read(i);
  }

  std::vector<Part> parts_of(size_t i) const {
    if (attr("dilation", i) == 1)
      return {{0, pixels(i), 0, taps(i)}};
    std::vector<Part> parts;
    for (int64_t p = 0; p < pixels(i); ++p) {
      Part part{.begin = p, .end = p + 1};
      while (part.first_tap < taps(i) && !meets(i, p, part.first_tap))
        ++part.first_tap;
      part.end_tap = part.first_tap;
      while (part.end_tap < taps(i) && meets(i, p, part.end_tap))
        ++part.end_tap;
      if (!parts.empty() && parts.back().meets_taps_of(part))
        parts.back().end = part.end;
      else
        parts.push_back(part);
    }
    return parts;
  }

  // The pixels that lie in these parts of the first axes.
  ValueId pixels_of(std::vector<Part> parts) {
    size_t i = parts.size();
    if (i == parts_.size())
      return convolution(parts);
    std::vector<ValueId> values;
    for (const Part& part : parts_[i]) {
      parts.push_back(part);
      values.push_back(pixels_of(parts));
      parts.pop_back();
    }
    return values.size() == 1
               ? values[0]
               : b_.op(Opcode::concat, values, {{"axis", static_cast<int64_t>(axis_of(i))}});
  }

  ValueId convolution(const std::vector<Part>& parts) {
    if (std::ranges::any_of(parts, [](const Part& part) { return part.taps() == 0; }))
      return zeros(parts);
    std::vector<int64_t> low, high, size, begin = {0, 0}, end = b_.dims(weight_);
    for (size_t i = 0; i < parts.size(); ++i) {
      const Part& part = parts[i];
      int64_t dilation = attr("dilation", i), stride = attr("stride", i);
      int64_t span = (part.taps() - 1) * dilation + 1;
      low.push_back(attr("low", i) - part.first_tap * dilation);
      low.back() += is_gradient_ ? part.begin : -part.begin * stride;
      // What is left of the padded image behind the last pixel and its taps: nothing.
      int64_t image = is_gradient_ ? part.pixels() : size_read(i);
      int64_t result = is_gradient_ ? size_read(i) : part.pixels();
      high.push_back((result - 1) * stride + span - image - low.back());
      size.push_back(part.pixels());
      begin.push_back(part.first_tap);
      end[i + 2] = part.end_tap;
    }
    Attrs attrs = op_.attrs;
    attrs.set("low", low);
    attrs.set("high", high);
    if (is_gradient_)
      attrs.set("size", size);
    std::vector<int64_t> step(begin.size(), 1);
    ValueId taps =
        b_.op(Opcode::slice, {weight_}, {{"begin", begin}, {"end", end}, {"step", step}});
    return b_.op(op_.code, {read_, taps}, attrs);
  }

  ValueId zeros(const std::vector<Part>& parts) {
    Dims dims = result_;
    for (size_t i = 0; i < parts.size(); ++i)
      dims[axis_of(i)] = parts[i].pixels();
    return b_.constant({b_.type(read_).dtype, dims}, 0);
  }

  Builder& b_;
  const Op& op_;
  ValueId read_, weight_;
  Dims result_;
  bool is_gradient_;
  size_t first_axis_;  // of a pixel
  std::vector<std::vector<Part>> parts_;  // by axis
};

bool may_split(const Function& function, const Op& op) {
  if (op.code != Opcode::conv && op.code != Opcode::conv_data_gradient)
    return false;
  bool has_stride = !all_are(op.attrs.integers("stride"), 1);
  return function.type(op.operand(0)).dims[0] < kFewestSharedRows &&
         op.attrs.integer("groups") == 1 && !all_are(op.attrs.integers("dilation"), 1) &&
         !(has_stride && op.code == Opcode::conv_data_gradient);
}

Function split(const Function& function) {
  Rewrite rewrite(function);
  for (const Op& op : function.ops) {
    if (!may_split(function, op)) {
      rewrite.copy(op);
      continue;
    }
    Splitting splitting(rewrite.at(op), op, rewrite(op.operand(0)), rewrite(op.operand(1)),
                        function.type(op.result()).dims);
    if (!splitting.pays()) {
      rewrite.copy(op);
      continue;
    }
    ValueId whole = splitting.run();
    rewrite.builder().set_name(whole, function[op.result()].name);
    rewrite.map(op.result(), whole);
  }
  return rewrite.finish();
}

}  // namespace

Module far_taps(const Module& module, const Options&) {
  return with_entries(module, split);
}

}  // namespace gradc
