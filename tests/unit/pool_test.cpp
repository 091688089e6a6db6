#include "runtime/pool.h"

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <numeric>
#include <thread>
#include <vector>

namespace {

struct PoolDeleter {
  void operator()(gradc_pool* pool) const { gradc_pool_destroy(pool); }
};
using Pool = std::unique_ptr<gradc_pool, PoolDeleter>;
Pool make_pool(int32_t threads) {
  return Pool(gradc_pool_create(threads));
}

struct Range {
  int64_t begin, end;
  int32_t worker;
};

// The ranges that a loop was cut into, by worker.
std::vector<Range> ranges_of(gradc_pool* pool, int32_t threads, int64_t count) {
  struct Log {
    std::mutex mutex;
    std::vector<Range> ranges;
  } log;
  gradc::parallel_for(
      pool, threads, count,
      [](void* data, int64_t begin, int64_t end, int32_t worker) {
        auto& to = *static_cast<Log*>(data);
        std::lock_guard lock(to.mutex);
        to.ranges.push_back({begin, end, worker});
      },
      &log);
  std::sort(log.ranges.begin(), log.ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  return log.ranges;
}

// Adds 1 to each element of its range, without atomics: a race or a lost index shows.
void increment(void* data, int64_t begin, int64_t end, int32_t) {
  for (int64_t i = begin; i < end; ++i)
    ++static_cast<int32_t*>(data)[i];
}

}  // namespace

TEST_CASE("the ranges of a loop cover it once, by workers below their number", "[pool]") {
  Pool pool = make_pool(4);
  REQUIRE(gradc_pool_threads(pool.get()) == 4);
  for (int32_t threads : {1, 2, 3, 4, 9})
    for (int64_t count : {0, 1, 2, 3, 4, 5, 7, 8, 1000, 1003}) {
      std::vector<Range> ranges = ranges_of(pool.get(), threads, count);
      int64_t next = 0;
      for (const Range& range : ranges) {
        CHECK(range.begin == next);
        CHECK(range.end > range.begin);
        CHECK(range.worker >= 0);
        CHECK(range.worker < std::min(threads, 4));
        next = range.end;
      }
      CHECK(next == count);
    }
}

TEST_CASE("who has finished takes over what a slow worker has not begun", "[pool]") {
  Pool pool = make_pool(2);
  struct Loop {
    std::atomic<bool> worker_began{false};
    std::atomic<int> by_caller{0}, by_worker{0};
  } loop;
  gradc_pool_parallel_for(
      pool.get(), 16,
      [](void* data, int64_t begin, int64_t end, int32_t worker) {
        auto& of = *static_cast<Loop*>(data);
        (worker == 0 ? of.by_caller : of.by_worker) += static_cast<int>(end - begin);
        if (worker == 1) {
          of.worker_began = true;
          while (of.by_caller + of.by_worker < 16)
            std::this_thread::yield();
        }
        while (!of.worker_began)
          std::this_thread::yield();
      },
      &loop);
  CHECK(loop.by_worker == 1);
  CHECK(loop.by_caller == 15);
}

TEST_CASE("a worker that does not come is not waited for", "[pool]") {
  Pool pool = make_pool(8);  // more than there are cores: some sleep through these loops
  std::vector<int32_t> values(64);
  for (int loop = 0; loop < 3000; ++loop)
    gradc_pool_parallel_for(pool.get(), 64, increment, values.data());
  CHECK(std::all_of(values.begin(), values.end(), [](int32_t value) { return value == 3000; }));
}

TEST_CASE("range bounds do not overflow", "[pool]") {
  CHECK(gradc::part_begin(INT64_MAX, 7, 7) == INT64_MAX);
  CHECK(gradc::part_begin(INT64_MAX, INT32_MAX, INT32_MAX) == INT64_MAX);
}

TEST_CASE("zero threads means one per available core; a null pool runs on the caller", "[pool]") {
  Pool pool = make_pool(0);
  CHECK(gradc_pool_threads(pool.get()) >= 1);
  CHECK(gradc_pool_threads(nullptr) == 1);
  int32_t values[3] = {};
  gradc_pool_parallel_for(nullptr, 3, increment, values);
  CHECK(std::accumulate(values, values + 3, 0) == 3);
}

TEST_CASE("many short loops in a row, hot and after sleeping", "[pool]") {
  Pool pool = make_pool(3);
  std::vector<int32_t> values(64);
  constexpr int kLoops = 2000, kPauses = 5;
  for (int pause = 0; pause < kPauses; ++pause) {
    for (int loop = 0; loop < kLoops; ++loop)
      gradc_pool_parallel_for(pool.get(), 64, increment, values.data());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));  // the workers fall asleep
  }
  for (int32_t value : values)
    CHECK(value == kLoops * kPauses);
}

TEST_CASE("a caller that finishes first sleeps until a slow worker is done", "[pool]") {
  Pool pool = make_pool(2);
  struct Loop {
    std::atomic<bool> worker_began{false};
    std::atomic<int> finished{0};
  } loop;
  gradc_pool_parallel_for(
      pool.get(), 2,
      [](void* data, int64_t, int64_t, int32_t worker) {
        auto& of = *static_cast<Loop*>(data);
        if (worker == 1) {
          of.worker_began = true;
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        while (!of.worker_began)
          std::this_thread::yield();
        ++of.finished;
      },
      &loop);
  CHECK(loop.finished == 2);
}

TEST_CASE("nested loops run inside of their worker", "[pool]") {
  Pool pool = make_pool(3);
  struct Grid {
    gradc_pool* pool;
    int32_t cells[6][10] = {};
    std::atomic<int> strayed{0};
  } grid{pool.get()};
  struct Row {
    Grid* grid;
    int64_t row;
    int32_t worker;
  };
  gradc_pool_parallel_for(
      pool.get(), 6,
      [](void* data, int64_t begin, int64_t end, int32_t worker) {
        auto& outer = *static_cast<Grid*>(data);
        for (int64_t i = begin; i < end; ++i) {
          Row row = {&outer, i, worker};
          gradc_pool_parallel_for(
              outer.pool, 10,
              [](void* row_data, int64_t from, int64_t to, int32_t inner) {
                auto& at = *static_cast<Row*>(row_data);
                if (inner != at.worker)
                  ++at.grid->strayed;
                for (int64_t j = from; j < to; ++j)
                  ++at.grid->cells[at.row][j];
              },
              &row);
        }
      },
      &grid);
  CHECK(grid.strayed == 0);
  for (auto& row : grid.cells)
    for (int32_t cell : row)
      CHECK(cell == 1);
}

TEST_CASE("several threads share a pool without waiting for each other", "[pool]") {
  Pool pool = make_pool(2);
  constexpr int kCallers = 3, kLoops = 1000;
  std::vector<std::vector<int32_t>> values(kCallers, std::vector<int32_t>(32));
  std::vector<std::thread> callers;
  for (int i = 0; i < kCallers; ++i)
    callers.emplace_back([&, i] {
      for (int loop = 0; loop < kLoops; ++loop)
        gradc_pool_parallel_for(pool.get(), 32, increment, values[i].data());
    });
  for (std::thread& caller : callers)
    caller.join();
  for (const auto& mine : values)
    for (int32_t value : mine)
      CHECK(value == kLoops);
}

TEST_CASE("pools come and go", "[pool]") {
  for (int i = 0; i < 50; ++i) {
    Pool pool = make_pool(1 + i % 4);
    std::vector<int32_t> values(16);
    gradc_pool_parallel_for(pool.get(), 16, increment, values.data());
    CHECK(std::accumulate(values.begin(), values.end(), 0) == 16);
  }
}
