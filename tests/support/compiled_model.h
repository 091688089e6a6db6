#pragma once
// Whole models as machine code in this process, run for a few steps: what came out of them is bytes
// to compare.
#include <memory>
#include <string>
#include <vector>

#include "compiler/codegen/codegen.h"
#include "compiler/options.h"
#include "ir/module.h"
#include "runtime/gradc_runtime.h"
#include "runtime/guarded.h"

namespace gradc::test {

// Training with the customary optimizer for `threads` threads of this machine.
Options native_training(int threads);

struct PoolDestroyer {
  void operator()(gradc_pool* pool) const { gradc_pool_destroy(pool); }
};
using Pool = std::unique_ptr<gradc_pool, PoolDestroyer>;

// Buffers for the inputs and outputs of an entry, each between guard pages. Inputs hold numbers
// that depend on the seed and on nothing else: floats in [0, 1), integers below 10.
class EntryBuffers {
 public:
  EntryBuffers(const gradc_entry& entry, uint32_t seed);

  void set_scalar(std::string_view input, double value);  // nothing if there is no such input
  const void* const* inputs() const { return input_pointers_.data(); }
  void* const* outputs() const { return output_pointers_.data(); }
  std::string output_bytes() const;
  bool intact() const;

 private:
  using Regions = std::vector<std::unique_ptr<GuardedRegion>>;
  const gradc_entry& entry_;
  Regions inputs_, outputs_;
  std::vector<const void*> input_pointers_;
  std::vector<void*> output_pointers_;
};

// An instance of a compiled model in training, on memory of the runtime.
class Training {
 public:
  // Runs init. `pool` may be null.
  Training(const gradc_module& module, gradc_pool* pool, uint32_t seed = 1);
  bool step();  // false on an error; no check of Catch's, so that any thread may call it
  gradc_instance* instance() const { return instance_.get(); }
  // All outputs of each step so far, then the state.
  std::string bytes() const;

 private:
  struct Destroy {
    void operator()(gradc_instance* instance) const { gradc_destroy(instance); }
  };
  const gradc_module& module_;
  const gradc_entry& step_;
  std::unique_ptr<gradc_instance, Destroy> instance_;
  EntryBuffers buffers_;
  uint32_t seed_;
  int steps_ = 0;
  std::string outputs_;
};

// The same bytes after `steps` steps, but with state and arena between guard pages, and the arena
// full of NaNs before each step. Checks that nothing is written beside any region.
std::string guarded_training(const gradc_module& module, gradc_pool* pool, int threads, int steps,
                             uint32_t seed = 1);

// The entry of that name, which must be there.
const gradc_entry& entry_of(const gradc_module& module, std::string_view name);

}  // namespace gradc::test
