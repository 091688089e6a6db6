#pragma once
// What the benchmarks of single kernels have in common: they run on one thread and take its own
// time, so that a busy machine disturbs little.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "runtime/gradc_runtime.h"

namespace gradc::bench {

double thread_seconds();

// A gradc_parallel_for of one thread.
void run_serially(void* pool, int64_t count, gradc_body body, void* data);

// Memory in large pages where it is large, as an instance has it; it begins at a page.
class Buffer {
 public:
  explicit Buffer(size_t bytes);

  void* data() const { return data_.get(); }
  // All of it, up to 3 bytes less.
  std::span<float> floats() const { return {static_cast<float*>(data()), bytes_ / sizeof(float)}; }

 private:
  struct Unmap {
    size_t bytes;
    void operator()(void* data) const;
  };
  size_t bytes_;
  std::unique_ptr<void, Unmap> data_;
};

}  // namespace gradc::bench
