// RotaryEmbedding: pairs of each head's elements turned by angles that depend on the position.
#include "compiler/import/onnx/node_shapes.h"
#include "compiler/import/onnx/onnx_nodes.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {
namespace {

constexpr int64_t kElements = 3;  // the axis of a head's elements

ValueId joined(NodeContext& c, const std::vector<ValueId>& parts) {
  int64_t last = c.b.type(parts[0]).rank() - 1;
  return c.b.op(Opcode::concat, parts, {{"axis", last}});
}

// x [batch, positions, heads, size], from [batch, heads, positions, size] or
// [batch, positions, heads * size].
ValueId heads_last(NodeContext& c, int64_t heads) {
  Dims dims = c.dims(0);
  if (dims.size() == 4)
    return c.b.transpose(c.tensor(0), {0, 2, 1, 3});
  if (dims.size() != 3 || heads < 1 || dims[2] % heads != 0)
    fail("the input is {}; it must have four axes, or three and a last one of num_heads parts",
         to_string(c.type(0)));
  return c.b.reshape(c.tensor(0), {dims[0], dims[1], heads, dims[2] / heads});
}

// Input i for each pair of elements, as `dims` [batch, positions, heads, pairs]: a row for each
// position, or, where the fourth input has the numbers of the positions, the row of that number.
ValueId angles(NodeContext& c, size_t i, const Dims& dims) {
  ValueId rows = c.tensor(i);
  if (c.has(3) && c.rank(i) == 2)
    rows = c.b.op(Opcode::gather, {rows, c.tensor(3)}, {{"axis", int64_t{0}}});
  Dims found = c.b.dims(rows);
  bool fits = found.size() == 3 && (found[0] == dims[0] || found[0] == 1) && found[1] == dims[1] &&
              found[2] == dims[3];
  if (!fits)
    fail("input {} is {}{}, it does not give {} angles to {} positions", i, to_string(c.type(i)),
         c.has(3) ? " and the positions " + to_string(c.type(3)) : "", dims[3], dims[1]);
  return c.b.broadcast_to(c.b.reshape(rows, {found[0], found[1], 1, found[2]}), dims);
}

// Each pair (x, y) becomes (x cos - y sin, x sin + y cos). Pairs are neighbours where they are
// interleaved, else element i is with the one half of the turned part behind it.
void rotary_embedding_node(NodeContext& c) {
  require_float(c, 0);
  bool interleaved = c.flag("interleaved");
  int64_t turned = c.attribute("rotary_embedding_dim", int64_t{0});
  ValueId whole = heads_last(c, c.attribute("num_heads", int64_t{0}));
  Dims dims = c.b.dims(whole);
  int64_t size = dims.back();
  if (turned == 0)
    turned = size;
  if (turned < 2 || turned > size || turned % 2 != 0)
    fail("{} elements of a head are to be turned, it has {}: they must be pairs of these", turned,
         size);
  Dims pairs = dims;
  pairs.back() = turned / 2;
  int64_t half = turned / 2;
  ValueId x = interleaved ? slice_along(c.b, whole, kElements, 0, turned, 2)
                          : slice_along(c.b, whole, kElements, 0, half);
  ValueId y = interleaved ? slice_along(c.b, whole, kElements, 1, turned, 2)
                          : slice_along(c.b, whole, kElements, half, turned);
  ValueId cos = angles(c, 1, pairs), sin = angles(c, 2, pairs);
  ValueId new_x = c.b.sub(c.b.mul(x, cos), c.b.mul(y, sin));
  ValueId new_y = c.b.add(c.b.mul(x, sin), c.b.mul(y, cos));
  if (interleaved) {
    Dims alone = pairs;
    alone.push_back(1);
    ValueId both = joined(c, {c.b.reshape(new_x, alone), c.b.reshape(new_y, alone)});
    pairs.back() = turned;
    new_x = c.b.reshape(both, pairs);
  } else {
    new_x = joined(c, {new_x, new_y});
  }
  ValueId result =
      turned < size ? joined(c, {new_x, slice_along(c.b, whole, kElements, turned, size)}) : new_x;
  c.result(c.rank(0) == 4 ? c.b.transpose(result, {0, 2, 1, 3}) : c.b.reshape(result, c.dims(0)));
}

constexpr NodeRule kRules[] = {
    {.op = "RotaryEmbedding", .since = 23, .build = rotary_embedding_node},
};

}  // namespace

std::span<const NodeRule> rotary_nodes() {
  return kRules;
}

}  // namespace gradc::onnx
