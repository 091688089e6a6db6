#include "compiler/passes/fuse_shapes.h"

#include <fmt/format.h>

#include "compiler/kernel.h"

namespace gradc {
namespace {

// A second sweep over a domain pays while a row of it stays in cache; with fewer rows than this it
// does not.
constexpr int64_t kFewestRows = 4;

// Whether a reduction along rows is to fold across them too, as one of the same domain does. Of
// less than this the second sweep is from cache.
bool takes_across(const KernelShape& rows, const KernelShape& columns) {
  constexpr int64_t kFewestElements = 1 << 16;
  return rows.dims == columns.dims && element_count(rows.dims) >= kFewestElements &&
         columns.axes == other_axes(rows.axes, static_cast<int64_t>(rows.dims.size())) &&
         may_fold_across(rows.dims, rows.axes);
}

}  // namespace

Dims KernelShape::rows() const {
  Dims rows;
  for (int64_t axis : other_axes(axes, static_cast<int64_t>(dims.size())))
    rows.push_back(dims[static_cast<size_t>(axis)]);
  return rows;
}

KernelShape shape_of(const Function& function, const Op& op, bool update) {
  KernelClass kind = def(op).kernel;
  if (kind == KernelClass::reduce)
    return {kind, function.type(op.operands[0]).dims, op.attrs.integers("axes"), update};
  return {kind, function.type(op.results[0]).dims, {}, update};
}

std::optional<KernelShape> common_shape(const KernelShape& a, const KernelShape& b) {
  if (a.update != b.update)
    return std::nullopt;
  if (a.kind == KernelClass::map && b.kind != KernelClass::map)
    return common_shape(b, a);
  if (b.kind == KernelClass::map) {
    bool fits = a.dims == b.dims || (a.kind == KernelClass::reduce && a.rows() == b.dims);
    bool mergeable = a.kind == KernelClass::map || a.kind == KernelClass::reduce ||
                     (a.kind == KernelClass::contract && !a.update);
    return fits && mergeable ? std::optional(a) : std::nullopt;
  }
  if (a.kind != KernelClass::reduce || b.kind != KernelClass::reduce)
    return std::nullopt;
  if ((a.dims == b.dims && a.axes == b.axes) || takes_across(a, b))
    return a;
  return takes_across(b, a) ? std::optional(b) : std::nullopt;
}

bool passes_within(const KernelShape& shape, const Dims& dims, const Op& reader,
                   const Dims& reader_dims, const AxisMap& map) {
  if (!map)
    return false;
  bool same_place = *map == *identity_map(static_cast<int64_t>(dims.size()));
  if (shape.kind != KernelClass::reduce)
    return dims == shape.dims && reader_dims == shape.dims && same_place;
  bool reader_in_domain = def(reader).kernel == KernelClass::reduce || reader_dims == shape.dims;
  if (dims == shape.dims)
    return reader_in_domain && same_place;
  if (!reader_in_domain)
    return same_place;
  auto rank = static_cast<int64_t>(shape.dims.size());
  return *map == other_axes(shape.axes, rank) && element_count(dims) >= kFewestRows;
}

bool folds_across(const KernelShape& shape, const Op& op) {
  return def(op).kernel == KernelClass::reduce && op.attrs.integers("axes") != shape.axes;
}

std::string describe(const KernelShape& shape) {
  if (shape.kind == KernelClass::reduce)
    return fmt::format("a reduction of {} along {}", to_string(shape.dims), to_string(shape.axes));
  if (shape.kind == KernelClass::map || shape.kind == KernelClass::contract)
    return fmt::format("a {} over {}", shape.kind == KernelClass::map ? "map" : "contraction",
                       to_string(shape.dims));
  return fmt::format("a kernel of class {}", name_of(shape.kind));
}

}  // namespace gradc
