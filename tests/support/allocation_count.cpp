// Takes the place of glibc's malloc family for the whole binary. glibc documents such a replacement
// ("Replacing malloc"); the real one stays reachable under its internal names. operator new calls
// malloc.
#include "tests/support/allocation_count.h"

#include <atomic>
#include <cerrno>
#include <cstddef>

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
}

namespace {
std::atomic<int64_t> count{0};
}

extern "C" {

void* malloc(size_t size) {
  ++count;
  return __libc_malloc(size);
}

void* calloc(size_t members, size_t size) {
  ++count;
  return __libc_calloc(members, size);
}

void* realloc(void* pointer, size_t size) {
  ++count;
  return __libc_realloc(pointer, size);
}

void* memalign(size_t alignment, size_t size) {
  ++count;
  return __libc_memalign(alignment, size);
}

void* aligned_alloc(size_t alignment, size_t size) {
  return memalign(alignment, size);
}

int posix_memalign(void** out, size_t alignment, size_t size) {
  *out = memalign(alignment, size);
  return *out ? 0 : ENOMEM;
}

}  // extern "C"

namespace gradc_test {
int64_t allocations() {
  return count;
}
}  // namespace gradc_test
