#pragma once
// A hash of text that is the same on every machine: FNV-1a (Fowler, Noll, Vo), 64 bits.
#include <cstdint>
#include <string_view>

namespace gradc {

inline uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (char c : text)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

}  // namespace gradc
