// Reduce kernels: where in the domain we are, one pass over a row or a chunk of it, and what that
// leaves for the passes behind it.
#include <algorithm>

#include "compiler/lower/reduce_lowering.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"

namespace gradc {

using loop::LoopKind;
using loop::Scalar;

std::vector<Scalar> ReduceLowering::domain_indices() {
  std::vector<Scalar> indices;
  for (size_t g = 0; g < tree_.groups.size(); ++g)
    for (Scalar index : unravel(b_, numbers_[g], tree_.groups[g].dims))
      indices.push_back(index);
  return indices;
}

std::vector<Scalar> ReduceLowering::row_indices() {
  for (size_t g : tree_.reduced())
    numbers_[g] = b_.index(0);
  std::vector<Scalar> all = domain_indices(), indices;
  for (int64_t axis : other_axes(plan_.axes, static_cast<int64_t>(all.size())))
    indices.push_back(all[static_cast<size_t>(axis)]);
  return indices;
}

std::vector<Scalar> ReduceLowering::reshaped(std::span<const Scalar> indices, const Dims& from,
                                             const Dims& to) {
  if (from == to)
    return {indices.begin(), indices.end()};
  return unravel(b_, ravel(b_, indices, from), to);
}

Scalar ReduceLowering::row_value(size_t fold, const Position& position) {
  const Dims& dims = function_.type(plan_.folds[fold].result).dims;
  GRADC_CHECK(ravel(b_, position.indices, dims).reg == row_number_.reg,
              "@{} reads a reduced value of another row", function_.name);
  return row_values_[(first_slot_ + row_) * plan_.folds.size() + fold];
}

void ReduceLowering::enter_row() {
  std::vector<Scalar> indices = row_indices();
  row_number_ = ravel(b_, indices, plan_.row_dims);
}

std::vector<size_t> ReduceLowering::folds_of(int64_t pass) const {
  std::vector<size_t> folds;
  for (size_t f = 0; f < plan_.folds.size(); ++f)
    if (plan_.folds[f].pass == pass)
      folds.push_back(f);
  return folds;
}

Scalar ReduceLowering::identity(size_t fold) {
  return b_.constant(plan_.folds[fold].sum_dtype, plan_.folds[fold].identity);
}

ReduceLowering::Carries ReduceLowering::combine(int64_t pass, const Carries& x, const Carries& y) {
  Carries result;
  std::vector<size_t> folds = folds_of(pass);
  for (size_t i = 0; i < x.size(); ++i)
    result.push_back(b_.binary(plan_.folds[folds[i % folds.size()]].combine, x[i], y[i]));
  return result;
}

ReduceLowering::Carries ReduceLowering::visit_point(int64_t pass) {
  std::vector<Scalar> indices = domain_indices();
  Carries operands;
  for (size_t f : folds_of(pass))
    operands.push_back(
        b_.convert(values_.element(plan_.folds[f].operand, indices), plan_.folds[f].sum_dtype));
  for (const KeptValue& kept : plan_.kept)
    if (kept.first_pass == pass)
      keep(kept, indices);
  if (pass != plan_.last_pass)
    return operands;
  visit_across(indices);
  store_results(plan_.domain_results, indices, plan_.domain);
  return operands;
}

void ReduceLowering::store_results(const std::vector<size_t>& results,
                                   std::span<const Scalar> indices, const Dims& dims) {
  std::vector<Scalar> elements;
  auto at = [&](size_t r) {
    return reshaped(indices, dims, function_.type(function_.results[r].value).dims);
  };
  for (size_t r : results)
    elements.push_back(values_.element(function_.results[r].value, at(r)));
  for (size_t i = 0; i < results.size(); ++i)
    values_.store(results[i], at(results[i]), elements[i]);
}

void ReduceLowering::load_reads(int64_t pass) {
  for (size_t parameter : plan_.reads[static_cast<size_t>(pass)])
    values_.element(function_.parameters[parameter].value, domain_indices());
}

ReduceLowering::Carries ReduceLowering::reduce(int64_t pass, size_t depth, const Chunk& chunk) {
  std::vector<size_t> reduced = tree_.reduced();
  if (depth == reduced.size()) {
    Carries operands;
    for_each_row([&] {
      Carries of_row = visit_point(pass);
      operands.insert(operands.end(), of_row.begin(), of_row.end());
    });
    store_across();
    return operands;
  }
  bool is_innermost = depth + 1 == reduced.size();
  int64_t extent = depth == 0 ? chunk.extent : tree_.groups[reduced[depth]].extent();
  if (is_innermost && !tree_.lanes_reduce)
    return reduce_in_strands(pass, reduced[depth], depth == 0 ? chunk.start : b_.index(0), extent);
  std::vector<size_t> folds = folds_of(pass);
  Carries initial;
  std::vector<loop::Code> codes;
  for (size_t row = 0; row < open_rows(); ++row)
    for (size_t f : folds) {
      initial.push_back(identity(f));
      codes.push_back(plan_.folds[f].combine);
    }
  LoopKind kind = is_innermost && extent > 1 ? LoopKind::vector : LoopKind::serial;
  if (kind == LoopKind::serial)
    codes.clear();
  Carries current = b_.begin_for(kind, extent, initial, codes, is_innermost ? "j" : "i");
  numbers_[reduced[depth]] = depth == 0 ? b_.add(chunk.start, current[0]) : current[0];
  current.erase(current.begin());
  return b_.end_for(combine(pass, current, reduce(pass, depth + 1, chunk)));
}

ReduceLowering::Carries ReduceLowering::reduce_in_strands(int64_t pass, size_t group, Scalar start,
                                                          int64_t extent) {
  std::vector<size_t> folds = folds_of(pass);
  int64_t strands = folds.empty() ? 1 : std::min(ReductionTree::kStrands, extent);
  Carries sums;
  for (int64_t s = 0; s < strands; ++s)
    for (size_t f : folds)
      sums.push_back(identity(f));
  auto round = [&](Scalar first, int64_t count, Carries current) {
    auto width = static_cast<std::ptrdiff_t>(folds.size());
    for (int64_t s = 0; s < count; ++s) {
      numbers_[group] = b_.add(first, b_.index(s));
      auto strand = current.begin() + s * width;
      Carries next = combine(pass, {strand, strand + width}, visit_point(pass));
      std::copy(next.begin(), next.end(), strand);
    }
    return current;
  };
  int64_t rounds = extent / strands, rest = extent % strands;
  Carries current = b_.begin_for(LoopKind::serial, rounds, sums);
  Scalar first = b_.add(start, b_.scaled(current[0], strands));
  current.erase(current.begin());
  sums = b_.end_for(round(first, strands, current));
  if (rest > 0)
    sums = round(b_.add(start, b_.index(rounds * strands)), rest, sums);
  auto width = static_cast<std::ptrdiff_t>(folds.size());
  Carries total(sums.begin(), sums.begin() + width);
  for (int64_t s = 1; s < strands; ++s)
    total = combine(pass, total, {sums.begin() + s * width, sums.begin() + (s + 1) * width});
  return total;
}

void ReduceLowering::set_rows(int64_t pass, const Carries& folded) {
  std::vector<size_t> folds = folds_of(pass);
  for (size_t i = 0; i < folded.size(); ++i) {
    size_t fold = folds[i % folds.size()], row = i / folds.size();
    row_values_[(first_slot_ + row) * plan_.folds.size() + fold] =
        b_.convert(folded[i], function_.type(plan_.folds[fold].result).dtype);
  }
}

void ReduceLowering::store_row_results() {
  store_results(plan_.row_results, row_indices(), plan_.row_dims);
}

Scalar ReduceLowering::column_number(std::span<const Scalar> indices) {
  Dims dims;
  std::vector<Scalar> reduced;
  for (int64_t axis : plan_.axes) {
    dims.push_back(plan_.domain[static_cast<size_t>(axis)]);
    reduced.push_back(indices[static_cast<size_t>(axis)]);
  }
  return ravel(b_, reduced, dims);
}

Scalar ReduceLowering::scratch_index(std::span<const Scalar> indices) {
  Scalar begin = b_.index(static_cast<int64_t>(row_) * plan_.row_elements);
  return b_.add(begin, column_number(indices));
}

void ReduceLowering::keep(const KeptValue& kept, std::span<const Scalar> indices) {
  if (!scratch_.contains(kept.value)) {
    const Value& value = function_[kept.value];
    scratch_[kept.value] = b_.add_buffer(
        {value.name, loop::Space::scratch, value.type.dtype, rows_at_once() * plan_.row_elements});
  }
  b_.store(scratch_[kept.value], scratch_index(indices), values_.element(kept.value, indices));
}

void ReduceLowering::read_kept_after(int64_t pass) {
  for (const KeptValue& kept : plan_.kept)
    if (kept.first_pass == pass)
      values_.define(kept.value, [this, buffer = scratch_[kept.value]](const Position& at) {
        return b_.load(buffer, scratch_index(at.indices));
      });
}

void ReduceLowering::compute_kept_again() {
  for (const KeptValue& kept : plan_.kept)
    values_.undefine(kept.value);
}

}  // namespace gradc
