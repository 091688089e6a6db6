#pragma once
// What a planned entry holds and costs, read off the entry itself: of `plan`'s result or of a
// parsed dump.
#include <cstdint>
#include <string>
#include <vector>

#include "compiler/options.h"
#include "compiler/plan/storage.h"
#include "ir/module.h"

namespace gradc {

// Bytes of the arena that are needed from one op of the entry to another.
struct Lifetime {
  static constexpr int kNone = -1;

  std::string name;  // `%value`, or `scratch of @kernel`
  int64_t bytes = 0, offset = 0;
  int first = 0, last = 0;  // indices into the entry's ops
  ValueId value;  // not valid for scratch
  int in_place_of = kNone;  // the lifetime that ends at `first` and whose bytes it starts at
};

struct Work {
  int64_t flops = 0;
  int64_t nanoseconds = 0;  // by the cost table of Options::cpu
};

struct MemoryReport {
  int64_t arena_bytes = 0;
  int64_t peak_bytes = 0;  // the most that is live at once
  int peak_op = 0;
  int64_t floor_bytes = 0;  // what one kernel needs alone: no plan of these kernels needs less
  RegionBytes others;  // outside of the arena
  std::vector<int64_t> live_bytes;  // by op
  std::vector<Lifetime> lifetimes;  // by first op; what is made in place has its operand's bytes
  std::vector<Work> work;  // by op; of views nothing
  std::vector<bool> recomputed_ops;  // by op: whether it repeats an earlier one
  Work forward, backward, update;  // what runs without any budget
  Work recomputed;  // in any phase
  double overhead() const;  // recomputed over all else, by time
};

MemoryReport memory_report(const Module& module, const Function& planned, const Options& options);

// What is live while `op` runs, largest first. Bytes that a result shares with the operand it is
// made in place of count as the result's, so that the holders sum to live_bytes[op].
std::vector<Lifetime> holders_at(const MemoryReport& report, int op);

// By op: whether it repeats an earlier one, or makes by a recipe what was there before.
std::vector<bool> recomputed_ops(const Module& module, const Function& entry);
// By value: the first one of the entry that it repeats or stands for, or itself.
std::vector<ValueId> first_made(const Module& module, const Function& entry);

}  // namespace gradc
