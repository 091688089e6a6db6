#pragma once
// The first half of choosing a contract kernel's schedule: its method, and the loop that vectors
// run along. The second, of methods that have tiles, is in tile_chooser.h.
#include <algorithm>
#include <utility>

#include "compiler/kernel.h"
#include "compiler/lower/contract_schedule.h"
#include "compiler/lower/lower_contract.h"

namespace gradc {

// What both halves look at, and the schedule as far as it is chosen. Of the two operands b is the
// one that is read in vectors.
class ContractChooser {
 protected:
  // Elements of the summed loops in one pass: the vectors of b that a tile reads stay in the second
  // level cache.
  static constexpr int64_t kPassElements = 1024;
  static constexpr int64_t kNarrowColumns = 64;  // of b, in which a tile's columns lie as in a copy

  ContractChooser(const Function& kernel, const Target& target, int threads,
                  const ContractLimits& limits)
      : kernel_(kernel),
        nest_(contraction_nest(kernel)),
        target_(target),
        threads_(threads),
        limits_(limits),
        lanes_(target.lanes_f32()),
        packed_operand_(kernel.attrs.integer_or("packed_operand", limits.packed_operand)) {}

  size_t b() const { return static_cast<size_t>(s_.vector_operand); }
  size_t a() const { return 1 - b(); }
  size_t vector_loop() const { return static_cast<size_t>(s_.vector_loop); }
  bool is_row(size_t l) const {
    return l < nest_.result_loops && nest_.loops[l].moves[a()] && !nest_.loops[l].moves[b()];
  }

  // Its elements are not what lies in an operand's buffer.
  bool is_computed(size_t operand) const {
    const auto& parameters = kernel_.parameters;
    return nest_.types[operand].dtype != nest_.sum_dtype() ||
           std::none_of(parameters.begin(), parameters.end(), [&](const Parameter& parameter) {
             return parameter.value == nest_.operands[operand];
           });
  }

  int64_t summed_elements() const { return element_count(nest_.contraction.summed_dims); }

  // Whether an operand that is read in vectors lies as a copy of it would: in rows of few whole
  // vectors, one behind the other along the summed loop.
  bool is_in_order(size_t side) const {
    if (nest_.result_loops == nest_.loops.size())
      return false;
    int64_t step = nest_.step(side, nest_.loops.size() - 1);
    return step <= kNarrowColumns && step % lanes_ == 0;
  }

  // Whether sums run over an image's pixels, as those of a weight gradient do, that lie so far
  // apart in an operand that their cache lines get into each other's way: a pass copies them, some
  // channels at a time.
  bool has_far_pixels(size_t operand) const {
    constexpr int64_t kFarPixels = 64;  // elements
    return summed_axes_ > 1 && nest_.step(operand, nest_.loops.size() - 1) > kFarPixels;
  }

  const Function& kernel_;
  ContractionNest nest_;
  const Target& target_;
  int threads_;
  ContractLimits limits_;
  int64_t lanes_;
  int64_t packed_operand_;  // a weight that is in order before the call; -1: none
  int64_t summed_axes_ = 0;  // that are longer than 1, before loops are joined
  ContractSchedule s_;
};

class MethodChooser : protected ContractChooser {
 protected:
  using ContractChooser::ContractChooser;

  // Whether the method has tiles: else the schedule is complete.
  bool choose_method();

 private:
  double utilization(int64_t extent) const;
  // Cycles per product of two vectors when operand `side` is read in vectors along loop `v`:
  // whole vectors, plus bringing b into order, shared by all rows, plus storing the sums.
  double tile_cost(size_t side, size_t v, bool packed) const;
  // The same of vectors along the summed loop: folding a sum over its lanes and storing it, and
  // reading both operands in vectors for products of few of them.
  double lanes_cost(int64_t extent) const;
  // The vector loop of a tile that costs less than `best`, which becomes its cost.
  void choose_vector_loop(double& best, bool result_rows, bool packed = false);
  // Where both operands are bf16 matrices, large enough to be worth bringing into order.
  bool choose_matrix();
  bool has_one_row_loop() const;  // and one over columns: positions that are evenly spaced
  // The same of a convolution with windows or a stride, or its data gradient.
  bool choose_windows();
  // The same of a weight gradient.
  bool choose_pixels();
  void choose_winograd();
  bool is_matrix(size_t operand) const;
  // One loop over columns, that along the result's rows, at least one over rows and none over both.
  bool choose_matrix_loops();
  // The method and the vector loop. Which operands are computed in the kernel, and what limits its
  // scratch, must not choose the method: neither fusion nor memory ever changes a bit.
  // Returns what that costs.
  double choose_by_cost();
  // Rows of fewer columns than a vector has lanes, of products that are contiguous in a.
  bool choose_pairs(double cost);
  bool choose_pair_loops();
  int64_t pair_vectors() const;
  int64_t most_pair_rows() const;
  // In the terms of tile_cost.
  double pairs_cost() const;
  void choose_pair_rows();
};

}  // namespace gradc
