#include <catch2/catch.hpp>
#include <random>

#include "compiler/kernel.h"
#include "compiler/plan/core/offset_search.h"
#include "compiler/plan/core/offsets.h"
#include "compiler/plan/core/random.h"

using namespace gradc;

namespace {

void check_no_overlap(const std::vector<Buffer>& buffers, const std::vector<int64_t>& at,
                      int64_t arena) {
  for (size_t i = 0; i < buffers.size(); ++i) {
    CHECK(at[i] >= 0);
    CHECK(at[i] % kAlignment == 0);
    CHECK(at[i] + buffers[i].bytes <= arena);
    for (size_t j = 0; j < i; ++j) {
      bool together = buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last;
      bool overlap = at[i] < at[j] + buffers[j].bytes && at[j] < at[i] + buffers[i].bytes;
      CHECK_FALSE((together && overlap));
    }
  }
}

// Cuts a full rectangle of bytes and steps into pieces, so that the best arena is known: its
// height.
std::vector<Buffer> cut_rectangle(uint32_t seed, int64_t height, int steps, int pieces) {
  struct Piece {
    int64_t low, high;
    int first, last;
  };
  std::mt19937 random(seed);
  std::vector<Piece> cut = {{0, height / 64, 0, steps - 1}};
  for (int tries = 0; static_cast<int>(cut.size()) < pieces && tries < 100 * pieces; ++tries) {
    Piece& piece = cut[random() % cut.size()];
    Piece rest = piece;
    if (random() % 2 == 0 && piece.high - piece.low > 1) {
      rest.low = piece.high =
          piece.low + 1 + static_cast<int64_t>(random() % (piece.high - piece.low - 1));
    } else if (piece.last > piece.first) {
      piece.last = piece.first + static_cast<int>(random() % (piece.last - piece.first));
      rest.first = piece.last + 1;
    } else {
      continue;
    }
    cut.push_back(rest);
  }
  std::vector<Buffer> buffers;
  for (const Piece& piece : cut)
    buffers.push_back({64 * (piece.high - piece.low), piece.first, piece.last});
  std::shuffle(buffers.begin(), buffers.end(), random);
  return buffers;
}

std::vector<std::vector<int>> conflicts_of(const std::vector<Buffer>& buffers) {
  std::vector<std::vector<int>> conflicts(buffers.size());
  for (int i = 0; i < static_cast<int>(buffers.size()); ++i)
    for (int j = 0; j < static_cast<int>(buffers.size()); ++j)
      if (i != j && buffers[i].first <= buffers[j].last && buffers[j].first <= buffers[i].last)
        conflicts[i].push_back(j);
  return conflicts;
}

}  // namespace

TEST_CASE("buffers that live together do not overlap", "[offsets]") {
  CHECK(place_buffers({}).bytes == 0);
  for (uint32_t seed = 0; seed < 50; ++seed) {
    CAPTURE(seed);
    std::vector<Buffer> buffers = cut_rectangle(seed, 64 * 40, 20, 24);
    buffers.push_back({0, 3, 9});
    Offsets offsets = place_buffers(buffers);
    CHECK(offsets.bytes == 64 * 40);
    check_no_overlap(buffers, offsets.at, offsets.bytes);
  }
}

TEST_CASE("many buffers that meet where few bytes are live do not overlap", "[offsets]") {
  // Full rectangles side by side, and buffers that reach from one into the next, over steps in
  // between in which little else is live.
  constexpr int kSteps = 40, kRectangles = 12;
  constexpr int64_t kHeight = 64 * 64;
  for (uint32_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    std::vector<Buffer> buffers;
    for (int r = 0; r < kRectangles; ++r)
      for (Buffer buffer : cut_rectangle(seed * kRectangles + r, kHeight, kSteps, 40)) {
        if (buffer.first == 0 && buffer.bytes <= kHeight / 8 && r > 0)
          buffer.first = -4;
        if (buffer.last == kSteps - 1 && buffer.bytes <= kHeight / 8 && r + 1 < kRectangles)
          buffer.last += 4;
        int start = r * (kSteps + 6);
        buffers.push_back({buffer.bytes, start + buffer.first, start + buffer.last});
      }
    Offsets offsets = place_buffers(buffers, 10'000'000);
    check_no_overlap(buffers, offsets.at, offsets.bytes);
  }
}

TEST_CASE("the search finds packings without a hole", "[offsets]") {
  int found = 0;
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::vector<Buffer> buffers = cut_rectangle(seed, 64 * 30, 16, 16);
    std::vector<std::vector<int>> conflicts = conflicts_of(buffers);
    auto at = OffsetSearch(buffers, conflicts, 64 * 30).run(50'000);
    if (!at)
      continue;
    ++found;
    check_no_overlap(buffers, *at, 64 * 30);
    CHECK_FALSE(OffsetSearch(buffers, conflicts, 64 * 29).run(1000).has_value());
  }
  CHECK(found == 50);
}

TEST_CASE("a search goes on from the lessons of another", "[offsets]") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    std::vector<Buffer> buffers = cut_rectangle(seed, 64 * 30, 16, 16);
    std::vector<std::vector<int>> conflicts = conflicts_of(buffers);
    OffsetSearch first(buffers, conflicts, 64 * 29);
    CHECK_FALSE(first.run(20'000).has_value());
    REQUIRE(first.lessons().size() == buffers.size());
    auto at = OffsetSearch(buffers, conflicts, 64 * 30, first.lessons()).run(200'000);
    REQUIRE(at);
    check_no_overlap(buffers, *at, 64 * 30);
  }
}

TEST_CASE("hundreds of buffers, many of them long, fit a little above what is live", "[offsets]") {
  constexpr int kSteps = 500;
  int greedily = 0, exact = 0, near = 0;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    CAPTURE(seed);
    Random random(seed);
    std::vector<Buffer> buffers;
    for (int step = 0; step < kSteps; ++step) {
      size_t longest = random.below(4) == 0 ? 120 : 40;
      int last = std::min(kSteps - 1, step + static_cast<int>(random.below(longest)));
      buffers.push_back({64 * static_cast<int64_t>(1 + random.below(100)), step, last});
    }
    int64_t live = most_live(buffers), above = live + live / 200;
    greedily += place_within(buffers, INT64_MAX, 0).bytes == live;
    exact += place_within(buffers, live, 60'000'000).bytes == live;
    Offsets offsets = place_within(buffers, above, 60'000'000);
    check_no_overlap(buffers, offsets.at, offsets.bytes);
    near += offsets.bytes <= above;
  }
  CHECK(greedily == 0);
  CHECK(exact >= 8);
  CHECK(near >= 9);
}

TEST_CASE("what is live at the peak is placed before the rest", "[offsets]") {
  // Long beside it, with little alive, so that the search is not led there.
  std::vector<Buffer> buffers = cut_rectangle(7, 64 * 60, 30, 40);
  for (int step = 30; step < 500; ++step)
    buffers.push_back({64 * (1 + step * 7 % 11), step, std::min(499, step + 1 + step % 5)});
  Offsets offsets = place_buffers(buffers);
  CHECK(offsets.bytes == 64 * 60);
  check_no_overlap(buffers, offsets.at, offsets.bytes);
}
