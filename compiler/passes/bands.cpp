#include "compiler/passes/bands.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "compiler/passes/layout_rules.h"
#include "ir/op_def.h"
#include "ir/rewrite.h"

namespace gradc {
namespace {

using Axes = std::vector<int64_t>;

constexpr int64_t kMostBands = 4, kFewestRows = 8;  // of what a band of windows gives
// More leave threads too few images each: LeNet, 128 images, two threads, takes 3.6 ms in two
// bands, 4.4 in four, 3.9 in one.
constexpr int64_t kMostBandsOfImages = 2;

struct Rows {
  int64_t begin = 0, end = 0;
  int64_t count() const { return end - begin; }
  auto operator<=>(const Rows&) const = default;
};

// A window that reads nothing but what follows, element by element, from one convolution.
struct Pair {
  const Op* conv = nullptr;
  const Op* window = nullptr;
  int64_t bands = 1;
};

bool is_window(const Op& op) {
  return op.code == Opcode::window_max || op.code == Opcode::window_sum;
}

bool is_elementwise(const Function& function, const Op& op) {
  return def(op).kernel == KernelClass::map && def(op).attrs.begin() == def(op).attrs.end() &&
         op.results.size() == 1 && std::ranges::all_of(op.operands, [&](ValueId operand) {
           return function.type(operand).dims == function.type(op.result()).dims;
         });
}

// What is repeated or has no operands takes no bytes.
bool takes_bytes(const Op& op) {
  return op.code != Opcode::broadcast && !op.operands.empty();
}

class PairFinder {
 public:
  explicit PairFinder(const Function& function)
      : function_(function), makers_(function.values.size()), readers_(function.values.size()) {
    for (const Op& op : function.ops) {
      for (ValueId result : op.results)
        makers_[result.index] = &op;
      for (ValueId operand : op.operands)
        ++readers_[operand.index];
    }
    for (const Result& result : function.results)
      ++readers_[result.value.index];
  }

  // Those in which bands help, with their numbers of bands.
  std::vector<Pair> run() {
    std::vector<Pair> pairs;
    std::set<const Op*> in_pairs;
    for (const Op& op : function_.ops)
      if (std::optional<Pair> pair = pair_of(op)) {
        pairs.push_back(*pair);
        in_pairs.insert({pair->conv, pair->window});
      }
    int64_t most = 0;  // that any other op takes
    for (const Op& op : function_.ops)
      if (def(op).kernel != KernelClass::view && takes_bytes(op) &&
          !is_elementwise(function_, op) && !in_pairs.contains(&op))
        most = std::max(most, bytes_of(op));
    for (Pair& pair : pairs)
      while (bytes_of(pair) > most && pair.bands < most_bands(pair))
        pair.bands = std::min(2 * pair.bands, most_bands(pair));
    std::erase_if(pairs, [](const Pair& pair) { return pair.bands == 1; });
    return pairs;
  }

 private:
  std::optional<Pair> pair_of(const Op& op) const {
    if (!is_window(op) || op.phase != Phase::forward)
      return std::nullopt;
    ValueId value = op.operand(0);
    const Dims& dims = function_.type(value).dims;
    if (dims.size() != 4 || op.attrs.integers("window").size() != 3)
      return std::nullopt;
    while (readers_[value.index] == 1) {
      const Op* maker = makers_[value.index];
      if (!maker)
        return std::nullopt;
      if (maker->code == Opcode::conv)
        return maker->attrs.flag("channels_last") ? std::optional(Pair{maker, &op}) : std::nullopt;
      if (!is_elementwise(function_, *maker))
        return std::nullopt;
      // The operand that is no number for each channel.
      std::vector<ValueId> made;
      for (ValueId operand : maker->operands)
        if (const Op* from = makers_[operand.index]; !from || takes_bytes(*from))
          made.push_back(operand);
      if (made.size() != 1)
        return std::nullopt;
      value = made[0];
    }
    return std::nullopt;
  }

  // What an op reads and writes of what is made here or given.
  int64_t bytes_of(const Op& op) const {
    int64_t bytes = 0;
    for (ValueId result : op.results)
      bytes += function_.type(result).bytes();
    for (size_t i = 0; i < op.operands.size(); ++i) {
      const Op* maker = makers_[op.operand(i).index];
      if (maker && takes_bytes(*maker))
        bytes += function_.type(op.operand(i)).bytes();
    }
    return bytes;
  }

  int64_t bytes_of(const Pair& pair) const {
    int64_t image = function_.type(pair.conv->operand(0)).bytes();
    int64_t between = function_.type(pair.conv->result()).bytes();
    int64_t result = function_.type(pair.window->result()).bytes();
    if (pair.bands == 1)
      return between + std::max(image, result);
    return image + between / pair.bands + result;
  }

  int64_t most_bands(const Pair& pair) const {
    const Dims& dims = function_.type(pair.window->result()).dims;
    return dims[0] > 1 ? std::min(kMostBandsOfImages, dims[0])
                       : std::min(kMostBands, dims[1] / kFewestRows);
  }

  const Function& function_;
  std::vector<const Op*> makers_;  // by value
  std::vector<int> readers_;  // by value
};

class Banding {
 public:
  Banding(const Function& from, const std::vector<Pair>& pairs)
      : from_(from), rewrite_(from), makers_(from.values.size()) {
    for (const Op& op : from.ops)
      for (ValueId result : op.results)
        makers_[result.index] = &op;
    for (const Pair& pair : pairs)
      pairs_.emplace(pair.window, pair);
  }

  Function run() {
    for (const Op& op : from_.ops)
      if (auto pair = pairs_.find(&op); pair != pairs_.end())
        emit(pair->second);
      else
        rewrite_.copy(op);
    return without_dead_ops(rewrite_.finish());
  }

 private:
  void emit(const Pair& pair) {
    const Op& window = *pair.window;
    axis_ = from_.type(window.result()).dims[0] > 1 ? 0 : 1;
    conv_ = pair.conv;
    int64_t rows = from_.type(window.result()).dims[axis_];
    std::vector<ValueId> parts;
    for (int64_t band = 0; band < pair.bands; ++band)
      parts.push_back(
          window_band(window, {rows * band / pair.bands, rows * (band + 1) / pair.bands}));
    Builder& b = rewrite_.at(window);
    ValueId whole = b.op(Opcode::concat, parts, {{"axis", static_cast<int64_t>(axis_)}},
                         from_[window.result()].name);
    rewrite_.map(window.result(), whole);
  }

  // Sets the padding of a window of `size` rows at a distance of `stride`, so that it gives `rows`
  // of what it gives of `all`, and returns which of these it reads.
  Rows reads(Attrs& attrs, int64_t size, Rows rows, int64_t all) const {
    if (axis_ == 0)
      return rows;
    Axes low = attrs.integers("low"), high = attrs.integers("high");
    int64_t stride = attrs.integers("stride")[0];
    Rows read{rows.begin * stride - low[0], (rows.end - 1) * stride - low[0] + size};
    low[0] = std::max<int64_t>(0, -read.begin);
    high[0] = std::max<int64_t>(0, read.end - all);
    attrs.set("low", low);
    attrs.set("high", high);
    return {std::max<int64_t>(0, read.begin), std::min(all, read.end)};
  }

  ValueId window_band(const Op& window, Rows rows) {
    Attrs attrs = window.attrs;
    int64_t dilation = attrs.has("dilation") ? attrs.integers("dilation")[0] : 1;
    int64_t size = (attrs.integers("window")[0] - 1) * dilation + 1;
    Rows read = reads(attrs, size, rows, from_.type(window.operand(0)).dims[axis_]);
    ValueId x = band(window.operand(0), read);
    return rewrite_.at(window).op(window.code, {x}, attrs, from_[window.result()].name);
  }

  // Rows of a value of the chain from the convolution on, or of what its ops read beside it.
  ValueId band(ValueId value, Rows rows) {
    const Op& op = *makers_[value.index];
    Dims dims = from_.type(value).dims;
    dims[axis_] = rows.count();
    if (&op == conv_)
      return conv_band(rows);
    Builder& b = rewrite_.at(op);
    if (!takes_bytes(op)) {
      Attrs attrs = op.attrs;
      attrs.set("shape", dims);
      return b.op(op.code, rewrite_(op.operands), attrs, from_[value].name);
    }
    std::vector<ValueId> operands;
    for (ValueId operand : op.operands)
      operands.push_back(band(operand, rows));
    return rewrite_.at(op).op(op.code, operands, op.attrs, from_[value].name);
  }

  ValueId conv_band(Rows rows) {
    Attrs attrs = conv_->attrs;
    ValueId image = conv_->operand(0);
    int64_t taps = from_.type(conv_->operand(1)).dims[2];
    int64_t size = (taps - 1) * attrs.integers("dilation")[0] + 1;
    Rows read = reads(attrs, size, rows, from_.type(image).dims[axis_]);
    Builder& b = rewrite_.at(*conv_);
    ValueId part = slice(b, image, read);
    return b.op(Opcode::conv, {part, rewrite_(conv_->operand(1))}, attrs,
                from_[conv_->result()].name);
  }

  ValueId slice(Builder& b, ValueId value, Rows rows) {
    Dims end = from_.type(value).dims;
    Axes begin(end.size()), step(end.size(), 1);
    if (rows.count() == end[axis_])
      return rewrite_(value);
    begin[axis_] = rows.begin;
    end[axis_] = rows.end;
    return b.op(Opcode::slice, {rewrite_(value)}, {{"begin", begin}, {"end", end}, {"step", step}},
                from_[value].name + ".rows");
  }

  const Function& from_;
  Rewrite rewrite_;
  std::vector<const Op*> makers_;  // by value
  std::map<const Op*, Pair> pairs_;  // by window
  const Op* conv_ = nullptr;  // of the pair at work
  size_t axis_ = 1;  // that its bands are parts of
};

bool is_inference(const Function& function) {
  return function.kind == FunctionKind::entry &&
         std::ranges::all_of(function.ops, [](const Op& op) { return op.phase == Phase::forward; });
}

}  // namespace

Module bands(const Module& module, const Options&) {
  Module result = module;
  for (Function& function : result.functions) {
    if (!is_inference(function))
      continue;
    std::vector<Pair> pairs = PairFinder(function).run();
    if (!pairs.empty())
      function = Banding(function, pairs).run();
  }
  return result;
}

}  // namespace gradc
