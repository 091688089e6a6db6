// Reduce kernels over bands of columns: some elements of each column at a time, whose sums wait in
// scratch memory.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "compiler/lower/reduce_lowering.h"

namespace gradc {

using loop::LoopKind;
using loop::Scalar;

bool ReduceLowering::sweeps_columns() const {
  constexpr int64_t kLeastBytes = 512 << 10, kLeastElements = 16;
  if (tree_.lanes_reduce || tree_.reduced().size() != 1)
    return false;
  const Type& type = function_.type(plan_.folds[0].operand);
  // Of 64 columns (AVX-512), several operands gain 40 %, and one loses 9 %.
  bool has_several =
      std::ranges::any_of(plan_.reads, [](const auto& read) { return read.size() > 1; });
  int64_t columns = tree_.groups.back().extent();
  return (columns > 4 * lanes_ || (columns == 4 * lanes_ && has_several)) &&
         tree_.groups[tree_.reduced()[0]].extent() >= kLeastElements &&
         element_count(plan_.domain) * byte_size(type.dtype) >= kLeastBytes;
}

int64_t ReduceLowering::band_columns() const {
  constexpr int64_t kMostColumns = 4096, kBands = 16;
  int64_t columns = tree_.groups.back().extent(), unit = 4 * lanes_;
  int64_t part = parallel_ ? (columns + kBands - 1) / kBands : columns;
  return std::min(kMostColumns, (part + unit - 1) / unit * unit);
}

int64_t ReduceLowering::elements_at_once(int64_t pass) const {
  constexpr int64_t kNearBytes = 16 << 20;  // of a result that the third level cache may hold
  int64_t most = function_.ops.size() <= 24 ? 8 : function_.ops.size() <= 60 ? 4 : 2;
  if (plan_.reads[static_cast<size_t>(pass)].size() < 2)
    return most;
  // Where a column's elements lie 4 KiB apart, they share a set of the first level cache.
  const Type& type = function_.type(plan_.folds[0].operand);
  bool near = element_count(plan_.domain) * byte_size(type.dtype) <= kNearBytes;
  return std::min<int64_t>(most, stores_domain(pass) && near ? 2 : 4);
}

uint32_t ReduceLowering::column_buffer(const std::string& name, DType dtype) {
  auto [known, fresh] = column_buffers_.try_emplace(name);
  if (fresh)
    known->second = b_.add_buffer({name, loop::Space::scratch, dtype,
                                   std::min(band_columns(), tree_.groups.back().extent())});
  return known->second;
}

uint32_t ReduceLowering::sum_buffer(size_t fold, int64_t strand) {
  const std::string& name = function_[plan_.folds[fold].result].name;
  return column_buffer(fmt::format("{}.sum.{}.{}", name, fold, strand),
                       plan_.folds[fold].sum_dtype);
}

uint32_t ReduceLowering::total_buffer(size_t fold) {
  ValueId value = plan_.folds[fold].result;
  return column_buffer(fmt::format("{}.all.{}", function_[value].name, fold),
                       function_.type(value).dtype);
}

void ReduceLowering::over_columns(const Band& band, const std::function<void(Scalar)>& body) {
  Scalar column = b_.begin_for(LoopKind::vector, band.columns, {}, {}, "j")[0];
  numbers_.back() = b_.add(band.start, column);
  enter_row();
  body(column);
  b_.end_for();
}

void ReduceLowering::fetch_round(int64_t pass, const Band& band, Scalar first, int64_t count,
                                 Scalar column) {
  if (band.columns != tree_.groups.back().extent())
    return;
  Scalar here = std::exchange(numbers_.back(), b_.index(0));
  numbers_[tree_.reduced()[0]] = first;
  Scalar start = ravel(b_, domain_indices(), plan_.domain);
  numbers_.back() = here;
  for (size_t parameter : plan_.reads[static_cast<size_t>(pass)])
    b_.fetch(values_.operand_buffer(parameter), b_.add(start, b_.scaled(column, count)));
}

void ReduceLowering::sweep(int64_t pass, const Band& band, const Chunk& chunk,
                           const std::function<void(Scalar)>& load_rows,
                           const std::function<void(Scalar, const Carries&)>& finish) {
  std::vector<size_t> folds = folds_of(pass);
  size_t group = tree_.reduced()[0];
  int64_t strands = std::min(ReductionTree::kStrands, chunk.extent);
  auto sums_at = [&](Scalar column) {
    Carries sums;
    for (int64_t s = 0; s < strands; ++s)
      for (size_t f : folds)
        sums.push_back(b_.load(sum_buffer(f, s), column));
    return sums;
  };
  auto store_sums = [&](Scalar column, const Carries& sums) {
    for (size_t i = 0; i < sums.size(); ++i)
      b_.store(sum_buffer(folds[i % folds.size()], static_cast<int64_t>(i / folds.size())), column,
               sums[i]);
  };
  auto visit = [&](Scalar first, int64_t count) {
    over_columns(band, [&](Scalar column) {
      fetch_round(pass, band, b_.add(first, b_.index(count)), count, column);
      load_rows(column);
      Carries sums = sums_at(column);
      auto width = static_cast<std::ptrdiff_t>(folds.size());
      // A load waits for a store that was just made to where the last 12 bits are the same.
      if (stores_domain(pass))
        for (int64_t k = 0; k < count; ++k) {
          numbers_[group] = b_.add(first, b_.index(k));
          load_reads(pass);
        }
      for (int64_t k = 0; k < count; ++k) {
        numbers_[group] = b_.add(first, b_.index(k));
        auto strand = sums.begin() + k % strands * width;
        Carries next = combine(pass, {strand, strand + width}, visit_point(pass));
        std::copy(next.begin(), next.end(), strand);
      }
      store_sums(column, sums);
    });
  };
  if (!folds.empty())
    over_columns(band, [&](Scalar column) {
      Carries sums;
      for (int64_t i = 0; i < strands; ++i)
        for (size_t f : folds)
          sums.push_back(identity(f));
      store_sums(column, sums);
    });
  int64_t step = elements_at_once(pass), rounds = chunk.extent / step, rest = chunk.extent % step;
  if (rounds > 0) {
    Scalar round = b_.begin_for(LoopKind::serial, rounds)[0];
    visit(b_.add(chunk.start, b_.scaled(round, step)), step);
    b_.end_for();
  }
  if (rest > 0)
    visit(b_.add(chunk.start, b_.index(rounds * step)), rest);
  if (folds.empty())
    return;
  over_columns(band, [&](Scalar column) {
    Carries sums = sums_at(column);
    auto width = static_cast<std::ptrdiff_t>(folds.size());
    Carries total(sums.begin(), sums.begin() + width);
    for (int64_t s = 1; s < strands; ++s)
      total = combine(pass, total, {sums.begin() + s * width, sums.begin() + (s + 1) * width});
    finish(column, total);
  });
}

void ReduceLowering::sweep_passes(const Band& band) {
  Chunk whole{b_.index(0), tree_.groups[tree_.reduced()[0]].extent()};
  int64_t done = -1;  // the last pass whose values are there
  auto load_rows = [&](Scalar column) {
    for (size_t f = 0; f < plan_.folds.size(); ++f)
      if (plan_.folds[f].pass <= done)
        row_values_[f] = b_.load(total_buffer(f), column);
  };
  for (int64_t pass = 0; pass <= plan_.last_pass; ++pass) {
    if (!plan_.visits_domain(pass))
      continue;
    sweep(pass, band, whole, load_rows, [&](Scalar column, const Carries& folded) {
      set_rows(pass, folded);
      for (size_t f : folds_of(pass))
        b_.store(total_buffer(f), column, row_values_[f]);
    });
    done = pass;
  }
  if (!plan_.row_results.empty())
    over_columns(band, [&](Scalar column) {
      load_rows(column);
      store_row_results();
    });
}

}  // namespace gradc
