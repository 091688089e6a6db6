#include "tools/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <set>

#include "compiler/lower/kernel_place.h"
#include "compiler/plan/views.h"
#include "ir/op_def.h"
#include "tools/machine_peak.h"

namespace gradc {
namespace {

int64_t bytes_of(const Function& entry, const Op& call) {
  std::set<ValueId> values(call.operands.begin(), call.operands.end());
  values.insert(call.results.begin(), call.results.end());
  return std::accumulate(values.begin(), values.end(), int64_t{0},
                         [&](int64_t sum, ValueId id) { return sum + entry.type(id).bytes(); });
}

// What a row of the table says: of all calls of one kernel together.
struct Row {
  const ProfiledKernel* kernel = nullptr;
  int64_t calls = 0, flops = 0, bytes = 0;
  double nanoseconds = 0, least_nanoseconds = 0;

  double gflops() const { return static_cast<double>(flops) / nanoseconds; }
  double gigabytes() const { return static_cast<double>(bytes) / nanoseconds; }
  double of_roofline() const { return least_nanoseconds / nanoseconds; }
  void add(const Row& other) {
    calls += other.calls;
    flops += other.flops;
    bytes += other.bytes;
    nanoseconds += other.nanoseconds;
    least_nanoseconds += other.least_nanoseconds;
  }
};

std::vector<Row> rows_of(const std::vector<ProfiledKernel>& kernels,
                         const std::vector<int64_t>& nanoseconds, const Roofline& roofline) {
  std::vector<Row> rows;
  std::map<std::string, size_t> by_name;
  for (size_t i = 0; i < kernels.size(); ++i) {
    const ProfiledKernel& kernel = kernels[i];
    auto time = static_cast<double>(std::max<int64_t>(nanoseconds[i], 1));
    auto [known, is_new] = by_name.try_emplace(kernel.name, rows.size());
    if (is_new)
      rows.push_back({&kernel});
    rows[known->second].add(
        {&kernel, 1, kernel.flops, kernel.bytes, time, roofline.least_nanoseconds(kernel)});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.nanoseconds > b.nanoseconds; });
  return rows;
}

Row total_of(const std::vector<Row>& rows) {
  Row total;
  for (const Row& row : rows)
    total.add(row);
  return total;
}

}  // namespace

std::vector<ProfiledKernel> kernels_of(const Module& planned, const Function& entry) {
  std::vector<ProfiledKernel> kernels;
  for (const Op& call : entry.ops) {
    if (is_view(call))
      continue;
    const Function& kernel = planned.function(call.callee);
    int64_t flops = 0;
    for (const Op& op : kernel.ops)
      flops += flops_of(kernel, op);
    kernels.push_back(
        {call.callee, kernel_place(kernel), call.phase, flops, bytes_of(entry, call)});
  }
  return kernels;
}

double Roofline::gigabytes(int64_t bytes) const {
  for (const Bandwidth& bandwidth : bandwidths)
    if (bytes <= bandwidth.bytes)
      return bandwidth.gigabytes;
  return bandwidths.back().gigabytes;
}

double Roofline::least_nanoseconds(const ProfiledKernel& kernel) const {
  return std::max(static_cast<double>(kernel.flops) / gflops,
                  static_cast<double>(kernel.bytes) / gigabytes(kernel.bytes));
}

Roofline measure_roofline(int threads) {
  Roofline roofline;
  roofline.gflops = fma_peak_gflops(threads);
  for (int64_t bytes = int64_t{32} << 10; bytes <= int64_t{128} << 20; bytes *= 8)
    roofline.bandwidths.push_back({bytes, copy_gigabytes(threads, bytes)});
  return roofline;
}

KernelClock::KernelClock(gradc_instance* instance, gradc_pool* pool, size_t kernels)
    : instance_(instance),
      pool_(pool),
      marks_(kernels + 1),
      threads_(static_cast<size_t>(gradc_pool_threads(pool))),
      least_(kernels, INT64_MAX) {
  beginning_ = now();
  gradc_set_mark(instance_, mark, this);
  gradc_set_parallel_for(instance_, parallel_for, this, gradc_pool_threads(pool));
}

KernelClock::~KernelClock() {
  gradc_set_mark(instance_, nullptr, nullptr);
  gradc_set_parallel_for(instance_, nullptr, nullptr, 0);
}

int64_t KernelClock::now() const {
  auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count() - beginning_;
}

void KernelClock::mark(void* clock, uint32_t kernel) {
  auto& self = *static_cast<KernelClock*>(clock);
  self.running_ = kernel;
  self.marks_[kernel] = self.now();
}

// Called only where there is more than one thread to share a loop.
void KernelClock::parallel_for(void* clock, int64_t count, gradc_body body, void* data) {
  struct Loop {
    KernelClock& clock;
    gradc_body body;
    void* data;
  };
  auto timed = [](void* loop, int64_t begin, int64_t end, int32_t worker) {
    auto& [self, inner, inner_data] = *static_cast<Loop*>(loop);
    int64_t start = self.now();
    inner(inner_data, begin, end, worker);
    self.threads_[static_cast<size_t>(worker)].parts.push_back(
        {start, self.now(), self.running_, worker, true});
  };
  Loop loop = {*static_cast<KernelClock*>(clock), body, data};
  gradc_pool_parallel_for(loop.clock.pool_, count, timed, &loop);
}

void KernelClock::finish_run() {
  ++runs_;
  std::vector<Span> spans;
  for (size_t i = 0; i < least_.size(); ++i) {
    least_[i] = std::min(least_[i], marks_[i + 1] - marks_[i]);
    spans.push_back({marks_[i], marks_[i + 1], static_cast<uint32_t>(i), 0, false});
  }
  for (Thread& thread : threads_) {
    spans.insert(spans.end(), thread.parts.begin(), thread.parts.end());
    thread.parts.clear();  // keeps its memory
  }
  if (latest_.size() == kKeptRuns)
    latest_.erase(latest_.begin());
  latest_.push_back(std::move(spans));
}

std::string profile_table(const std::vector<ProfiledKernel>& kernels,
                          const std::vector<int64_t>& nanoseconds, const Roofline& roofline) {
  std::vector<Row> rows = rows_of(kernels, nanoseconds, roofline);
  Row total = total_of(rows);
  size_t width = std::string_view("all kernels").size();
  for (const Row& row : rows)
    width = std::max(width, row.kernel->name.size());
  auto line = [&](const std::string& name, const Row& row, const std::string& place) {
    return fmt::format("{:<{}} {:5} {:10.2f} {:5.1f} % {:8.1f} {:6.1f} {:4.0f} % {}\n", name, width,
                       row.calls, 1e-3 * row.nanoseconds, 100 * row.nanoseconds / total.nanoseconds,
                       row.gflops(), row.gigabytes(), 100 * row.of_roofline(), place);
  };
  std::string text = fmt::format("{:<{}} calls         us   share  GFLOP/s   GB/s   roof place\n",
                                 "kernel", width);
  for (const Row& row : rows)
    text += line(row.kernel->name, row, row.kernel->place);
  text += line("all kernels", total, "");
  text += fmt::format("roof: {:.1f} GFLOP/s; copies of", roofline.gflops);
  for (const Roofline::Bandwidth& bandwidth : roofline.bandwidths)
    text += fmt::format(" {} KiB {:.1f} GB/s{}", bandwidth.bytes >> 10, bandwidth.gigabytes,
                        &bandwidth == &roofline.bandwidths.back() ? "\n" : ",");
  return text;
}

nlohmann::ordered_json profile_json(const std::vector<ProfiledKernel>& kernels,
                                    const std::vector<int64_t>& nanoseconds,
                                    const Roofline& roofline) {
  std::vector<Row> rows = rows_of(kernels, nanoseconds, roofline);
  Row total = total_of(rows);
  nlohmann::ordered_json result = nlohmann::ordered_json::array();
  for (const Row& row : rows)
    result.push_back({{"kernel", row.kernel->name},
                      {"place", row.kernel->place},
                      {"phase", name_of(row.kernel->phase)},
                      {"calls", row.calls},
                      {"flops", row.flops},
                      {"bytes", row.bytes},
                      {"us", 1e-3 * row.nanoseconds},
                      {"share", row.nanoseconds / total.nanoseconds},
                      {"gflops", row.gflops()},
                      {"gigabytes", row.gigabytes()},
                      {"fraction_of_roofline", row.of_roofline()}});
  return result;
}

nlohmann::ordered_json profile_trace(const std::string& name,
                                     const std::vector<ProfiledKernel>& kernels,
                                     const std::vector<std::vector<KernelClock::Span>>& runs) {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  auto meta = [&](const char* what, int32_t thread, const std::string& value) {
    events.push_back(
        {{"ph", "M"}, {"name", what}, {"pid", 1}, {"tid", thread}, {"args", {{"name", value}}}});
  };
  std::set<int32_t> threads = {0};
  for (const std::vector<KernelClock::Span>& run : runs)
    for (const KernelClock::Span& span : run)
      threads.insert(span.thread);
  meta("process_name", 0, name);
  for (int32_t thread : threads)
    meta("thread_name", thread, fmt::format("thread {}", thread));
  for (const std::vector<KernelClock::Span>& run : runs)
    for (const KernelClock::Span& span : run) {
      const ProfiledKernel& kernel = kernels[span.kernel];
      nlohmann::ordered_json event = {{"ph", "X"},
                                      {"name", kernel.name},
                                      {"cat", span.part ? "part" : name_of(kernel.phase)},
                                      {"pid", 1},
                                      {"tid", span.thread},
                                      {"ts", 1e-3 * static_cast<double>(span.begin)},
                                      {"dur", 1e-3 * static_cast<double>(span.end - span.begin)}};
      if (!span.part)
        event["args"] = {{"place", kernel.place}, {"flops", kernel.flops}, {"bytes", kernel.bytes}};
      events.push_back(std::move(event));
    }
  return {{"displayTimeUnit", "ns"}, {"traceEvents", std::move(events)}};
}

}  // namespace gradc
