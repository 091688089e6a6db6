#pragma once
// How lowerings cut a loop into parts, and open a loop over these.
#include <string>
#include <vector>

#include "ir/loop_builder.h"

namespace gradc {

// `count` parts of `size` from `start` on.
struct Segment {
  int64_t start = 0, size = 0, count = 0;
};

// `extent` in `parts` parts that differ by one at most, the larger ones first.
std::vector<Segment> segments(int64_t extent, int64_t parts);

// `extent` in parts of `size`, the last one smaller.
std::vector<Segment> blocks_of(int64_t extent, int64_t size);

// The same parts; the first one, and the last one, is a segment of its own where that is wished.
std::vector<Segment> with_ends_apart(std::vector<Segment> parts, bool first, bool last);

// `columns` in panels of at most `vectors` whole vectors, of nearly equal size; the last one may
// end in a part of a vector. For several threads their number is one that these can share evenly,
// where panels stay wider than one vector.
std::vector<Segment> vector_panels(int64_t columns, int64_t lanes, int64_t vectors,
                                   int64_t threads = 1);

// Appends what body(first element of a part, number of the part) appends, in a loop over the parts
// where there are several.
template <typename Body>
void for_parts(loop::Builder& b, const Segment& segment, Body body,
               loop::LoopKind kind = loop::LoopKind::serial, const std::string& hint = "i") {
  loop::Scalar i = b.index(0);
  if (segment.count > 1)
    i = b.begin_for(kind, segment.count, {}, {}, hint)[0];
  body(b.add(b.index(segment.start), b.scaled(i, segment.size)), i);
  if (segment.count > 1)
    b.end_for();
}

}  // namespace gradc
