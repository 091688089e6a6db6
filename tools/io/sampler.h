#pragma once
// The order in which training sees samples.
#include <cstdint>
#include <span>
#include <vector>

namespace gradc {

// A permutation of [0, count), one of all with equal chance, decided by seed and epoch alone.
std::vector<int64_t> shuffled(int64_t count, uint64_t seed, int64_t epoch);

// Where a run is in its data; all that a checkpoint needs to go on with the same batches.
struct DataCursor {
  uint64_t seed = 0;
  int64_t epoch = 0;
  int64_t batch = 0;  // batches of this epoch that have been handed out
};

// Batches of sample numbers, epoch after epoch, each epoch in an order of its own. The samples that
// do not fill a last batch are left out; another epoch's order takes them in.
class Sampler {
 public:
  // Fails if `count` samples do not make one batch.
  Sampler(int64_t count, int64_t batch_size, DataCursor start);

  int64_t batches_per_epoch() const { return count_ / batch_size_; }
  // The numbers of the next batch, valid until the next call. After an epoch's last, the next one
  // begins.
  std::span<const int64_t> next();
  // The place behind the last batch. At an epoch's end: the beginning of the next one.
  const DataCursor& cursor() const { return cursor_; }

 private:
  int64_t count_, batch_size_;
  DataCursor cursor_;
  std::vector<int64_t> order_;
  int64_t order_epoch_ = -1;
};

}  // namespace gradc
