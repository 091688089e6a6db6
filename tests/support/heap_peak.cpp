// Takes the place of operator new and delete, as C++ allows; the forms that are not here call
// these, but sanitizers bring a nothrow form of their own. Aligned ones are not counted.
#include "tests/support/heap_peak.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

namespace {
std::atomic<int64_t> held{0}, peak{0};
}

void* operator new(size_t size) {
  void* pointer = std::malloc(size);
  if (!pointer)
    throw std::bad_alloc();
  held += static_cast<int64_t>(malloc_usable_size(pointer));
  peak = std::max<int64_t>(peak, held);
  return pointer;
}

void* operator new(size_t size, const std::nothrow_t&) noexcept {
  try {
    return operator new(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void operator delete(void* pointer) noexcept {
  held -= static_cast<int64_t>(malloc_usable_size(pointer));
  std::free(pointer);
}

void operator delete(void* pointer, size_t) noexcept {
  operator delete(pointer);
}

namespace gradc_test {

int64_t heap_bytes() {
  return held;
}

int64_t heap_peak() {
  return peak;
}

void reset_heap_peak() {
  peak = held.load();
}

}  // namespace gradc_test
