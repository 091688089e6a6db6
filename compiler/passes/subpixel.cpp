#include "compiler/passes/subpixel.h"

#include <algorithm>

#include "compiler/lower/contraction.h"
#include "ir/integer_math.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

// What pixels p, p + stride, ... of an axis meet: taps `first`, first + stride, ...
struct Residue {
  int64_t pixels = 0, taps = 0, first = 0;
  int64_t low = 0, high = 0;  // padding of the convolution without a stride
};

// Tiles of many images skip what is not there; few channels have none.
bool pays(const Function& function, const Op& op) {
  constexpr int64_t kFewChannels = 8;
  if (op.code != Opcode::conv_data_gradient)
    return false;
  const Type& gradient = function.type(op.operand(0));
  bool has_tiles =
      gradient.dims[0] >= kFewestSharedRows && function.type(op.operand(1)).dims[1] >= kFewChannels;
  return gradient.dtype == DType::f32 && !has_tiles && op.attrs.integer("groups") == 1 &&
         all_are(op.attrs.integers("dilation"), 1) && !all_are(op.attrs.integers("stride"), 1);
}

class Splitting {
 public:
  Splitting(Builder& builder, const Op& op, ValueId gradient, ValueId weight)
      : b_(builder),
        op_(op),
        gradient_(gradient),
        weight_(weight),
        stride_(op.attrs.integers("stride")),
        size_(op.attrs.integers("size")),
        first_axis_(op.attrs.flag("channels_last") ? 1 : 2) {}

  ValueId run() {
    ValueId whole = pixels({});
    return whole.valid() ? whole : zeros(result_dims(size_));
  }

 private:
  size_t axis_of(size_t i) const { return first_axis_ + i; }

  Residue residue(size_t i, int64_t p) const {
    int64_t from = p + op_.attrs.integers("low")[i], taps = b_.dims(weight_)[i + 2];
    Residue r{.pixels = ceil_div(size_[i] - p, stride_[i]), .low = floor_div(from, stride_[i])};
    r.first = from - r.low * stride_[i];
    r.taps = std::max<int64_t>(0, ceil_div(taps - r.first, stride_[i]));
    r.high = b_.dims(gradient_)[axis_of(i)] + r.taps - 1 - r.pixels - r.low;
    return r;
  }

  // The pixels that have these residues on the first axes; invalid where all of them are zero.
  ValueId pixels(std::vector<Residue> residues) {
    size_t i = residues.size();
    if (i == stride_.size())
      return convolution(residues);
    std::vector<ValueId> parts;
    for (int64_t p = 0; p < stride_[i]; ++p) {
      residues.push_back(residue(i, p));
      const Residue& r = residues.back();
      parts.push_back(r.pixels > 0 && r.taps > 0 ? pixels(residues) : ValueId{});
      residues.pop_back();
    }
    return stride_[i] == 1 ? parts[0] : interleaved(parts, i);
  }

  ValueId convolution(const std::vector<Residue>& residues) {
    Attrs attrs = op_.attrs;
    std::vector<int64_t> low, high, size, begin = {0, 0}, step = {1, 1};
    for (size_t i = 0; i < residues.size(); ++i) {
      low.push_back(residues[i].low);
      high.push_back(residues[i].high);
      size.push_back(residues[i].pixels);
      begin.push_back(residues[i].first);
      step.push_back(stride_[i]);
    }
    attrs.set("low", low);
    attrs.set("high", high);
    attrs.set("size", size);
    attrs.set("stride", std::vector<int64_t>(size.size(), 1));
    ValueId taps = b_.op(Opcode::slice, {weight_},
                         {{"begin", begin}, {"end", b_.dims(weight_)}, {"step", step}});
    return b_.op(Opcode::conv_data_gradient, {gradient_, taps}, attrs);
  }

  // Pixel p of all parts, then pixel p + 1.
  ValueId interleaved(const std::vector<ValueId>& parts, size_t i) {
    auto is_made = [](ValueId part) { return part.valid(); };
    auto made = std::count_if(parts.begin(), parts.end(), is_made);
    auto first = std::find_if(parts.begin(), parts.end(), is_made);
    if (made == 0)
      return {};
    if (made == 1)
      return spread(*first, i, first - parts.begin());
    size_t axis = axis_of(i);
    Dims dims = b_.dims(*first);
    dims[axis] = ceil_div(size_[i], stride_[i]);
    Dims apart = dims;
    apart.insert(apart.begin() + static_cast<std::ptrdiff_t>(axis) + 1, 1);
    std::vector<ValueId> whole;
    for (ValueId part : parts)
      whole.push_back(
          b_.reshape(part.valid() ? filled(part, axis, dims[axis]) : zeros(dims), apart));
    ValueId joined = b_.op(Opcode::concat, whole, {{"axis", static_cast<int64_t>(axis) + 1}});
    dims[axis] *= stride_[i];
    joined = b_.reshape(joined, dims);
    if (dims[axis] == size_[i])
      return joined;
    dims[axis] = size_[i];
    return b_.op(Opcode::slice, {joined},
                 {{"begin", std::vector<int64_t>(dims.size())},
                  {"end", dims},
                  {"step", std::vector<int64_t>(dims.size(), 1)}});
  }

  // A part that is all there is, from pixel p on.
  ValueId spread(ValueId part, size_t i, int64_t p) {
    size_t axis = axis_of(i);
    Dims dims = b_.dims(part);
    std::vector<int64_t> low(dims.size()), high(dims.size()), interior(dims.size());
    low[axis] = p;
    interior[axis] = stride_[i] - 1;
    high[axis] = size_[i] - p - (dims[axis] - 1) * stride_[i] - 1;
    return b_.op(Opcode::pad, {part},
                 {{"low", low}, {"high", high}, {"interior", interior}, {"value", 0.0}});
  }

  ValueId filled(ValueId part, size_t axis, int64_t size) {
    Dims dims = b_.dims(part);
    if (dims[axis] == size)
      return part;
    std::vector<int64_t> low(dims.size()), high(dims.size());
    high[axis] = size - dims[axis];
    return b_.op(Opcode::pad, {part}, {{"low", low}, {"high", high}, {"value", 0.0}});
  }

  Dims result_dims(const std::vector<int64_t>& size) const {
    Dims dims = b_.dims(gradient_);
    dims[op_.attrs.flag("channels_last") ? dims.size() - 1 : 1] = b_.dims(weight_)[1];
    for (size_t i = 0; i < size.size(); ++i)
      dims[axis_of(i)] = size[i];
    return dims;
  }

  ValueId zeros(const Dims& dims) { return b_.constant({DType::f32, dims}, 0); }

  Builder& b_;
  const Op& op_;
  ValueId gradient_, weight_;
  std::vector<int64_t> stride_, size_;
  size_t first_axis_;  // of a pixel
};

Function split(const Function& function) {
  Rewrite rewrite(function);
  for (const Op& op : function.ops) {
    if (!pays(function, op)) {
      rewrite.copy(op);
      continue;
    }
    Builder& b = rewrite.at(op);
    ValueId whole = Splitting(b, op, rewrite(op.operand(0)), rewrite(op.operand(1))).run();
    b.set_name(whole, function[op.result()].name);
    rewrite.map(op.result(), whole);
  }
  return rewrite.finish();
}

}  // namespace

Module subpixel(const Module& module, const Options&) {
  return with_entries(module, split);
}

}  // namespace gradc
