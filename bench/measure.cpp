#include "bench/measure.h"

#include <sys/mman.h>

#include <algorithm>
#include <ctime>
#include <new>

namespace gradc::bench {

double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

void run_serially(void*, int64_t count, gradc_body body, void* data) {
  body(data, 0, count, 0);
}

Buffer::Buffer(size_t bytes) : bytes_(std::max<size_t>(bytes, 64)) {
  void* data = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED)
    throw std::bad_alloc();
  madvise(data, bytes_, MADV_HUGEPAGE);
  data_ = std::unique_ptr<void, Unmap>(data, Unmap{bytes_});
}

void Buffer::Unmap::operator()(void* data) const {
  munmap(data, bytes);
}

}  // namespace gradc::bench
