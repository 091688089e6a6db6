#pragma once
// The lowering of reduce kernels. lower_reduce.cpp explains it and has the loops over rows and
// columns, reduce_passes.cpp what is done in a row, reduce_staggered.cpp passes of neighbouring
// rows side by side, reduce_bands.cpp bands of columns, reduce_across.cpp folds across rows beside
// those along them.
#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "compiler/lower/iteration_space.h"
#include "compiler/lower/kernel_values.h"
#include "compiler/lower/reduce_plan.h"
#include "compiler/target.h"

namespace gradc {

class ReduceLowering {
 public:
  ReduceLowering(const Function& function, const Target& target, bool parallel);
  loop::Kernel run();

 private:
  using Scalar = loop::Scalar;
  using Carries = std::vector<Scalar>;

  // A part of the first reduced group.
  struct Chunk {
    Scalar start;
    int64_t extent = 0;
  };

  // ---- Where we are.

  std::vector<Scalar> domain_indices();

  // The indices of the kept axes; those of the reduced ones need not be known.
  std::vector<Scalar> row_indices();

  // Indices, in a value of `elements` numbered like `dims`, of the place with `indices` there.
  std::vector<Scalar> reshaped(std::span<const Scalar> indices, const Dims& from, const Dims& to);
  Scalar row_value(size_t fold, const Position& position);
  void enter_row();

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

  std::vector<size_t> folds_of(int64_t pass) const;
  Scalar identity(size_t fold);
  Carries combine(int64_t pass, const Carries& x, const Carries& y);

  // The folds' operands at one point of the domain, and in the last pass its results.
  Carries visit_point(int64_t pass);

  // Those elements of these results that are numbered like `indices` in `dims`. All are computed
  // before the first is stored: a result may share an operand's bytes.
  void store_results(const std::vector<size_t>& results, std::span<const Scalar> indices,
                     const Dims& dims);

  bool stores_domain(int64_t pass) const {
    return pass == plan_.last_pass && !plan_.domain_results.empty();
  }

  // The elements of operands that a pass reads where we are: to have them before any store.
  void load_reads(int64_t pass);

  // The reduced groups from the `depth`-th on.
  Carries reduce(int64_t pass, size_t depth, const Chunk& chunk);

  // Index i adds to sum i % kStrands; the sums meet in order.
  Carries reduce_in_strands(int64_t pass, size_t group, Scalar start, int64_t extent);

  // ---- Values that several passes need and that are dear to compute.

  Scalar scratch_index(std::span<const Scalar> indices);
  void keep(const KeptValue& kept, std::span<const Scalar> indices);
  void read_kept_after(int64_t pass);
  void compute_kept_again();

  // ---- Rows, or columns, that are in one piece.

  void run_passes();
  void set_rows(int64_t pass, const Carries& folded);
  void store_row_results();

  // Opens a loop over `tasks`, unless there is one only, and splits its number.
  std::vector<Scalar> begin_tasks(const Dims& dims);
  void end_loops();

  // Whether each row is one run of one loop.
  bool has_plain_rows() const;

  // Eight or sixteen vectors keep a CPU busy. The bits do not depend on it: rows share nothing.
  int64_t rows_at_once() const;
  void run_rows_at_once(int64_t first);  // from the first-th row on
  std::vector<Row> rows_from(Scalar first, int64_t count);
  void run_rows();
  void run_columns();
  void run_column_blocks(int64_t begin, int64_t blocks, int64_t block);

  // A vector loop over columns of the last group; a single column needs none.
  void begin_columns(Scalar start, int64_t count);

  // ---- Passes of neighbouring rows at the same time. The bits do not depend on it.

  std::vector<int64_t> visiting_passes() const;

  bool computes_functions() const;

  // How many blocks of rows_at_once() rows a task has, 0 where another loop is better.
  int64_t staggered_blocks() const;
  void run_staggered(int64_t blocks);

  // Each of the stages `first` to `last`, in `block` - stage.
  void advance(size_t first, size_t last, Scalar block);

  // One loop over columns.
  void visit_stages(size_t first, size_t last, const std::vector<std::vector<Row>>& rows);

  // Whether what the first stage of short rows finds is folded before the others: they are straight
  // lines of code, and what needs it next follows at once where it comes last.
  bool folds_first_stage_early() const;
  void enter_stage(size_t stage, const std::vector<Row>& rows);

  // Which of row_values_ one block leaves to the next.
  std::vector<size_t> staggered_values() const;
  void fetch_next(size_t parameter);

  // ---- Bands of columns.

  struct Band {
    Scalar start;
    int64_t columns = 0;
  };

  // Columns of which one vector after the other would be read from places far apart, in data that
  // the nearest cache does not hold.
  bool sweeps_columns() const;

  // A band's sums stay in the nearest cache; there are bands enough for many threads.
  int64_t band_columns() const;

  // How many elements of a column are visited for one load and store of its sums, and of what all
  // elements of a column share: fewer where the body is long, which stands in the code as often,
  // and where several operands are read.
  int64_t elements_at_once(int64_t pass) const;

  // A scratch buffer of one element per column of the widest band.
  uint32_t column_buffer(const std::string& name, DType dtype);
  uint32_t sum_buffer(size_t fold, int64_t strand);
  uint32_t total_buffer(size_t fold);

  // Calls body(column in the band) in a vector loop over its columns.
  void over_columns(const Band& band, const std::function<void(Scalar column)>& body);

  // Wishes for a part, this column's, of `count` elements of each column from `first` on, if they
  // are one run of memory: in the order that it lies in, which is faster than that of use.
  void fetch_round(int64_t pass, const Band& band, Scalar first, int64_t count, Scalar column);

  // One pass over a part of the columns' elements. `finish` gets the folds' values of each column.
  void sweep(int64_t pass, const Band& band, const Chunk& chunk,
             const std::function<void(Scalar column)>& load_rows,
             const std::function<void(Scalar column, const Carries& folded)>& finish);

  // All passes over whole columns.
  void sweep_passes(const Band& band);

  // ---- Rows, with folds across them.

  void run_across();

  // `count` chunks of `extent` rows each, from the `first` chunk on.
  void run_across_chunks(int64_t first, int64_t count, int64_t extent);
  void run_across_rows(Scalar first, int64_t rows);
  void run_across_rows_at_once(Scalar first, int64_t rows);
  void add_across_partials();

  // What the rows that are worked through add to the sums of a column. `visit` is in one of them.
  void visit_across(std::span<const Scalar> indices);
  void store_across();
  Scalar in_strand(int64_t strand, Scalar column);  // counted from across_strand_
  Scalar column_number(std::span<const Scalar> indices);
  template <typename Body>
  void over_across_columns(Body body);

  // ---- Rows in chunks.

  void run_in_chunks();

  // One pass over `count` chunks of all rows.
  void run_pass(int64_t pass, int64_t first, int64_t count, int64_t extent);
  void load_totals(int64_t last_pass);
  void over_all_rows(const std::function<void()>& body);
  void add_partials(int64_t pass);

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
  size_t first_slot_ = 0;  // where the open rows' values begin in row_values_
  std::vector<int64_t> stages_;  // the passes that visit the domain
  std::vector<Scalar> row_values_;  // by stage, open row and fold: its value there
  Scalar row_number_;
  std::map<ValueId, uint32_t> scratch_;  // of kept values
  std::vector<uint32_t> partials_, totals_;  // by fold: buffers, where rows are cut into chunks
  std::map<std::string, uint32_t> column_buffers_;  // of a band of columns
  bool sweeps_ = false;

  // Of folds across rows, by fold: the sums of an open chunk as [strands][columns], and of all
  // chunks.
  std::vector<uint32_t> across_sums_, across_partials_;
  int64_t across_strands_ = 0;  // of the open chunk
  Scalar across_strand_;  // that of the first open row
  Scalar across_column_;  // where we are
  std::map<std::pair<size_t, int64_t>, Scalar> across_open_;  // by fold and strand: sums there
};

}  // namespace gradc
