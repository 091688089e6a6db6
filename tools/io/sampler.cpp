#include "tools/io/sampler.h"

#include <numeric>
#include <utility>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

// SplitMix64 (Steele, Lea, Flood 2014): the i-th number is a hash of key + i steps.
class Random {
 public:
  explicit Random(uint64_t key) : state_(key) {}

  uint64_t next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
  }

  // A number below `bound`, all with equal chance (Lemire 2019).
  uint64_t below(uint64_t bound) {
    while (true) {
      auto product = static_cast<unsigned __int128>(next()) * bound;
      if (static_cast<uint64_t>(product) >= -bound % bound)
        return static_cast<uint64_t>(product >> 64);
    }
  }

 private:
  uint64_t state_;
};

}  // namespace

std::vector<int64_t> shuffled(int64_t count, uint64_t seed, int64_t epoch) {
  // Seeds and epochs that lie close must not give shifted copies of one sequence: hash one, then
  // the other.
  Random random(Random(Random(seed).next() + static_cast<uint64_t>(epoch)).next());
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (size_t i = order.size(); i > 1; --i)  // Fisher-Yates
    std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

Sampler::Sampler(int64_t count, int64_t batch_size, DataCursor start)
    : count_(count), batch_size_(batch_size), cursor_(start) {
  if (batch_size < 1 || count < batch_size)
    fail("a batch of {} cannot be made of {} samples", batch_size, count);
  if (start.epoch < 0 || start.batch < 0 || start.batch >= batches_per_epoch())
    fail("batch {} of epoch {} does not exist: an epoch of this data set has {}", start.batch,
         start.epoch, batches_per_epoch());
}

std::span<const int64_t> Sampler::next() {
  if (order_epoch_ != cursor_.epoch) {
    order_ = shuffled(count_, cursor_.seed, cursor_.epoch);
    order_epoch_ = cursor_.epoch;
  }
  auto begin = static_cast<size_t>(cursor_.batch * batch_size_);
  auto batch = std::span(order_).subspan(begin, static_cast<size_t>(batch_size_));
  if (++cursor_.batch == batches_per_epoch()) {
    ++cursor_.epoch;
    cursor_.batch = 0;
  }
  return batch;
}

}  // namespace gradc
