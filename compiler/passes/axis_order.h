#pragma once
// Lists that have one entry per axis, where entry i of the new one is entry order[i] of the old.
#include <vector>

#include "ir/module.h"

namespace gradc {

inline std::vector<int64_t> reordered(const std::vector<int64_t>& list,
                                      const std::vector<int64_t>& order) {
  std::vector<int64_t> result;
  for (int64_t axis : order)
    result.push_back(list[static_cast<size_t>(axis)]);
  return result;
}

// Of attributes whose lists all have one entry per axis.
inline Attrs reordered(const Attrs& attrs, const std::vector<int64_t>& order) {
  Attrs result = attrs;
  for (const auto& [key, attr] : attrs)
    if (const auto* list = std::get_if<std::vector<int64_t>>(&attr))
      result.set(key, reordered(*list, order));
  return result;
}

}  // namespace gradc
