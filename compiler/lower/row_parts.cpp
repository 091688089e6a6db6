#include "compiler/lower/row_parts.h"

#include <set>

#include "ir/integer_math.h"

namespace gradc {
namespace {

using loop::Code;
using loop::Instr;
using loop::LoopKind;
using loop::Scalar;

// Each part asks for each operand whether it is the one, though without code.
constexpr size_t kMostCuts = 64;

// A part of a row, lowered for trial.
struct Trial {
  double nanoseconds = 0;  // if a vector takes what an element does
  std::set<int64_t> cuts;  // places in the row before which and from which on choices differ
};

Trial trial_of(const Function& kernel, const std::vector<AxisGroup>& groups, const PointBody& body,
               const Segment& part, int64_t lanes) {
  loop::Kernel trial_kernel;
  loop::Builder b(trial_kernel);
  KernelValues values(kernel, b);
  std::vector<Scalar> numbers;
  for (size_t i = 0; i + 1 < groups.size(); ++i)
    numbers.push_back(b.begin_for(LoopKind::serial, groups[i].extent())[0]);
  Scalar j = b.begin_for(LoopKind::vector, part.size)[0];
  numbers.push_back(b.add(b.index(part.start), j));
  body(values, axis_indices(b, groups, numbers));
  while (b.depth() > 0)
    b.end_for();
  remove_unused(trial_kernel);
  const std::vector<Instr>* inner = &trial_kernel.body;
  while (!inner->empty() && inner->back().code == Code::loop)
    inner = &inner->back().body;
  Trial trial;
  trial.nanoseconds = static_cast<double>(ceil_div(part.size, lanes)) * nanoseconds_of(*inner);
  for (const Instr& instr : *inner) {
    if (instr.code != Code::less && instr.code != Code::less_equal)
      continue;
    size_t at = instr.code == Code::less ? 0 : 1;  // place < bound, bound <= place
    Scalar place{instr.operands[at], b.dtype(instr.operands[at])};
    Scalar bound{instr.operands[1 - at], b.dtype(instr.operands[1 - at])};
    if (place.dtype != DType::i64 || !b.constant_of(bound))
      continue;
    const loop::Linear& linear = b.linear(place);
    if (linear.terms == std::vector<std::pair<uint32_t, int64_t>>{{j.reg, 1}})
      trial.cuts.insert(part.start + *b.constant_of(bound) - linear.constant);
  }
  return trial;
}

}  // namespace

std::vector<Segment> row_parts(const Function& kernel, const std::vector<AxisGroup>& groups,
                               const PointBody& body, int64_t lanes) {
  Segment row{0, groups.back().extent(), 1};
  Trial whole = trial_of(kernel, groups, body, row, lanes);
  if (whole.cuts.empty() || whole.cuts.size() > kMostCuts)
    return {row};
  std::vector<Segment> parts;
  double nanoseconds = 0;
  int64_t start = 0;
  whole.cuts.insert(row.size);
  for (int64_t end : whole.cuts) {
    if (end <= start || end > row.size)
      continue;
    parts.push_back({start, end - start, 1});
    nanoseconds += trial_of(kernel, groups, body, parts.back(), lanes).nanoseconds;
    start = end;
  }
  return nanoseconds < whole.nanoseconds ? parts : std::vector{row};
}

}  // namespace gradc
