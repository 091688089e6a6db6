// Reduce kernels. Values of the rows' dims depend on folds of values of the domain's dims, which
// may depend on earlier folds (softmax: the maximum, then the sum of exp(x - maximum), then the
// quotients). A pass runs over a row's part of the domain and does the folds whose operands are
// known; the last one also stores the results of the domain's dims.
//
// Rows share nothing, so all passes of a row (or of a few columns, where the last axis is kept: the
// lanes) follow each other while the row is in cache. Several short rows are worked through at
// once: a short row alone is a chain of dependent instructions, and folds over lanes cost less
// together. Only where the tree cuts rows into chunks is each pass a loop over all chunks, whose
// values meet in the workspace.
//
// Where there are many columns of many elements, a few of them are no run of memory: then a pass
// sweeps over a band of columns, some elements of each column at a time, and keeps its sums in
// scratch memory.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/lower.h"
#include "compiler/lower/reduce_plan.h"
#include "ir/diagnostic.h"
#include "ir/op_def.h"

namespace gradc {
namespace {

using loop::LoopKind;
using loop::Scalar;

class ReduceLowering {
 public:
  ReduceLowering(const Function& function, const Target& target, bool parallel)
      : function_(function),
        plan_(plan_reduction(function, target)),
        tree_(plan_.tree),
        lanes_(target.lanes_f32()),
        parallel_(parallel),
        kernel_{.name = function.name},
        b_(kernel_),
        values_(function, b_),
        numbers_(tree_.groups.size()),
        row_values_(static_cast<size_t>(rows_at_once()) * plan_.folds.size()),
        sweeps_(sweeps_columns()) {
    for (size_t f = 0; f < plan_.folds.size(); ++f)
      values_.define(plan_.folds[f].result,
                     [this, f](const Position& position) { return row_value(f, position); });
  }

  loop::Kernel run() {
    if (tree_.chunks > 1)
      run_in_chunks();
    else if (tree_.lanes_reduce)
      run_rows();
    else
      run_columns();
    return std::move(kernel_);
  }

 private:
  using Carries = std::vector<Scalar>;

  // A part of the first reduced group.
  struct Chunk {
    Scalar start;
    int64_t extent = 0;
  };

  // ---- Where we are.

  std::vector<Scalar> domain_indices() {
    std::vector<Scalar> indices;
    for (size_t g = 0; g < tree_.groups.size(); ++g)
      for (Scalar index : unravel(b_, numbers_[g], tree_.groups[g].dims))
        indices.push_back(index);
    return indices;
  }

  // The indices of the kept axes; those of the reduced ones need not be known.
  std::vector<Scalar> row_indices() {
    for (size_t g : tree_.reduced())
      numbers_[g] = b_.index(0);
    std::vector<Scalar> all = domain_indices(), indices;
    for (int64_t axis : other_axes(plan_.axes, static_cast<int64_t>(all.size())))
      indices.push_back(all[static_cast<size_t>(axis)]);
    return indices;
  }

  // Indices, in a value of `elements` numbered like `dims`, of the place with `indices` there.
  std::vector<Scalar> reshaped(std::span<const Scalar> indices, const Dims& from, const Dims& to) {
    if (from == to)
      return {indices.begin(), indices.end()};
    return unravel(b_, ravel(b_, indices, from), to);
  }

  Scalar row_value(size_t fold, const Position& position) {
    const Dims& dims = function_.type(plan_.folds[fold].result).dims;
    GRADC_CHECK(ravel(b_, position.indices, dims).reg == row_number_.reg,
                "@{} reads a reduced value of another row", function_.name);
    return row_values_[row_ * plan_.folds.size() + fold];
  }

  void enter_row() {
    std::vector<Scalar> indices = row_indices();
    row_number_ = ravel(b_, indices, plan_.row_dims);
  }

  // Of several rows at once.
  struct Row {
    Scalar place, number;
  };

  size_t open_rows() const { return std::max<size_t>(1, open_.size()); }

  // Calls body() in each of the rows that are worked through at once, or where we are.
  template <typename Body>
  void for_each_row(Body body) {
    if (open_.empty())
      return body();
    for (row_ = 0; row_ < open_.size(); ++row_) {
      numbers_[tree_.kept()[0]] = open_[row_].place;
      row_number_ = open_[row_].number;
      body();
    }
    row_ = 0;
  }

  // ---- One pass over a row, or a chunk of it.

  std::vector<size_t> folds_of(int64_t pass) const {
    std::vector<size_t> folds;
    for (size_t f = 0; f < plan_.folds.size(); ++f)
      if (plan_.folds[f].pass == pass)
        folds.push_back(f);
    return folds;
  }

  Scalar identity(size_t fold) {
    return b_.constant(plan_.folds[fold].sum_dtype, plan_.folds[fold].identity);
  }

  Carries combine(int64_t pass, const Carries& x, const Carries& y) {
    Carries result;
    std::vector<size_t> folds = folds_of(pass);
    for (size_t i = 0; i < x.size(); ++i)
      result.push_back(b_.binary(plan_.folds[folds[i % folds.size()]].combine, x[i], y[i]));
    return result;
  }

  // The folds' operands at one point of the domain, and in the last pass its results. All results
  // are computed before the first is stored: a result may share an operand's bytes.
  Carries visit_point(int64_t pass) {
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
    std::vector<Scalar> elements;
    for (size_t r : plan_.domain_results) {
      ValueId value = function_.results[r].value;
      elements.push_back(
          values_.element(value, reshaped(indices, plan_.domain, function_.type(value).dims)));
    }
    for (size_t i = 0; i < elements.size(); ++i) {
      size_t r = plan_.domain_results[i];
      const Dims& dims = function_.type(function_.results[r].value).dims;
      values_.store(r, reshaped(indices, plan_.domain, dims), elements[i]);
    }
    return operands;
  }

  // The reduced groups from the `depth`-th on.
  Carries reduce(int64_t pass, size_t depth, const Chunk& chunk) {
    std::vector<size_t> reduced = tree_.reduced();
    if (depth == reduced.size()) {
      Carries operands;
      for_each_row([&] {
        Carries of_row = visit_point(pass);
        operands.insert(operands.end(), of_row.begin(), of_row.end());
      });
      return operands;
    }
    bool is_innermost = depth + 1 == reduced.size();
    int64_t extent = depth == 0 ? chunk.extent : tree_.groups[reduced[depth]].extent();
    if (is_innermost && !tree_.lanes_reduce)
      return reduce_in_strands(pass, reduced[depth], depth == 0 ? chunk.start : b_.index(0),
                               extent);
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

  // Index i adds to sum i % kStrands; the sums meet in order.
  Carries reduce_in_strands(int64_t pass, size_t group, Scalar start, int64_t extent) {
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

  // ---- Values that several passes need and that are dear to compute.

  Scalar scratch_index(std::span<const Scalar> indices) {
    Dims dims;
    std::vector<Scalar> reduced;
    for (int64_t axis : plan_.axes) {
      dims.push_back(plan_.domain[static_cast<size_t>(axis)]);
      reduced.push_back(indices[static_cast<size_t>(axis)]);
    }
    Scalar begin = b_.index(static_cast<int64_t>(row_) * plan_.row_elements);
    return b_.add(begin, ravel(b_, reduced, dims));
  }

  void keep(const KeptValue& kept, std::span<const Scalar> indices) {
    if (!scratch_.contains(kept.value)) {
      const Value& value = function_[kept.value];
      scratch_[kept.value] = b_.add_buffer({value.name, loop::Space::scratch, value.type.dtype,
                                            rows_at_once() * plan_.row_elements});
    }
    b_.store(scratch_[kept.value], scratch_index(indices), values_.element(kept.value, indices));
  }

  void read_kept_after(int64_t pass) {
    for (const KeptValue& kept : plan_.kept)
      if (kept.first_pass == pass)
        values_.define(kept.value, [this, buffer = scratch_[kept.value]](const Position& at) {
          return b_.load(buffer, scratch_index(at.indices));
        });
  }

  void compute_kept_again() {
    for (const KeptValue& kept : plan_.kept)
      values_.undefine(kept.value);
  }

  // ---- Rows, or columns, that are in one piece.

  void run_passes() {
    enter_row();
    Chunk whole{b_.index(0), tree_.groups[tree_.reduced()[0]].extent()};
    for (int64_t pass = 0; pass <= plan_.last_pass; ++pass) {
      if (!plan_.visits_domain(pass))
        continue;
      Carries folded = reduce(pass, 0, whole);
      set_rows(pass, folded);
      read_kept_after(pass);
    }
    compute_kept_again();
    for_each_row([&] { store_row_results(); });
  }

  void set_rows(int64_t pass, const Carries& folded) {
    std::vector<size_t> folds = folds_of(pass);
    for (size_t i = 0; i < folded.size(); ++i) {
      size_t fold = folds[i % folds.size()], row = i / folds.size();
      row_values_[row * plan_.folds.size() + fold] =
          b_.convert(folded[i], function_.type(plan_.folds[fold].result).dtype);
    }
  }

  void store_row_results() {
    std::vector<Scalar> indices = row_indices(), elements;
    for (size_t r : plan_.row_results) {
      ValueId value = function_.results[r].value;
      elements.push_back(
          values_.element(value, reshaped(indices, plan_.row_dims, function_.type(value).dims)));
    }
    for (size_t i = 0; i < elements.size(); ++i) {
      size_t r = plan_.row_results[i];
      const Dims& dims = function_.type(function_.results[r].value).dims;
      values_.store(r, reshaped(indices, plan_.row_dims, dims), elements[i]);
    }
  }

  // Opens a loop over `tasks`, unless there is one only, and splits its number.
  std::vector<Scalar> begin_tasks(const Dims& dims) {
    int64_t tasks = element_count(dims);
    if (tasks == 1)
      return std::vector<Scalar>(dims.size(), b_.index(0));
    LoopKind kind = parallel_ ? LoopKind::parallel : LoopKind::serial;
    return unravel(b_, b_.begin_for(kind, tasks)[0], dims);
  }

  void end_loops() {
    while (b_.depth() > 0)
      b_.end_for();
  }

  // Sixteen vectors keep a CPU busy. The bits do not depend on it: rows share nothing.
  int64_t rows_at_once() const {
    constexpr int64_t kVectors = 16, kMostRows = 8;
    if (tree_.chunks > 1 || !tree_.lanes_reduce || tree_.reduced().size() != 1 ||
        tree_.kept().size() != 1)
      return 1;
    int64_t vectors = (plan_.row_elements + lanes_ - 1) / lanes_;
    return std::clamp<int64_t>(std::min(kVectors / vectors, plan_.rows()), 1, kMostRows);
  }

  void run_rows_at_once(int64_t rows) {
    int64_t blocks = plan_.rows() / rows;
    for (auto [begin, count, size] : {std::array{int64_t{0}, blocks, rows},
                                      std::array{blocks * rows, int64_t{1}, plan_.rows() % rows}}) {
      if (size == 0)
        continue;
      Scalar block = begin_tasks({count})[0];
      open_.clear();
      for (int64_t row = 0; row < size; ++row) {
        Scalar first = b_.add(b_.index(begin), b_.mul(block, b_.index(rows)));
        Scalar place = numbers_[tree_.kept()[0]] = b_.add(first, b_.index(row));
        enter_row();
        open_.push_back({place, row_number_});
      }
      run_passes();
      end_loops();
    }
  }

  void run_rows() {
    if (int64_t rows = rows_at_once(); rows > 1)
      return run_rows_at_once(rows);
    std::vector<size_t> kept = tree_.kept();
    Dims dims;
    for (size_t g : kept)
      dims.push_back(tree_.groups[g].extent());
    std::vector<Scalar> tasks = begin_tasks(dims);
    for (size_t i = 0; i < kept.size(); ++i)
      numbers_[kept[i]] = tasks[i];
    run_passes();
    end_loops();
  }

  void run_columns() {
    int64_t columns = tree_.groups.back().extent(), block = columns;
    if (sweeps_)
      block = std::min(columns, band_columns());
    else if (parallel_)
      block = std::min(columns, 4 * lanes_);
    int64_t whole = columns / block;
    run_column_blocks(0, whole, block);
    if (columns % block)
      run_column_blocks(whole * block, 1, columns % block);
  }

  void run_column_blocks(int64_t begin, int64_t blocks, int64_t block) {
    std::vector<size_t> kept = tree_.kept();
    Dims dims;
    for (size_t g : kept)
      dims.push_back(tree_.groups[g].extent());
    dims.back() = blocks;
    std::vector<Scalar> tasks = begin_tasks(dims);
    for (size_t i = 0; i + 1 < kept.size(); ++i)
      numbers_[kept[i]] = tasks[i];
    Scalar start = b_.add(b_.index(begin), b_.scaled(tasks.back(), block));
    if (sweeps_) {
      sweep_passes({start, block});
    } else {
      begin_columns(start, block);
      run_passes();
    }
    end_loops();
  }

  // A vector loop over columns of the last group; a single column needs none.
  void begin_columns(Scalar start, int64_t count) {
    numbers_.back() = start;
    if (count > 1)
      numbers_.back() = b_.add(start, b_.begin_for(LoopKind::vector, count, {}, {}, "j")[0]);
  }

  // ---- Bands of columns.

  struct Band {
    Scalar start;
    int64_t columns = 0;
  };

  // Columns of which one vector after the other would be read from places far apart, in data that
  // the nearest cache does not hold.
  bool sweeps_columns() const {
    constexpr int64_t kLeastBytes = 512 << 10, kLeastElements = 16;
    if (tree_.lanes_reduce || tree_.reduced().size() != 1)
      return false;
    const Type& type = function_.type(plan_.folds[0].operand);
    return tree_.groups.back().extent() > 4 * lanes_ &&
           tree_.groups[tree_.reduced()[0]].extent() >= kLeastElements &&
           element_count(plan_.domain) * byte_size(type.dtype) >= kLeastBytes;
  }

  // A band's sums stay in the nearest cache; there are bands enough for many threads.
  int64_t band_columns() const {
    constexpr int64_t kMostColumns = 1024, kBands = 16;
    int64_t columns = tree_.groups.back().extent(), unit = 4 * lanes_;
    int64_t part = parallel_ ? (columns + kBands - 1) / kBands : columns;
    return std::min(kMostColumns, (part + unit - 1) / unit * unit);
  }

  // How many elements of a column are visited for one load and store of its sums: fewer where the
  // body is long, which stands in the code as often.
  int64_t elements_at_once() const {
    return function_.ops.size() <= 24 ? 8 : function_.ops.size() <= 60 ? 4 : 2;
  }

  // A scratch buffer of one element per column of the widest band.
  uint32_t column_buffer(const std::string& name, DType dtype) {
    auto [known, fresh] = column_buffers_.try_emplace(name);
    if (fresh)
      known->second = b_.add_buffer({name, loop::Space::scratch, dtype,
                                     std::min(band_columns(), tree_.groups.back().extent())});
    return known->second;
  }

  uint32_t sum_buffer(size_t fold, int64_t strand) {
    const std::string& name = function_[plan_.folds[fold].result].name;
    return column_buffer(fmt::format("{}.sum.{}.{}", name, fold, strand),
                         plan_.folds[fold].sum_dtype);
  }

  uint32_t total_buffer(size_t fold) {
    ValueId value = plan_.folds[fold].result;
    return column_buffer(fmt::format("{}.all.{}", function_[value].name, fold),
                         function_.type(value).dtype);
  }

  // Calls body(column in the band) in a vector loop over its columns.
  template <typename Body>
  void over_columns(const Band& band, Body body) {
    Scalar column = b_.begin_for(LoopKind::vector, band.columns, {}, {}, "j")[0];
    numbers_.back() = b_.add(band.start, column);
    enter_row();
    body(column);
    b_.end_for();
  }

  // One pass over a part of the columns' elements. `finish` gets the folds' values of each column.
  template <typename Load, typename Finish>
  void sweep(int64_t pass, const Band& band, const Chunk& chunk, Load load_rows, Finish finish) {
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
        b_.store(sum_buffer(folds[i % folds.size()], static_cast<int64_t>(i / folds.size())),
                 column, sums[i]);
    };
    auto visit = [&](Scalar first, int64_t count) {
      over_columns(band, [&](Scalar column) {
        load_rows(column);
        Carries sums = sums_at(column);
        auto width = static_cast<std::ptrdiff_t>(folds.size());
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
    int64_t step = elements_at_once(), rounds = chunk.extent / step, rest = chunk.extent % step;
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

  // All passes over whole columns.
  void sweep_passes(const Band& band) {
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

  // ---- Rows in chunks.

  void run_in_chunks() {
    for (const PlannedFold& fold : plan_.folds) {
      const std::string& name = function_[fold.result].name;
      partials_.push_back(b_.add_buffer(
          {name + ".part", loop::Space::workspace, fold.sum_dtype, tree_.chunks * plan_.rows()}));
      totals_.push_back(b_.add_buffer({name + ".row", loop::Space::workspace,
                                       function_.type(fold.result).dtype, plan_.rows()}));
    }
    int64_t extent = tree_.groups[tree_.reduced()[0]].extent();
    int64_t whole = extent / tree_.chunk;
    for (int64_t pass = 0; pass <= plan_.last_pass; ++pass) {
      if (!plan_.visits_domain(pass))
        continue;
      run_pass(pass, 0, whole, tree_.chunk);
      if (extent % tree_.chunk)
        run_pass(pass, whole, 1, extent % tree_.chunk);
      if (!folds_of(pass).empty())
        add_partials(pass);
    }
    if (!plan_.row_results.empty())
      over_all_rows([&] {
        load_totals(plan_.last_pass);
        store_row_results();
      });
  }

  // One pass over `count` chunks of all rows.
  void run_pass(int64_t pass, int64_t first, int64_t count, int64_t extent) {
    std::vector<size_t> kept = tree_.kept();
    Dims dims = {count};
    for (size_t g : kept)
      dims.push_back(tree_.groups[g].extent());
    if (!tree_.lanes_reduce)
      dims.back() = 1;
    std::vector<Scalar> tasks = begin_tasks(dims);
    for (size_t i = 0; i < kept.size(); ++i)
      numbers_[kept[i]] = tasks[i + 1];
    Scalar number = b_.add(b_.index(first), tasks[0]);
    Chunk chunk{b_.scaled(number, tree_.chunk), extent};
    auto store_partials = [&](const Carries& folded) {
      Scalar at = b_.add(b_.scaled(number, plan_.rows()), row_number_);
      std::vector<size_t> folds = folds_of(pass);
      for (size_t i = 0; i < folds.size(); ++i)
        b_.store(partials_[folds[i]], at, folded[i]);
    };
    if (sweeps_) {
      int64_t columns = tree_.groups.back().extent(), block = std::min(columns, band_columns());
      for (int64_t start = 0; start < columns; start += block)
        sweep(
            pass, {b_.index(start), std::min(block, columns - start)}, chunk,
            [&](Scalar) { load_totals(pass - 1); },
            [&](Scalar, const Carries& folded) { store_partials(folded); });
      return end_loops();
    }
    if (!tree_.lanes_reduce)
      begin_columns(b_.index(0), tree_.groups.back().extent());
    enter_row();
    load_totals(pass - 1);
    store_partials(reduce(pass, 0, chunk));
    end_loops();
  }

  void load_totals(int64_t last_pass) {
    for (size_t f = 0; f < plan_.folds.size(); ++f)
      if (plan_.folds[f].pass <= last_pass)
        row_values_[f] = b_.load(totals_[f], row_number_);
  }

  void over_all_rows(const std::function<void()>& body) {
    Dims dims;
    for (size_t g : tree_.kept())
      dims.push_back(tree_.groups[g].extent());
    Scalar row = b_.index(0);
    if (plan_.rows() > 1)
      row = b_.begin_for(LoopKind::vector, plan_.rows(), {}, {}, "row")[0];
    std::vector<Scalar> kept_numbers = unravel(b_, row, dims);
    for (size_t i = 0; i < dims.size(); ++i)
      numbers_[tree_.kept()[i]] = kept_numbers[i];
    enter_row();
    body();
    end_loops();
  }

  void add_partials(int64_t pass) {
    over_all_rows([&] {
      Carries sums;
      for (size_t f : folds_of(pass))
        sums.push_back(identity(f));
      Carries current = b_.begin_for(LoopKind::serial, tree_.chunks, sums);
      Scalar at = b_.add(b_.scaled(current[0], plan_.rows()), row_number_);
      current.erase(current.begin());
      Carries parts;
      for (size_t f : folds_of(pass))
        parts.push_back(b_.load(partials_[f], at));
      set_rows(pass, b_.end_for(combine(pass, current, parts)));
      for (size_t f : folds_of(pass))
        b_.store(totals_[f], row_number_, row_values_[f]);
    });
  }

  const Function& function_;
  ReductionPlan plan_;
  const ReductionTree& tree_;
  int64_t lanes_;
  bool parallel_;
  loop::Kernel kernel_;
  loop::Builder b_;
  KernelValues values_;
  std::vector<Scalar> numbers_;  // by group: where in it we are
  std::vector<Row> open_;  // rows that are worked through at once, if there are several
  size_t row_ = 0;  // of these the one we are in
  std::vector<Scalar> row_values_;  // by open row and fold: its value there
  Scalar row_number_;
  std::map<ValueId, uint32_t> scratch_;  // of kept values
  std::vector<uint32_t> partials_, totals_;  // by fold: buffers, where rows are cut into chunks
  std::map<std::string, uint32_t> column_buffers_;  // of a band of columns
  bool sweeps_ = false;
};

}  // namespace

loop::Kernel lower_reduce(const Function& function, const Target& target, int threads) {
  loop::Kernel serial = ReduceLowering(function, target, false).run();
  if (threads == 1 || nanoseconds_of(serial.body) < kParallelNanoseconds)
    return serial;
  return ReduceLowering(function, target, true).run();
}

}  // namespace gradc
