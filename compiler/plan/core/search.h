#pragma once
// Makes a schedule with recomputations cheaper, by large-neighbourhood search.
#include <cstdint>
#include <functional>
#include <vector>

#include "compiler/plan/core/schedule.h"

namespace gradc {

struct SearchSettings {
  int64_t budget = 0;  // bytes
  int64_t work = 0;  // about nanoseconds; counted, not timed
  int64_t good_enough = 0;  // stops at a cost that is proved to be the least
  // The share of the time that is gone, asked now and then: the search ends at 1.
  std::function<double()> spent;
  uint64_t seed = 1;
  // After many tries without a gain, goes on from the best schedule with a stretch of
  // recomputations taken out and cut anew, whatever that costs.
  bool kicks = false;
  // Of squeeze(): runs that overwrite state may happen later, so that what reads the old content
  // can be made again for longer. Odd seeds allow it always, others half of the time.
  bool delays = false;
  int64_t patience = 1;  // how many times the usual number of tries that gain nothing
};

// Takes some recomputations out, drops a value more, or moves some runs; cuts the peaks that come
// back, with some randomness in what is dropped; undoes what is needless. Keeps the result if it
// costs no more, or a little more early on. `schedule` fits the budget, and so does what is
// returned.
Schedule improve(const Problem& problem, const Schedule& schedule, const SearchSettings& settings);

// Lowers the peak step by step until it is within the budget: peaks are cut a little below the one
// before, also after some recomputations are taken out. What is returned may still be above.
Schedule squeeze(const Problem& problem, const Schedule& schedule, const SearchSettings& settings);

}  // namespace gradc
