#pragma once
// What the bytes of a planned entry are worth: the time that it would take to do without them.
#include <cstdint>
#include <optional>
#include <vector>

#include "compiler/options.h"
#include "ir/module.h"

namespace gradc {

// A value that is held over the peak: made before it, read after it.
struct HeldValue {
  ValueId value;
  int64_t bytes = 0;
  int made_by = 0, read_by = 0;  // ops of the entry: its kernel, the first behind the peak
  // Nanoseconds of making it again for that with what is there then; nullopt: it cannot be.
  std::optional<int64_t> price;

  double price_per_byte() const;
};

// The dearest bytes first; what cannot be made again before all others.
std::vector<HeldValue> held_over_peak(const Module& module, const Function& planned,
                                      const Options& options);

}  // namespace gradc
