// Orders of kernels against a search over all orders.
#include <catch2/catch.hpp>
#include <random>

#include "bench/least_peak.h"
#include "compiler/plan/core/order.h"
#include "tests/support/exact_plan.h"
#include "tests/support/random_problems.h"

using namespace gradc;
using namespace gradc_test;

namespace {

// A network of cells: branches of a few kernels from one value, joined into the next; some join
// late, as a skip does. Every product has a factor made of parameters, given before all else.
class Branches {
 public:
  explicit Branches(uint32_t seed) : random_(seed) {
    for (int i = 0; i < 40; ++i)
      factors_.push_back(kernel({}, 64));
    int x = kernel({}, bytes());
    std::vector<int> skips;
    while (next_factor_ < 30) {
      std::vector<int> ends;
      for (int branch = 1 + below(4); branch > 0; --branch) {
        int end = x;
        for (int depth = 1 + below(3); depth > 0; --depth)
          end = kernel({end, factors_[next_factor_++ % factors_.size()]}, bytes());
        ends.push_back(end);
      }
      if (!skips.empty() && below(2) == 0) {
        ends.push_back(skips.back());
        skips.pop_back();
      }
      x = kernel(ends, bytes());
      if (below(3) == 0)
        skips.push_back(x);
    }
  }

  Problem problem;

 private:
  int below(int bound) { return static_cast<int>(random_() % static_cast<uint32_t>(bound)); }
  int64_t bytes() { return int64_t{4096} * (1 + below(16)); }

  // Its value has its number.
  int kernel(std::vector<int> reads, int64_t bytes) {
    int number = problem.kernel_count();
    PlanKernel kernel{.cost = 10};
    if (!reads.empty() && bytes > 64)
      kernel.workspace = int64_t{1024} * below(4);
    kernel.after = reads;
    kernel.reads = std::move(reads);
    kernel.writes = {number};
    for (int read : kernel.reads)
      if (problem.values[read].bytes == bytes)
        kernel.inplace.emplace_back(read, number);
    problem.kernels.push_back(std::move(kernel));
    problem.values.push_back({bytes, {number}});
    return number;
  }

  std::mt19937 random_;
  std::vector<int> factors_;
  size_t next_factor_ = 0;
};

}  // namespace

TEST_CASE("no order of a small graph has a lower peak than the search finds", "[order]") {
  int recomputing = 0;
  for (uint32_t seed = 0; seed < 200; ++seed) {
    Problem problem = random_graph(seed, 8);
    for (PlanKernel& kernel : problem.kernels)
      kernel.rerun_bytes = 0;
    bench::LeastPeak least = bench::least_peak(problem, SIZE_MAX);
    CAPTURE(seed, least.peak);
    CHECK(least.exact);
    CHECK(evaluate(problem, least.order).peak == least.peak);
    CHECK(exact_cost(problem, least.peak) == problem.base_cost());
    std::optional<int64_t> below = exact_cost(problem, least.peak - 1);
    CHECK(below.value_or(INT64_MAX) > problem.base_cost());
    recomputing += below.has_value();
  }
  CHECK(recomputing > 10);
}

TEST_CASE("orders of branchy graphs have the least peak there is", "[order]") {
  int waiting = 0;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    Problem problem = Branches(seed).problem;
    int64_t ours = evaluate(problem, order_kernels(problem)).peak;
    bench::LeastPeak least = bench::least_peak(problem, 20000);
    CAPTURE(seed, ours, least.peak);
    REQUIRE(least.exact);
    CHECK(ours == least.peak);
    waiting += ours < evaluate(problem, given_order(problem)).peak;
  }
  CHECK(waiting > 20);
}

TEST_CASE("wide graphs are searched in little time", "[order]") {
  // Values of 64 branches that all wait for one another: sets of them are without number.
  Problem problem;
  std::vector<int> ends;
  auto kernel = [&](std::vector<int> reads, int64_t bytes) {
    int number = problem.kernel_count();
    problem.kernels.push_back({.reads = reads, .writes = {number}, .after = reads});
    problem.values.push_back({bytes, {number}});
    return number;
  };
  int x = kernel({}, 64);
  for (int branch = 0; branch < 64; ++branch) {
    int end = x;
    for (int depth = 0; depth < 16; ++depth)
      end = kernel({end}, 64 * (1 + (branch * 7 + depth * 11) % 13));
    ends.push_back(end);
  }
  kernel(ends, 64);
  Schedule order = order_kernels(problem);
  CHECK(order.size() == problem.kernels.size());
  CHECK(evaluate(problem, order).peak < evaluate(problem, given_order(problem)).peak);
}
