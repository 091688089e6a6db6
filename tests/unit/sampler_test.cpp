#include "tools/io/sampler.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <set>
#include <vector>

#include "tests/support/data_files.h"

using namespace gradc;
using gradc_test::user_error;

TEST_CASE("an epoch's order is a permutation that seed and epoch decide", "[sampler]") {
  for (int64_t count : {0, 1, 2, 7, 1000}) {
    std::vector<int64_t> order = shuffled(count, 1, 0);
    CHECK(order == shuffled(count, 1, 0));
    std::sort(order.begin(), order.end());
    for (int64_t i = 0; i < count; ++i)
      REQUIRE(order[static_cast<size_t>(i)] == i);
  }
  std::set<std::vector<int64_t>> orders;
  for (uint64_t seed = 0; seed < 20; ++seed)
    for (int64_t epoch = 0; epoch < 20; ++epoch)
      orders.insert(shuffled(100, seed, epoch));
  CHECK(orders.size() == 400);
}

TEST_CASE("all orders are equally likely", "[sampler]") {
  std::map<std::vector<int64_t>, int> seen;
  constexpr int kDraws = 24000;
  for (int64_t epoch = 0; epoch < kDraws; ++epoch)
    ++seen[shuffled(4, 5, epoch)];
  REQUIRE(seen.size() == 24);
  double chi_squared = 0, expected = kDraws / 24.0;
  for (const auto& [order, times] : seen)
    chi_squared += (times - expected) * (times - expected) / expected;
  CHECK(chi_squared < 49.7);  // 23 degrees of freedom, 0.1 %
}

TEST_CASE("batches cover an epoch without repeats and leave out the rest", "[sampler]") {
  Sampler sampler(10, 3, {.seed = 4});
  REQUIRE(sampler.batches_per_epoch() == 3);
  for (int64_t epoch = 0; epoch < 3; ++epoch) {
    std::set<int64_t> seen;
    for (int64_t batch = 0; batch < 3; ++batch) {
      CHECK(sampler.cursor().epoch == epoch);
      CHECK(sampler.cursor().batch == batch);
      for (int64_t sample : sampler.next())
        seen.insert(sample);
    }
    CHECK(seen.size() == 9);
  }
}

TEST_CASE("a sampler goes on from any cursor with the same batches", "[sampler]") {
  Sampler whole(11, 2, {.seed = 9});
  for (int step = 0; step < 23; ++step) {
    Sampler resumed(11, 2, whole.cursor());
    auto expected = whole.next(), batch = resumed.next();
    CHECK(std::equal(batch.begin(), batch.end(), expected.begin(), expected.end()));
    CHECK(resumed.cursor().epoch == whole.cursor().epoch);
    CHECK(resumed.cursor().batch == whole.cursor().batch);
  }
}

TEST_CASE("batches and cursors that cannot be are errors", "[sampler]") {
  CHECK(user_error([] { Sampler(3, 4, {}); }) == "error: a batch of 4 cannot be made of 3 samples");
  CHECK(user_error([] { Sampler(3, 0, {}); }) == "error: a batch of 0 cannot be made of 3 samples");
  CHECK(user_error([] { Sampler(10, 3, {.seed = 0, .epoch = 2, .batch = 3}); }) ==
        "error: batch 3 of epoch 2 does not exist: an epoch of this data set has 3");
  CHECK(user_error([] { Sampler(10, 3, {.seed = 0, .epoch = -1, .batch = 0}); }) != "");
}
