#pragma once
// Which value each byte of a region holds: the memory of the plan checker.
#include <cstdint>
#include <map>
#include <optional>

namespace gradc {

class ByteMap {
 public:
  using Tag = int64_t;
  static constexpr Tag kUnwritten = -1;

  void write(int64_t begin, int64_t end, Tag tag) {
    if (begin == end)
      return;
    split(begin);
    split(end);
    pieces_.erase(pieces_.lower_bound(begin), pieces_.lower_bound(end));
    pieces_[begin] = tag;
  }

  // The tag of the first byte in [begin, end) that does not hold `tag`.
  std::optional<Tag> other_than(int64_t begin, int64_t end, Tag tag) const {
    if (begin == end)
      return std::nullopt;
    auto piece = std::prev(pieces_.upper_bound(begin));
    for (; piece != pieces_.end() && piece->first < end; ++piece)
      if (piece->second != tag)
        return piece->second;
    return std::nullopt;
  }

 private:
  void split(int64_t at) {
    auto piece = std::prev(pieces_.upper_bound(at));
    pieces_.try_emplace(at, piece->second);
  }

  // Start of each piece, up to the start of the next.
  std::map<int64_t, Tag> pieces_ = {{INT64_MIN, kUnwritten}};
};

}  // namespace gradc
