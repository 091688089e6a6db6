#include "compiler/lower/contract_results.h"

#include "ir/diagnostic.h"

namespace gradc {

using loop::Scalar;

namespace {

// The nest splits an axis of channels into groups; here its loops are joined to axes again.
std::vector<Scalar> result_indices(loop::Builder& b, const ContractionNest& nest,
                                   std::span<const Scalar> loops) {
  std::vector<Scalar> indices;
  size_t l = 0;
  for (int64_t dim : nest.result_type.dims) {
    Scalar index = b.index(0);
    for (int64_t covered = 1; covered < dim; ++l) {
      index = b.add(b.mul(index, b.index(nest.loops[l].extent)), loops[l]);
      covered *= nest.loops[l].extent;
    }
    indices.push_back(index);
  }
  return indices;
}

}  // namespace

void store_results(KernelValues& values, const ContractionNest& nest, std::span<const Scalar> loops,
                   Scalar sum) {
  loop::Builder& b = values.builder();
  std::vector<Scalar> indices = result_indices(b, nest, loops);
  Scalar result = b.convert(sum, nest.result_type.dtype);
  values.define(nest.result, [result](const Position&) { return result; });
  const Function& kernel = values.function();
  std::vector<std::vector<Scalar>> positions;
  std::vector<Scalar> elements;
  for (const Result& r : kernel.results) {
    const Dims& dims = kernel.type(r.value).dims;
    positions.push_back(dims == nest.result_type.dims
                            ? indices
                            : unravel(b, ravel(b, indices, nest.result_type.dims), dims));
    elements.push_back(values.element(r.value, positions.back()));
  }
  // All are computed before the first is stored: a result may share an operand's bytes.
  for (size_t i = 0; i < elements.size(); ++i)
    values.store(i, positions[i], elements[i]);
}

bool stores_sums_unchanged(const Function& kernel, const ContractionNest& nest) {
  return kernel.results.size() == 1 && kernel.results[0].value == nest.result &&
         nest.result_type.dtype == nest.sum_dtype();
}

}  // namespace gradc
