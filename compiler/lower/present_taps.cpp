#include "compiler/lower/present_taps.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

using loop::Code;
using loop::Scalar;

bool can_leave(const ContractionNest& nest, size_t operand, size_t axis) {
  const AffineIndex& index = nest.contraction.operand_indices[operand][axis];
  Range range = nest.numerators(operand, axis, nest.extents());
  return index.divisor != 1 || range.begin < 0 || range.end > nest.types[operand].dims[axis];
}

int64_t coefficient(const AffineIndex& index, size_t l) {
  int64_t sum = 0;
  for (auto [term, factor] : index.terms)
    sum += static_cast<size_t>(term) == l ? factor : 0;
  return sum;
}

// x with x * factor = 1 modulo `modulus`; the two have no common divisor.
int64_t inverse(int64_t factor, int64_t modulus) {
  for (int64_t x = 0; x < modulus; ++x)
    if (x * factor % modulus == 1 % modulus)
      return x;
  internal_error(__FILE__, __LINE__, "an inverse", "of a coprime number");
}

}  // namespace

std::optional<std::vector<TapAxis>> tap_axes(const ContractionNest& nest, size_t operand) {
  std::vector<TapAxis> axes;
  for (size_t axis = 0; axis < nest.types[operand].dims.size(); ++axis) {
    if (!can_leave(nest, operand, axis))
      continue;
    TapAxis found{axis, std::nullopt, nest.loops.size()};
    for (auto [term, factor] : nest.contraction.operand_indices[operand][axis].terms) {
      auto l = static_cast<size_t>(term);
      if (!nest.loops[l].summed && nest.loops[l].extent > 1) {
        if (found.result_loop || factor < 1)
          return std::nullopt;
        found.result_loop = l;
      } else if (nest.loops[l].summed) {
        if (found.summed_loop < nest.loops.size() || factor == 0)
          return std::nullopt;
        found.summed_loop = l;
      }
    }
    if (found.summed_loop == nest.loops.size())
      return std::nullopt;
    axes.push_back(found);
  }
  return axes;
}

Range inner_positions(const ContractionNest& nest, size_t operand, const TapAxis& axis) {
  const AffineIndex& index = nest.contraction.operand_indices[operand][axis.axis];
  int64_t step = coefficient(index, axis.summed_loop);
  int64_t last = step * (nest.loops[axis.summed_loop].extent - 1);
  int64_t pace = coefficient(index, *axis.result_loop),
          extent = nest.loops[*axis.result_loop].extent;
  auto is_inner = [&](int64_t position) {
    int64_t first = pace * position + index.offset;
    return std::min(first, first + last) >= 0 &&
           std::max(first, first + last) < nest.types[operand].dims[axis.axis];
  };
  Range inner;
  while (inner.begin < extent && !is_inner(inner.begin))
    ++inner.begin;
  inner.end = inner.begin;
  while (inner.end < extent && is_inner(inner.end))
    ++inner.end;
  return inner;
}

// With v = result_step * position + offset, tap k meets (v + step * k) / divisor, which must lie in
// [0, size) and be whole.
PresentTaps present_taps(loop::Builder& b, const ContractionNest& nest, size_t operand,
                         const TapAxis& axis, Scalar position, Scalar start, int64_t size) {
  const AffineIndex& index = nest.contraction.operand_indices[operand][axis.axis];
  int64_t step = coefficient(index, axis.summed_loop), pace = std::abs(step);
  int64_t divisor = index.divisor, common = std::gcd(pace, divisor);
  int64_t last = (nest.types[operand].dims[axis.axis] - 1) * divisor;
  int64_t extent = nest.loops[axis.summed_loop].extent;
  auto constant = [&](int64_t value) { return b.index(value); };
  Scalar v = constant(index.offset);
  if (axis.result_loop)
    v = b.add(v, b.mul(position, constant(coefficient(index, *axis.result_loop))));
  // How far the taps may go, in units of the numerator, before they reach the operand and until
  // they leave it; divisions of negative numbers round toward zero, which max makes up for.
  Scalar before = step > 0 ? b.sub(constant(0), v) : b.sub(v, constant(last));
  Scalar until = step > 0 ? b.sub(constant(last), v) : v;
  auto quotient = [&](Scalar x, int64_t y) { return y == 1 ? x : b.div(x, constant(y)); };
  Scalar first =
      b.max(quotient(b.add(b.max(before, constant(0)), constant(pace - 1)), pace), start);
  Scalar end = quotient(b.max(b.add(until, constant(pace)), constant(0)), pace);
  end = b.min(end, b.add(start, constant(size)));
  PresentTaps taps{.stride = divisor / common, .index_step = step / common};
  Scalar whole;
  if (divisor > 1) {
    // Taps whose numerator divides: k = -v / step modulo the stride, where v divides by `common`.
    Scalar positive = b.add(v, constant(divisor * (std::abs(index.offset) + 1)));
    if (common > 1)
      whole = b.compare(Code::equal, b.rem(positive, constant(common)), constant(0));
    int64_t sign = step > 0 ? -1 : 1;
    int64_t factor = sign * inverse(pace / common % taps.stride, taps.stride);
    Scalar phase =
        b.mul(quotient(positive, common), constant((factor + taps.stride) % taps.stride));
    Scalar ahead = b.sub(b.add(phase, constant(taps.stride * (extent + 1))), first);
    first = b.add(first, b.rem(ahead, constant(taps.stride)));
  }
  Scalar left = b.add(b.sub(end, first), constant(taps.stride - 1));
  taps.count = quotient(b.max(left, constant(0)), taps.stride);
  if (common > 1)
    taps.count = b.select(whole, taps.count, constant(0));
  taps.index = quotient(b.add(v, b.mul(first, constant(step))), divisor);
  taps.first = b.sub(first, start);
  return taps;
}

}  // namespace gradc
