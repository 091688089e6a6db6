#pragma once
// Where a step's time goes, kernel by kernel: `gradc bench --profile` (docs/profiling.md).
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ir/module.h"
#include "runtime/gradc_runtime.h"

namespace gradc {

// A kernel call of an entry, as the plan says it; what it computes and moves.
struct ProfiledKernel {
  std::string name;
  std::string place;  // of the model: `mlp.model:4:7`, or an ONNX node; may be empty
  Phase phase = Phase::forward;
  int64_t flops = 0;
  int64_t bytes = 0;  // of its operands and results, each once
};

// The kernels that `entry` of a planned module calls, in order: what gradc_mark counts.
std::vector<ProfiledKernel> kernels_of(const Module& planned, const Function& entry);

// What the machine can do at most. Bytes that fit into a cache move faster than those of main
// memory, so the bandwidth is of a working set.
struct Roofline {
  struct Bandwidth {
    int64_t bytes = 0;  // of the working set
    double gigabytes = 0;  // per second
  };
  double gflops = 0;
  std::vector<Bandwidth> bandwidths;  // ascending by bytes; the last is main memory's

  double gigabytes(int64_t bytes) const;
  // The time that these FLOPs and bytes take at least: arithmetic and memory work side by side.
  double least_nanoseconds(const ProfiledKernel& kernel) const;
};
Roofline measure_roofline(int threads);

// Times the kernels of an entry that was compiled with marks, from its construction to its end.
class KernelClock {
 public:
  // A stretch of time on a thread. Thread 0 is the caller's.
  struct Span {
    int64_t begin = 0, end = 0;  // nanoseconds since the clock's beginning
    uint32_t kernel = 0;
    int32_t thread = 0;
    bool part = false;  // what a thread had of a parallel loop; else the kernel as a whole
  };

  KernelClock(gradc_instance* instance, gradc_pool* pool, size_t kernels);
  ~KernelClock();
  KernelClock(const KernelClock&) = delete;
  KernelClock& operator=(const KernelClock&) = delete;

  // Call it after each run.
  void finish_run();

  size_t runs() const { return runs_; }
  // Of each kernel, the least of all runs.
  const std::vector<int64_t>& least_nanoseconds() const { return least_; }
  // Of the latest runs, for a picture.
  const std::vector<std::vector<Span>>& latest() const { return latest_; }

 private:
  static constexpr size_t kKeptRuns = 3;
  struct alignas(64) Thread {  // on a cache line of its own
    std::vector<Span> parts;
  };

  static void mark(void* clock, uint32_t kernel);
  static void parallel_for(void* clock, int64_t count, gradc_body body, void* data);
  int64_t now() const;

  gradc_instance* instance_;
  gradc_pool* pool_;
  int64_t beginning_ = 0;
  uint32_t running_ = 0;  // the kernel
  std::vector<int64_t> marks_;
  std::vector<Thread> threads_;
  size_t runs_ = 0;
  std::vector<int64_t> least_;
  std::vector<std::vector<Span>> latest_;
};

// The table on the terminal: a row per kernel with all its calls, the slowest first.
std::string profile_table(const std::vector<ProfiledKernel>& kernels,
                          const std::vector<int64_t>& nanoseconds, const Roofline& roofline);
// The same rows for programs.
nlohmann::ordered_json profile_json(const std::vector<ProfiledKernel>& kernels,
                                    const std::vector<int64_t>& nanoseconds,
                                    const Roofline& roofline);
// Chrome's trace format, which Perfetto reads as well: a lane per thread.
nlohmann::ordered_json profile_trace(const std::string& name,
                                     const std::vector<ProfiledKernel>& kernels,
                                     const std::vector<std::vector<KernelClock::Span>>& runs);

}  // namespace gradc
