#pragma once
// Memory that catches whoever leaves it: for running compiled code under test.
#include <cstddef>
#include <cstdint>

namespace gradc {

// A region aligned to GRADC_ALIGNMENT between two inaccessible pages. It ends flush at the second
// one, so a read or write past its end (rounded up to the alignment) faults at once; what lies
// between it and the pages is watched by intact(). All of it is filled with a pattern that is a NaN
// as f16, bf16, f32 and f64 and a large number as an integer, so that a read before the first write
// shows in the results.
class GuardedRegion {
 public:
  static constexpr uint16_t kPoison = 0x7ff4;

  explicit GuardedRegion(size_t bytes);
  ~GuardedRegion();
  GuardedRegion(const GuardedRegion&) = delete;
  GuardedRegion& operator=(const GuardedRegion&) = delete;

  void* data() const { return data_; }  // null if the system has no memory
  size_t size() const { return bytes_; }
  void poison();  // fills the region again
  bool intact() const;  // false if something was written beside the region

 private:
  size_t bytes_, accessible_;
  std::byte* begin_ = nullptr;  // of the accessible pages
  std::byte* data_ = nullptr;
};

}  // namespace gradc
