#include "compiler/lower/segments.h"

#include "ir/integer_math.h"

namespace gradc {

std::vector<Segment> segments(int64_t extent, int64_t parts) {
  int64_t size = extent / parts, larger = extent % parts;
  std::vector<Segment> result;
  if (larger > 0)
    result.push_back({0, size + 1, larger});
  if (larger < parts && size > 0)
    result.push_back({larger * (size + 1), size, parts - larger});
  return result;
}

std::vector<Segment> blocks_of(int64_t extent, int64_t size) {
  std::vector<Segment> blocks;
  if (extent >= size)
    blocks.push_back({0, size, extent / size});
  if (extent % size > 0)
    blocks.push_back({extent / size * size, extent % size, 1});
  return blocks;
}

std::vector<Segment> with_ends_apart(std::vector<Segment> parts, bool first, bool last) {
  if (Segment& part = parts.front(); first && part.count > 1) {
    Segment begin{part.start, part.size, 1};
    part = {part.start + part.size, part.size, part.count - 1};
    parts.insert(parts.begin(), begin);
  }
  if (Segment& part = parts.back(); last && part.count > 1) {
    --part.count;
    parts.push_back({part.start + part.count * part.size, part.size, 1});
  }
  return parts;
}

std::vector<Segment> vector_panels(int64_t columns, int64_t lanes, int64_t vectors,
                                   int64_t threads) {
  int64_t all = ceil_div(columns, lanes), count = ceil_div(all, vectors);
  if (int64_t even = round_up(count, threads); count > 1 && all / even > 1)
    count = even;
  std::vector<Segment> panels;
  for (Segment panel : segments(all, count))
    panels.push_back({panel.start * lanes, panel.size * lanes, panel.count});
  Segment& last = panels.back();
  if (int64_t missing = all * lanes - columns; missing > 0) {
    Segment partial{columns - (last.size - missing), last.size - missing, 1};
    if (--last.count == 0)
      panels.pop_back();
    panels.push_back(partial);
  }
  return panels;
}

}  // namespace gradc
