#include "compiler/lower/reduction_tree.h"

#include <algorithm>

#include "ir/diagnostic.h"

namespace gradc {
namespace {

std::vector<size_t> indices_where(const std::vector<ReductionGroup>& groups, bool reduced) {
  std::vector<size_t> indices;
  for (size_t i = 0; i < groups.size(); ++i)
    if (groups[i].reduced == reduced)
      indices.push_back(i);
  return indices;
}

// Axes of size 1 join any group.
std::vector<ReductionGroup> group_axes(const Dims& dims, const std::vector<int64_t>& axes) {
  std::vector<ReductionGroup> groups;
  Dims leading_ones;
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    bool reduced = contains(axes, static_cast<int64_t>(axis));
    if (dims[axis] == 1 && groups.empty()) {
      leading_ones.push_back(1);
      continue;
    }
    if (groups.empty() || (dims[axis] > 1 && groups.back().reduced != reduced))
      groups.push_back({groups.empty() ? leading_ones : Dims{}, reduced});
    groups.back().dims.push_back(dims[axis]);
  }
  if (groups.empty())
    groups.push_back({leading_ones, true});
  return groups;
}

// A sum of many rows is also taken by kernels that have a row at a time: threads share the rows.
bool has_many_rows(const ReductionTree& tree) {
  constexpr int64_t kManyRows = 1024;
  return !tree.lanes_reduce && tree.groups.size() == 2 && tree.groups[0].extent() >= kManyRows;
}

}  // namespace

std::vector<size_t> ReductionTree::reduced() const {
  return indices_where(groups, true);
}

std::vector<size_t> ReductionTree::kept() const {
  return indices_where(groups, false);
}

ReductionTree reduction_tree(const Dims& dims, const std::vector<int64_t>& axes,
                             const Target& target) {
  constexpr int64_t kEnoughTasks = 16, kMostChunks = 64, kLeastElements = 8192;
  ReductionTree tree{group_axes(dims, axes)};
  tree.lanes_reduce = tree.groups.back().reduced;
  if (tree.reduced().empty())  // all reduced axes have size 1
    tree.groups.insert(tree.groups.begin(), ReductionGroup{{}, true});
  tree.lanes_reduce = tree.groups.back().reduced;
  const ReductionGroup& first = tree.groups[tree.reduced()[0]];
  int64_t step = 4 * target.lanes_f32(), tasks = 1;
  for (size_t i : tree.kept()) {
    int64_t extent = tree.groups[i].extent();
    bool is_lanes = i + 1 == tree.groups.size();
    tasks *= is_lanes ? (extent + step - 1) / step : extent;
  }
  tree.chunk = first.extent();
  int64_t chunks =
      std::min((kMostChunks + tasks - 1) / tasks, element_count(dims) / kLeastElements);
  if (tasks >= kEnoughTasks)
    chunks = has_many_rows(tree) ? kEnoughTasks : 1;
  if (chunks < 2)
    return tree;
  // Whole vectors, where the chunks cut the lanes' group.
  int64_t unit = tree.lanes_reduce && tree.reduced().size() == 1 ? step : 1;
  tree.chunk = (first.extent() + chunks * unit - 1) / (chunks * unit) * unit;
  tree.chunks = (first.extent() + tree.chunk - 1) / tree.chunk;
  return tree;
}

}  // namespace gradc
