// Reduce kernels whose rows are worked through in a pipeline: the passes of a row, or of a block of
// short ones, run beside those of its neighbours. Of softmax:
//
//   blocks of rows {
//     vector j { quotients of block t - 2; powers and their sums of block t - 1; maxima of t }
//   }
//
// Memory is read and written all the time, beside the arithmetic, and what follows from a row's
// sums has the time of a row. The first and the last blocks of a task have loops of their own, in
// which some passes are missing. It pays where functions are computed: memory alone is faster when
// a row is read first and written then.
#include <algorithm>

#include "compiler/lower/reduce_lowering.h"

namespace gradc {

using loop::LoopKind;
using loop::Scalar;

std::vector<int64_t> ReduceLowering::visiting_passes() const {
  std::vector<int64_t> passes;
  for (int64_t pass = 0; pass <= plan_.last_pass; ++pass)
    if (plan_.visits_domain(pass))
      passes.push_back(pass);
  return passes;
}

bool ReduceLowering::computes_functions() const {
  return std::ranges::any_of(function_.ops,
                             [&](const Op& op) { return is_dear(function_, op, plan_.domain); });
}

int64_t ReduceLowering::staggered_blocks() const {
  constexpr int64_t kTasks = 64, kLeastBlocks = 8;
  auto is_kept_for_long = [](const KeptValue& kept) {
    return kept.last_pass > kept.first_pass + 1;
  };
  if (!plan_.across.empty() || !has_plain_rows() || stages_.size() < 2 || !computes_functions() ||
      std::ranges::any_of(plan_.kept, is_kept_for_long))
    return 0;
  int64_t blocks = plan_.rows() / rows_at_once() / (parallel_ ? kTasks : 1);
  return blocks < kLeastBlocks ? 0 : blocks;
}

void ReduceLowering::fetch_next(size_t parameter) {
  constexpr int64_t kLeastBytes = 1 << 20, kNear = 2 << 10, kFar = 16 << 10, kLongRow = 8 << 10;
  const Type& type = function_.type(function_.parameters[parameter].value);
  if (type.bytes() < kLeastBytes)
    return;
  int64_t size = byte_size(type.dtype);
  int64_t ahead = plan_.row_elements * size > kLongRow ? kFar : kNear;
  b_.fetch(values_.operand_buffer(parameter),
           b_.add(ravel(b_, domain_indices(), plan_.domain), b_.index(ahead / size)));
}

// Row values of a stage lie behind those of the one before.
void ReduceLowering::enter_stage(size_t stage, const std::vector<Row>& rows) {
  open_ = rows;
  first_slot_ = stage * rows.size();
}

bool ReduceLowering::folds_first_stage_early() const {
  return rows_at_once() > 1 && std::ranges::none_of(plan_.kept, [&](const KeptValue& kept) {
           return kept.first_pass == stages_[0];
         });
}

void ReduceLowering::advance(size_t first, size_t last, Scalar block) {
  int64_t at_once = rows_at_once();
  std::vector<std::vector<Row>> rows(last + 1);
  for (size_t stage = first; stage <= last; ++stage) {
    Scalar number = b_.sub(block, b_.index(static_cast<int64_t>(stage)));
    rows[stage] = rows_from(b_.scaled(number, at_once), at_once);
  }
  if (first == 0 && last > 0 && folds_first_stage_early()) {
    visit_stages(0, 0, rows);
    visit_stages(1, last, rows);
  } else {
    visit_stages(first, last, rows);
  }
  for (size_t stage = std::min(last + 1, stages_.size() - 1); stage-- > first;) {
    auto width = static_cast<std::ptrdiff_t>(static_cast<size_t>(at_once) * plan_.folds.size());
    auto of_stage = row_values_.begin() + static_cast<std::ptrdiff_t>(stage) * width;
    std::copy_n(of_stage, width, of_stage + width);
  }
}

void ReduceLowering::visit_stages(size_t first, size_t last,
                                  const std::vector<std::vector<Row>>& rows) {
  size_t group = tree_.reduced()[0];
  // Later stages come first: what an earlier one keeps is in the place of what they read.
  Carries initial;
  std::vector<loop::Code> codes;
  for (size_t stage = last + 1; stage-- > first;)
    for (size_t row = 0; row < rows[stage].size(); ++row)
      for (size_t f : folds_of(stages_[stage])) {
        initial.push_back(identity(f));
        codes.push_back(plan_.folds[f].combine);
      }
  Carries current =
      b_.begin_for(LoopKind::vector, tree_.groups[group].extent(), initial, codes, "j");
  numbers_[group] = current[0];
  // All loads before the stores: one from a place whose address ends like that of one just written
  // would wait for it.
  for (size_t stage = first; stage <= last; ++stage) {
    enter_stage(stage, rows[stage]);
    for_each_row([&] {
      load_reads(stages_[stage]);
      if (stage == 0)
        for (size_t parameter : plan_.reads[static_cast<size_t>(stages_[0])])
          fetch_next(parameter);
    });
  }
  Carries next;
  for (size_t stage = last + 1; stage-- > first;) {
    int64_t pass = stages_[stage];
    enter_stage(stage, rows[stage]);
    for (const KeptValue& kept : plan_.kept)
      if (kept.first_pass < pass)
        read_kept_after(kept.first_pass);
    Carries operands;
    for_each_row([&] {
      Carries of_row = visit_point(pass);
      operands.insert(operands.end(), of_row.begin(), of_row.end());
    });
    compute_kept_again();
    auto begin = current.begin() + 1 + static_cast<std::ptrdiff_t>(next.size());
    Carries combined =
        combine(pass, {begin, begin + static_cast<std::ptrdiff_t>(operands.size())}, operands);
    next.insert(next.end(), combined.begin(), combined.end());
  }
  Carries folded = b_.end_for(next);
  auto value = folded.begin();
  for (size_t stage = last + 1; stage-- > first;) {
    enter_stage(stage, rows[stage]);
    auto end = value + static_cast<std::ptrdiff_t>(folds_of(stages_[stage]).size() * open_.size());
    set_rows(stages_[stage], {value, end});
    value = end;
    if (stage + 1 == stages_.size())
      for_each_row([&] { store_row_results(); });
  }
  enter_stage(0, {});
}

std::vector<size_t> ReduceLowering::staggered_values() const {
  std::vector<size_t> values;
  auto rows = static_cast<size_t>(rows_at_once());
  for (size_t slot = rows; slot < rows * stages_.size(); ++slot)
    for (size_t f = 0; f < plan_.folds.size(); ++f)
      if (plan_.folds[f].pass < stages_[slot / rows])
        values.push_back(slot * plan_.folds.size() + f);
  return values;
}

void ReduceLowering::run_staggered(int64_t blocks) {
  size_t last = stages_.size() - 1;
  auto lead = static_cast<int64_t>(last);
  int64_t tasks = plan_.rows() / rows_at_once() / blocks;
  Scalar first = b_.scaled(begin_tasks({tasks})[0], blocks);
  auto block = [&](int64_t number) { return b_.add(first, b_.index(number)); };
  for (size_t stage = 0; stage < last; ++stage)
    advance(0, stage, block(static_cast<int64_t>(stage)));
  std::vector<size_t> places = staggered_values();
  auto known = [&] {
    Carries values;
    for (size_t at : places)
      values.push_back(row_values_[at]);
    return values;
  };
  auto set_known = [&](std::span<const Scalar> values) {
    for (size_t i = 0; i < places.size(); ++i)
      row_values_[places[i]] = values[i];
  };
  Carries current = b_.begin_for(LoopKind::serial, blocks - lead, known());
  set_known(std::span(current).subspan(1));
  advance(0, last, b_.add(block(lead), current[0]));
  set_known(b_.end_for(known()));
  for (size_t stage = 1; stage <= last; ++stage)
    advance(stage, last, block(blocks - 1 + static_cast<int64_t>(stage)));
  end_loops();
  run_rows_at_once(tasks * blocks * rows_at_once());
}

}  // namespace gradc
