#include "compiler/index_ranges.h"

#include <algorithm>
#include <array>
#include <optional>

#include "ir/op_def.h"

namespace gradc {
namespace {

// Ops whose second operand numbers places along the axis `axis` of their first.
constexpr std::array kIndexed = {Opcode::gather, Opcode::gather_elements, Opcode::cross_entropy};
// Ops whose results hold elements of their first operand.
constexpr std::array kMoves = {Opcode::reshape,   Opcode::transpose, Opcode::slice,
                               Opcode::broadcast, Opcode::cast,      Opcode::stop_gradient};

template <size_t n>
bool is_one_of(Opcode code, const std::array<Opcode, n>& codes) {
  return std::find(codes.begin(), codes.end(), code) != codes.end();
}

// Where the elements of a value come from.
struct Source {
  const std::string* input = nullptr;  // null: not from one input alone
  bool wraps = false;  // elements that were negative count from the end
  std::optional<int64_t> ignored = {};  // elements of this number were replaced
};

class Ranges {
 public:
  explicit Ranges(const Function& entry)
      : entry_(entry), sources_(entry.values.size()), made_by_(entry.values.size()) {
    for (const Parameter& parameter : entry.parameters)
      if (parameter.state.empty() && is_integer(entry.type(parameter.value).dtype))
        sources_[parameter.value.index].input = &entry[parameter.value].name;
    for (const Op& op : entry.ops) {
      for (ValueId result : op.results)
        made_by_[result.index] = &op;
      follow(op);
    }
  }

  std::map<std::string, IndexRange> found;

 private:
  void follow(const Op& op) {
    if (is_one_of(op.code, kMoves) && is_integer(entry_.type(op.result()).dtype)) {
      sources_[op.result().index] = sources_[op.operand(0).index];
    } else if (op.code == Opcode::select) {
      Source source = sources_[op.operand(2).index];
      if (std::optional<int64_t> ignored = ignored_by(op))
        source.ignored = ignored;
      else if (counts_from_the_end(op))
        source.wraps = true;
      else
        source = {};
      sources_[op.result().index] = source;
    } else if (is_one_of(op.code, kIndexed)) {
      if (const Source& source = sources_[op.operand(1).index]; source.input)
        add(source, op);
    }
  }

  void add(const Source& source, const Op& op) {
    const Dims& dims = entry_.type(op.operand(0)).dims;
    int64_t size = dims[static_cast<size_t>(op.attrs.integer("axis"))];
    IndexRange range{source.wraps ? -size : 0, size, op.loc, source.ignored};
    if (op.attrs.has("ignore_index"))
      range.ignored = op.attrs.integer("ignore_index");
    auto [place, is_new] = found.emplace(*source.input, range);
    if (is_new)
      return;
    IndexRange& all = place->second;
    all.least = std::max(all.least, range.least);
    if (range.end < all.end) {
      all.end = range.end;
      all.loc = range.loc;
    }
    if (range.ignored != all.ignored)
      all.ignored.reset();
  }

  // select(equal(i, n), m, i) with numbers n and m: n, which says that there is no index.
  std::optional<int64_t> ignored_by(const Op& op) const {
    const Op* is_ignored = made_by_[op.operand(0).index];
    if (!is_ignored || is_ignored->code != Opcode::equal || is_ignored->operand(0) != op.operand(2))
      return std::nullopt;
    const Op* number = made_by_[is_ignored->operand(1).index];
    const Op* instead = made_by_[op.operand(1).index];
    bool fits =
        number && instead && number->code == Opcode::constant && instead->code == Opcode::constant;
    return fits ? std::optional(static_cast<int64_t>(number->attrs.real("value"))) : std::nullopt;
  }

  // select(less(i, 0), add(i, size), i)
  bool counts_from_the_end(const Op& op) const {
    const Op* is_negative = made_by_[op.operand(0).index];
    const Op* wrapped = made_by_[op.operand(1).index];
    return is_negative && wrapped && is_negative->code == Opcode::less &&
           wrapped->code == Opcode::add && is_negative->operand(0) == op.operand(2) &&
           wrapped->operand(0) == op.operand(2);
  }

  const Function& entry_;
  std::vector<Source> sources_;  // by value
  std::vector<const Op*> made_by_;
};

}  // namespace

std::map<std::string, IndexRange> index_ranges(const Function& entry) {
  return Ranges(entry).found;
}

}  // namespace gradc
