#include "compiler/passes/fuse_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "compiler/passes/fuse_graph.h"

namespace gradc {
namespace {

// Bounds the code size of a kernel.
constexpr size_t kMostOps = 200;
// Updates of smaller tensors than this share a kernel: a call costs more than their work.
constexpr int64_t kSmallUpdate = 2048;
constexpr size_t kMostUpdateOps = 100;

// Groups go by their numbers in the graph.
class Grouper {
 public:
  Grouper(const Function& function, const GroupingWishes& wishes)
      : function_(function),
        explain_(wishes.explain),
        facts_(op_facts(function, wishes.repeat)),
        graph_(function, facts_),
        shapes_(function.ops.size()) {}

  Grouping run() {
    for (uint32_t op : graph_.op_order()) {
      shapes_[op] = shape_of(function_, function_.ops[op], facts_.update[op]);
      graph_.start(op);
      for (uint32_t candidate : candidates(op))
        if (graph_.find(candidate) != graph_.find(op))
          try_merge(graph_.find(candidate), graph_.find(op));
    }
    merge_sweeps();
    merge_small_updates();
    return finish();
  }

 private:
  bool is_reduction(uint32_t group) const { return shapes_[group].kind == KernelClass::reduce; }

  bool has_forward(uint32_t group) const {
    return std::ranges::any_of(
        graph_.ops(group), [&](uint32_t i) { return function_.ops[i].phase == Phase::forward; });
  }

  bool has_late(uint32_t group) const {
    return std::ranges::any_of(graph_.ops(group), [&](uint32_t i) { return facts_.late[i]; });
  }

  // Groups that op i reads from: folds first (they save a sweep over memory), then contractions,
  // then maps; of one kind the latest begun first, so that a sum of many products grows product by
  // product instead of waiting for all of them.
  std::vector<uint32_t> candidates(uint32_t i) const {
    auto preference = [](KernelClass kind) {
      return kind == KernelClass::reduce ? 0 : kind == KernelClass::contract ? 1 : 2;
    };
    std::set<std::tuple<int, int64_t, uint32_t>> found;
    for (const Read& read : facts_.reads[i])
      if (std::optional<uint32_t> producer = graph_.source(read.value)) {
        uint32_t group = graph_.find(*producer);
        found.insert({preference(shapes_[group].kind), -int64_t{graph_.ops(group).front()}, group});
      }
    std::vector<uint32_t> result;
    for (const auto& [kind, latest, group] : found)
      result.push_back(group);
    return result;
  }

  bool reads_pass(const KernelShape& shape, uint32_t producer, uint32_t consumer) const {
    for (uint32_t i : graph_.ops(consumer)) {
      const Op& reader = function_.ops[i];
      for (const Read& read : facts_.reads[i])
        if (graph_.makes(producer, read.value) &&
            (folds_across(shape, function_.ops[*graph_.source(read.value)]) ||
             !passes_within(shape, function_.type(read.value).dims, reader,
                            function_.type(reader.results[0]).dims, read.map)))
          return false;
    }
    return true;
  }

  // Whether a reduction that is to become folds across rows has nothing else on its own rows.
  bool only_sweeps(uint32_t group) const {
    return std::ranges::all_of(graph_.ops(group), [&](uint32_t i) { return sweeps(group, i); });
  }

  // Whether an op of a reduction looks at each element of its domain, not at each row of the
  // result.
  bool sweeps(uint32_t group, uint32_t i) const {
    const Op& op = function_.ops[i];
    return def(op).kernel == KernelClass::reduce ||
           function_.type(op.results[0]).dims == shapes_[group].dims;
  }

  // What the ops of a reduction that sweep over its domain read.
  std::set<ValueId> swept(uint32_t group) const {
    std::set<ValueId> values;
    for (uint32_t i : graph_.ops(group))
      if (sweeps(group, i))
        for (const Read& read : facts_.reads[i])
          values.insert(read.value);
    return values;
  }

  // Whether two reductions have a sweep in common: one reads what the other makes, or both read a
  // tensor. If not, such as a sum of sums of several tensors, one kernel would need them all at
  // once.
  bool share_a_sweep(uint32_t a, uint32_t b) const {
    std::set<ValueId> read_by_a = swept(a), read_by_b = swept(b);
    return std::ranges::any_of(read_by_a, [&](ValueId value) { return graph_.makes(b, value); }) ||
           std::ranges::any_of(read_by_b, [&](ValueId value) {
             return graph_.makes(a, value) ||
                    (read_by_a.contains(value) && function_.type(value).dims == shapes_[b].dims);
           });
  }

  size_t size_of_both(uint32_t a, uint32_t b) const {
    return graph_.ops(a).size() + graph_.ops(b).size();
  }

  // Why two groups cannot be one kernel, if they cannot.
  enum class Obstacle : uint8_t { none, state, loops, sweeps, slope, size, places, detour };

  Obstacle obstacle(uint32_t a, uint32_t b) const {
    const KernelShape &x = shapes_[a], &y = shapes_[b];
    if (x.update != y.update)
      return Obstacle::state;
    std::optional<KernelShape> shape = common_shape(x, y);
    if (!shape)
      return Obstacle::loops;
    bool reduce = is_reduction(a) && is_reduction(b);
    if (reduce && !share_a_sweep(a, b))
      return Obstacle::sweeps;
    if (reduce && x.axes != y.axes &&
        (has_forward(a) != has_forward(b) || !only_sweeps(x.axes == shape->axes ? b : a)))
      return Obstacle::loops;
    if ((has_late(a) && has_forward(b)) || (has_late(b) && has_forward(a)))
      return Obstacle::slope;
    if (size_of_both(a, b) > kMostOps)
      return Obstacle::size;
    if (!reads_pass(*shape, a, b) || !reads_pass(*shape, b, a))
      return Obstacle::places;
    return graph_.detour(a, b) || graph_.detour(b, a) ? Obstacle::detour : Obstacle::none;
  }

  // For people.
  std::string reason(uint32_t a, uint32_t b) const {
    switch (obstacle(a, b)) {
      case Obstacle::none:
        return "each had grown with others before";
      case Obstacle::state:
        return "one changes state, the other may have to run again";
      case Obstacle::loops:
        return fmt::format("{} and {} have no common loops", describe(shapes_[a]),
                           describe(shapes_[b]));
      case Obstacle::sweeps:
        return "their reductions sweep over different tensors";
      case Obstacle::slope:
        return "the forward kernel would compute a slope long before its gradient comes";
      case Obstacle::size:
        return fmt::format("one kernel would have {} ops, more than {}", size_of_both(a, b),
                           kMostOps);
      case Obstacle::places:
        return "what passes between them is read at other places than it is written";
      case Obstacle::detour:
        return "a third kernel must run between them";
    }
    return "";
  }

  void try_merge(uint32_t a, uint32_t b) {
    if (obstacle(a, b) != Obstacle::none)
      return;
    shapes_[a] = *common_shape(shapes_[a], shapes_[b]);
    graph_.merge(a, b);
  }

  // Large values that a group reads from outside of it.
  std::set<ValueId> operands(uint32_t group) const {
    std::set<ValueId> read;
    for (uint32_t i : graph_.ops(group))
      for (const Read& r : facts_.reads[i])
        if (!graph_.makes(group, r.value) &&
            function_.type(r.value).elements() >= element_count(shapes_[group].dims))
          read.insert(r.value);
    return read;
  }

  // Reductions of one phase where one sweeps over nothing but what another sweeps over: one sweep
  // is enough, and nothing lives longer.
  void merge_sweeps() {
    std::map<ValueId, std::vector<uint32_t>> sweeps;  // by tensor: groups
    for (uint32_t group : graph_.groups())
      if (is_reduction(group) && !shapes_[group].update)
        for (ValueId value : operands(group))
          sweeps[value].push_back(group);
    for (const auto& [value, groups] : sweeps)
      for (size_t k = 1; k < groups.size(); ++k) {
        uint32_t a = graph_.find(groups[k - 1]), b = graph_.find(groups[k]);
        if (a == b || has_forward(a) != has_forward(b))
          continue;
        std::set<ValueId> x = operands(a), y = operands(b);
        if (std::includes(x.begin(), x.end(), y.begin(), y.end()) ||
            std::includes(y.begin(), y.end(), x.begin(), x.end()))
          try_merge(a, b);
      }
  }

  // Updates of small tensors of the same sizes, whatever they update.
  void merge_small_updates() {
    std::map<Dims, uint32_t> open;  // by sizes: a group with room for more
    for (uint32_t group : graph_.groups()) {
      const KernelShape& shape = shapes_[group];
      if (!shape.update || shape.kind != KernelClass::map ||
          element_count(shape.dims) > kSmallUpdate)
        continue;
      auto [known, fresh] = open.try_emplace(shape.dims, group);
      if (fresh)
        continue;
      if (size_of_both(known->second, group) <= kMostUpdateOps)
        try_merge(known->second, group);
      known->second = graph_.find(group);
    }
  }

  Grouping finish() const {
    Grouping grouping{
        facts_.repeated, {}, std::vector<int>(function_.ops.size(), -1), facts_.reads, {}};
    for (uint32_t group : graph_.group_order()) {
      for (uint32_t member : graph_.ops(group))
        grouping.group_of[member] = static_cast<int>(grouping.groups.size());
      grouping.groups.push_back({shapes_[group], graph_.ops(group)});
    }
    if (explain_)
      explain(grouping);
    return grouping;
  }

  void explain(Grouping& grouping) const {
    std::set<std::pair<int, int>> seen;
    for (uint32_t i : graph_.started())
      for (const Read& read : facts_.reads[i]) {
        std::optional<uint32_t> op = graph_.source(read.value);
        if (!op)
          continue;
        int producer = grouping.group_of[*op], consumer = grouping.group_of[i];
        if (producer == consumer || !seen.insert({producer, consumer}).second)
          continue;
        grouping.apart.push_back({static_cast<size_t>(producer), static_cast<size_t>(consumer),
                                  read.value, reason(graph_.find(*op), graph_.find(i))});
      }
  }

  const Function& function_;
  bool explain_;
  OpFacts facts_;
  GroupGraph graph_;
  std::vector<KernelShape> shapes_;  // by group
};

}  // namespace

Grouping group_ops(const Function& function, const GroupingWishes& wishes) {
  return Grouper(function, wishes).run();
}

}  // namespace gradc
