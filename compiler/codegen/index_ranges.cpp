#include "compiler/codegen/index_ranges.h"

#include <algorithm>
#include <limits>

namespace gradc {
namespace {

using loop::Code;
using loop::Instr;

constexpr int64_t kLimit = int64_t{1} << 31;  // products of smaller numbers cannot overflow

IndexRange range(int64_t low, int64_t high) {
  return {true, low, high};
}

bool is_small(const IndexRange& x) {
  return x.known && x.low >= -kLimit && x.high <= kLimit;
}

IndexRange of_type(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return range(0, 1);
    case DType::u8:
      return range(0, 255);
    case DType::i8:
      return range(INT8_MIN, INT8_MAX);
    case DType::i16:
      return range(INT16_MIN, INT16_MAX);
    case DType::i32:
      return range(INT32_MIN, INT32_MAX);
    default:
      return {};
  }
}

IndexRange of_quotient(Code code, const IndexRange& x, const IndexRange& y) {
  if (y.low != y.high || y.low <= 0)
    return {};
  int64_t divisor = y.low;
  if (code == Code::div)
    return range(x.low / divisor, x.high / divisor);
  int64_t low = x.low >= 0 ? 0 : -(divisor - 1);
  return range(low, std::min(std::max<int64_t>(x.high, 0), divisor - 1));
}

IndexRange of_pair(Code code, const IndexRange& x, const IndexRange& y) {
  if (!is_small(x) || !is_small(y))
    return {};
  switch (code) {
    case Code::add:
      return range(x.low + y.low, x.high + y.high);
    case Code::sub:
      return range(x.low - y.high, x.high - y.low);
    case Code::mul: {
      auto [low, high] =
          std::minmax({x.low * y.low, x.low * y.high, x.high * y.low, x.high * y.high});
      return range(low, high);
    }
    case Code::min:
      return range(std::min(x.low, y.low), std::min(x.high, y.high));
    case Code::max:
      return range(std::max(x.low, y.low), std::max(x.high, y.high));
    case Code::div:
    case Code::rem:
      return of_quotient(code, x, y);
    default:
      return {};
  }
}

class Analysis {
 public:
  explicit Analysis(const loop::Kernel& kernel) : kernel_(kernel), ranges_(kernel.regs.size()) {}

  std::vector<IndexRange> run() {
    visit(kernel_.body);
    return std::move(ranges_);
  }

 private:
  void visit(const std::vector<Instr>& body) {
    for (const Instr& instr : body) {
      if (instr.code == Code::loop)
        ranges_[instr.params[0]] = range(0, instr.extent - 1);
      if (instr.tile) {
        ranges_[instr.params[0]] = range(0, instr.tile->rows - 1);
        ranges_[instr.params[1]] = range(0, instr.tile->groups - 1);
        ranges_[instr.params[2]] = range(0, instr.tile->columns - 1);
      }
      visit(instr.body);
      if (!has_effect(instr) && instr.dtype == DType::i64)
        ranges_[instr.results[0]] = of(instr);
    }
  }

  IndexRange of(const Instr& instr) const {
    const std::vector<uint32_t>& x = instr.operands;
    if (instr.code == Code::constant)
      return range(instr.integer, instr.integer);
    if (instr.code == Code::convert)
      return of_type(kernel_.regs[x[0]]);
    if (instr.code == Code::select) {
      const IndexRange &a = ranges_[x[1]], &b = ranges_[x[2]];
      return a.known && b.known ? range(std::min(a.low, b.low), std::max(a.high, b.high))
                                : IndexRange{};
    }
    return x.size() == 2 ? of_pair(instr.code, ranges_[x[0]], ranges_[x[1]]) : IndexRange{};
  }

  const loop::Kernel& kernel_;
  std::vector<IndexRange> ranges_;
};

}  // namespace

std::vector<IndexRange> index_ranges(const loop::Kernel& kernel) {
  return Analysis(kernel).run();
}

}  // namespace gradc
