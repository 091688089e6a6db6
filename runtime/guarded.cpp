#include "runtime/guarded.h"

#include <sys/mman.h>
#include <unistd.h>

#include "runtime/gradc_runtime.h"

namespace gradc {
namespace {

size_t page() {
  return static_cast<size_t>(sysconf(_SC_PAGESIZE));
}
size_t round_up(size_t bytes, size_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

std::byte pattern(size_t i) {
  return static_cast<std::byte>(GuardedRegion::kPoison >> (8 * (i % 2)));
}

}  // namespace

GuardedRegion::GuardedRegion(size_t bytes) : bytes_(bytes), accessible_(round_up(bytes, page())) {
  size_t all = accessible_ + 2 * page();
  void* region = mmap(nullptr, all, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (region == MAP_FAILED)
    return;
  begin_ = static_cast<std::byte*>(region) + page();
  data_ = begin_ + accessible_ - round_up(bytes, GRADC_ALIGNMENT);
  if (accessible_ > 0 && mprotect(begin_, accessible_, PROT_READ | PROT_WRITE) != 0) {
    munmap(region, all);
    begin_ = data_ = nullptr;
    return;
  }
  for (size_t i = 0; i < accessible_; ++i)
    begin_[i] = pattern(i);
}

GuardedRegion::~GuardedRegion() {
  if (begin_)
    munmap(begin_ - page(), accessible_ + 2 * page());
}

void GuardedRegion::poison() {
  auto offset = static_cast<size_t>(data_ - begin_);
  for (size_t i = 0; i < bytes_; ++i)
    data_[i] = pattern(offset + i);
}

bool GuardedRegion::intact() const {
  auto offset = static_cast<size_t>(data_ - begin_);
  for (size_t i = 0; i < accessible_; ++i)
    if ((i < offset || i >= offset + bytes_) && begin_[i] != pattern(i))
      return false;
  return true;
}

}  // namespace gradc
