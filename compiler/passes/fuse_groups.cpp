#include "compiler/passes/fuse_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <queue>
#include <set>
#include <tuple>

#include "compiler/kernel.h"
#include "compiler/passes/fuse_facts.h"

namespace gradc {
namespace {

// Bounds the code size of a kernel.
constexpr size_t kMostOps = 200;
// A second sweep over a domain pays while a row of it stays in cache; with fewer rows than this it
// does not.
constexpr int64_t kFewestRows = 4;
// Updates of smaller tensors than this share a kernel: a call costs more than their work.
constexpr int64_t kSmallUpdate = 2048;
constexpr size_t kMostUpdateOps = 100;

// A set of ops as bits.
class OpSet {
 public:
  explicit OpSet(size_t ops) : words_((ops + 63) / 64) {}
  void insert(uint32_t op) { words_[op / 64] |= uint64_t{1} << (op % 64); }
  bool contains(uint32_t op) const { return words_[op / 64] >> (op % 64) & 1; }
  void insert_all(const OpSet& other) {
    for (size_t i = 0; i < words_.size(); ++i)
      words_[i] |= other.words_[i];
  }

 private:
  std::vector<uint64_t> words_;
};

// Whether a reduction along rows is to fold across them too, as one of the same domain does. Of
// less than this the second sweep is from cache.
bool takes_across(const KernelShape& rows, const KernelShape& columns) {
  constexpr int64_t kFewestElements = 1 << 16;
  return rows.dims == columns.dims && element_count(rows.dims) >= kFewestElements &&
         columns.axes == other_axes(rows.axes, static_cast<int64_t>(rows.dims.size())) &&
         may_fold_across(rows.dims, rows.axes);
}

// A common loop nest of two kernels, if there is one.
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

// Whether `reader`, in a kernel of this shape, may read a value of `dims` made in the same kernel.
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

// For people.
std::string describe(const KernelShape& shape) {
  if (shape.kind == KernelClass::reduce)
    return fmt::format("a reduction of {} along {}", to_string(shape.dims), to_string(shape.axes));
  if (shape.kind == KernelClass::map || shape.kind == KernelClass::contract)
    return fmt::format("a {} over {}", shape.kind == KernelClass::map ? "map" : "contraction",
                       to_string(shape.dims));
  return fmt::format("a kernel of class {}", name_of(shape.kind));
}

class Grouper {
 public:
  Grouper(const Function& function, const GroupingWishes& wishes)
      : function_(function),
        explain_(wishes.explain),
        facts_(op_facts(function, wishes.repeat)),
        parent_(function.ops.size()),
        groups_(function.ops.size()),
        has_forward_(function.ops.size()),
        has_late_(function.ops.size()),
        predecessors_(function.ops.size()),
        followers_(function.ops.size()) {
    for (uint32_t i = 0; i < parent_.size(); ++i)
      parent_[i] = i;
  }

  Grouping run() {
    add_dependencies();
    std::vector<uint32_t> order = execution_order();
    ancestors_.assign(function_.ops.size(), OpSet(function_.ops.size()));
    for (uint32_t op : order) {
      start(op);
      for (uint32_t candidate : candidates(op))
        if (find(candidate) != find(op))
          try_merge(find(candidate), find(op));
    }
    merge_sweeps();
    merge_small_updates();
    return finish();
  }

 private:
  uint32_t find(uint32_t op) const {
    while (parent_[op] != op)
      op = parent_[op];
    return op;
  }

  // The op whose memory a value is: through views to where it was computed.
  std::optional<uint32_t> source(ValueId value) const {
    std::optional<OpId> op = facts_.definitions[value.index];
    return op ? std::optional(op->index) : std::nullopt;
  }

  // Reads, and writes of state that must wait for the readers of its old content.
  void add_dependencies() {
    std::map<std::string, std::vector<uint32_t>> readers;  // by state
    std::map<uint32_t, std::string> state_of;  // value index -> state it is, or is a view of
    for (const Parameter& parameter : function_.parameters)
      if (!parameter.state.empty())
        state_of[parameter.value.index] = parameter.state;
    for (uint32_t i = 0; i < function_.ops.size(); ++i) {
      if (facts_.repeated[i])
        continue;
      for (const Read& read : facts_.reads[i]) {
        if (std::optional<uint32_t> producer = source(read.value))
          predecessors_[i].insert(*producer);
        auto state = state_of.find(read.value.index);
        if (state == state_of.end())
          continue;
        readers[state->second].push_back(i);
        if (def(function_.ops[i]).kernel == KernelClass::view)
          state_of[function_.ops[i].results[0].index] = state->second;
      }
    }
    for (const Result& result : function_.results)
      if (!result.state.empty())
        for (uint32_t reader : readers[result.state])
          if (reader != *source(result.value))
            predecessors_[*source(result.value)].insert(reader);
  }

  // List order, except where a write of state had to wait.
  std::vector<uint32_t> execution_order() const {
    std::vector<int> waiting(function_.ops.size());
    std::vector<std::vector<uint32_t>> successors(function_.ops.size());
    std::priority_queue<uint32_t, std::vector<uint32_t>, std::greater<>> ready;
    for (uint32_t i = 0; i < waiting.size(); ++i) {
      waiting[i] = static_cast<int>(predecessors_[i].size());
      for (uint32_t predecessor : predecessors_[i])
        successors[predecessor].push_back(i);
      if (!facts_.repeated[i] && waiting[i] == 0)
        ready.push(i);
    }
    std::vector<uint32_t> order;
    while (!ready.empty()) {
      order.push_back(ready.top());
      ready.pop();
      for (uint32_t successor : successors[order.back()])
        if (--waiting[successor] == 0)
          ready.push(successor);
    }
    auto repeats =
        static_cast<size_t>(std::count(facts_.repeated.begin(), facts_.repeated.end(), true));
    GRADC_CHECK(order.size() + repeats == function_.ops.size(),
                "@{}: a write of state and a reader of its old content wait for each other",
                function_.name);
    return order;
  }

  void start(uint32_t i) {
    const Op& op = function_.ops[i];
    const OpDef& record = def(op);
    KernelShape shape{record.kernel, function_.type(op.results[0]).dims, {}, facts_.update[i]};
    if (record.kernel == KernelClass::reduce) {
      shape.dims = function_.type(op.operands[0]).dims;
      shape.axes = op.attrs.integers("axes");
    }
    groups_[i] = {std::move(shape), {i}};
    has_forward_[i] = op.phase == Phase::forward;
    has_late_[i] = facts_.late[i];
    for (uint32_t predecessor : predecessors_[i]) {
      uint32_t group = find(predecessor);
      ancestors_[i].insert_all(ancestors_[group]);
      for (uint32_t member : groups_[group].ops)
        ancestors_[i].insert(member);
    }
    started_.push_back(i);
    for (uint32_t predecessor : predecessors_[i])
      followers_[predecessor].push_back(i);
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
      if (std::optional<uint32_t> producer = source(read.value)) {
        const Group& group = groups_[find(*producer)];
        found.insert({preference(group.shape.kind), -int64_t{group.ops.front()}, find(*producer)});
      }
    std::vector<uint32_t> result;
    for (const auto& [kind, latest, group] : found)
      result.push_back(group);
    return result;
  }

  bool reads_pass(const KernelShape& shape, const Group& producer, const Group& consumer) const {
    for (uint32_t i : consumer.ops) {
      const Op& reader = function_.ops[i];
      for (const Read& read : facts_.reads[i]) {
        std::optional<uint32_t> made_by = source(read.value);
        if (made_by && find(*made_by) == find(producer.ops[0]) &&
            (folds_across(shape, *made_by) ||
             !passes_within(shape, function_.type(read.value).dims, reader,
                            function_.type(reader.results[0]).dims, read.map)))
          return false;
      }
    }
    return true;
  }

  // Whether an op folds the other axes than its kernel: what it gives is known in the end only.
  bool folds_across(const KernelShape& shape, uint32_t i) const {
    const Op& op = function_.ops[i];
    return def(op).kernel == KernelClass::reduce && op.attrs.integers("axes") != shape.axes;
  }

  // Whether a reduction that is to become folds across rows has nothing else on its own rows.
  bool only_sweeps(const Group& group) const {
    return std::all_of(group.ops.begin(), group.ops.end(),
                       [&](uint32_t i) { return sweeps(group.shape, i); });
  }

  // Whether an op of a reduction looks at each element of its domain, not at each row of the
  // result.
  bool sweeps(const KernelShape& shape, uint32_t i) const {
    const Op& op = function_.ops[i];
    return def(op).kernel == KernelClass::reduce ||
           function_.type(op.results[0]).dims == shape.dims;
  }

  // Whether two reductions have a sweep in common: one reads what the other makes, or both read a
  // tensor. If not, such as a sum of sums of several tensors, one kernel would need them all at
  // once.
  bool share_a_sweep(const Group& a, const Group& b) const {
    std::set<ValueId> read_by_a;
    for (uint32_t i : a.ops)
      if (sweeps(a.shape, i))
        for (const Read& read : facts_.reads[i])
          read_by_a.insert(read.value);
    auto made_by = [&](const Group& group, ValueId value) {
      std::optional<uint32_t> op = source(value);
      return op && find(*op) == find(group.ops[0]);
    };
    for (uint32_t i : b.ops)
      if (sweeps(b.shape, i))
        for (const Read& read : facts_.reads[i])
          if (made_by(a, read.value) ||
              (read_by_a.contains(read.value) && function_.type(read.value).dims == b.shape.dims))
            return true;
    return std::any_of(read_by_a.begin(), read_by_a.end(),
                       [&](ValueId value) { return made_by(b, value); });
  }

  // Whether a path leads from group a through a third group to group b.
  bool detour(uint32_t a, uint32_t b) const {
    for (uint32_t member : groups_[b].ops)
      for (uint32_t predecessor : predecessors_[member]) {
        uint32_t between = find(predecessor);
        if (between != a && between != b && ancestors_[between].contains(a))
          return true;
      }
    return false;
  }

  // Why two groups cannot be one kernel, if they cannot.
  enum class Obstacle : uint8_t { none, state, loops, sweeps, slope, size, places, detour };

  Obstacle obstacle(uint32_t a, uint32_t b) const {
    const Group &x = groups_[a], &y = groups_[b];
    if (x.shape.update != y.shape.update)
      return Obstacle::state;
    std::optional<KernelShape> shape = common_shape(x.shape, y.shape);
    if (!shape)
      return Obstacle::loops;
    bool reduce = x.shape.kind == KernelClass::reduce && y.shape.kind == KernelClass::reduce;
    if (reduce && !share_a_sweep(x, y))
      return Obstacle::sweeps;
    if (reduce && x.shape.axes != y.shape.axes &&
        (has_forward_[a] != has_forward_[b] || !only_sweeps(x.shape.axes == shape->axes ? y : x)))
      return Obstacle::loops;
    if ((has_late_[a] && has_forward_[b]) || (has_late_[b] && has_forward_[a]))
      return Obstacle::slope;
    if (x.ops.size() + y.ops.size() > kMostOps)
      return Obstacle::size;
    if (!reads_pass(*shape, x, y) || !reads_pass(*shape, y, x))
      return Obstacle::places;
    return detour(a, b) || detour(b, a) ? Obstacle::detour : Obstacle::none;
  }

  // For people.
  std::string reason(uint32_t a, uint32_t b) const {
    const Group &x = groups_[a], &y = groups_[b];
    switch (obstacle(a, b)) {
      case Obstacle::none:
        return "each had grown with others before";
      case Obstacle::state:
        return "one changes state, the other may have to run again";
      case Obstacle::loops:
        return fmt::format("{} and {} have no common loops", describe(x.shape), describe(y.shape));
      case Obstacle::sweeps:
        return "their reductions sweep over different tensors";
      case Obstacle::slope:
        return "the forward kernel would compute a slope long before its gradient comes";
      case Obstacle::size:
        return fmt::format("one kernel would have {} ops, more than {}",
                           x.ops.size() + y.ops.size(), kMostOps);
      case Obstacle::places:
        return "what passes between them is read at other places than it is written";
      case Obstacle::detour:
        return "a third kernel must run between them";
    }
    return "";
  }

  void try_merge(uint32_t a, uint32_t b) {
    if (obstacle(a, b) == Obstacle::none)
      merge(a, b);
  }

  void merge(uint32_t a, uint32_t b) {
    std::optional<KernelShape> shape = common_shape(groups_[a].shape, groups_[b].shape);
    std::vector<uint32_t> merged;
    std::merge(groups_[a].ops.begin(), groups_[a].ops.end(), groups_[b].ops.begin(),
               groups_[b].ops.end(), std::back_inserter(merged));
    ancestors_[a].insert_all(ancestors_[b]);
    parent_[b] = a;
    groups_[a] = {*shape, std::move(merged)};
    has_forward_[a] = has_forward_[a] || has_forward_[b];
    has_late_[a] = has_late_[a] || has_late_[b];
    groups_[b].ops.clear();
    if (!has_followers(a))
      return;
    // Whoever came after one of the two now comes after both.
    for (uint32_t i : started_) {
      uint32_t group = find(i);
      if (group != i || group == a ||
          !(ancestors_[group].contains(a) || ancestors_[group].contains(b)))
        continue;
      ancestors_[group].insert_all(ancestors_[a]);
      for (uint32_t member : groups_[a].ops)
        ancestors_[group].insert(member);
    }
  }

  bool has_followers(uint32_t group) const {
    auto is_outside = [&](uint32_t op) { return find(op) != group; };
    return std::any_of(groups_[group].ops.begin(), groups_[group].ops.end(), [&](uint32_t member) {
      return std::any_of(followers_[member].begin(), followers_[member].end(), is_outside);
    });
  }

  // Large values that a group reads from outside of it.
  std::set<ValueId> operands(uint32_t group) const {
    std::set<ValueId> read;
    for (uint32_t i : groups_[group].ops)
      for (const Read& r : facts_.reads[i]) {
        std::optional<uint32_t> op = source(r.value);
        if (!(op && find(*op) == group) &&
            function_.type(r.value).elements() >= element_count(groups_[group].shape.dims))
          read.insert(r.value);
      }
    return read;
  }

  // Reductions of one phase where one sweeps over nothing but what another sweeps over: one sweep
  // is enough, and nothing lives longer.
  void merge_sweeps() {
    std::map<ValueId, std::vector<uint32_t>> sweeps;  // by tensor: groups
    for (uint32_t i : started_)
      if (find(i) == i && groups_[i].shape.kind == KernelClass::reduce && !groups_[i].shape.update)
        for (ValueId value : operands(i))
          sweeps[value].push_back(i);
    for (const auto& [value, groups] : sweeps)
      for (size_t k = 1; k < groups.size(); ++k) {
        uint32_t a = find(groups[k - 1]), b = find(groups[k]);
        if (a == b || has_forward_[a] != has_forward_[b])
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
    for (uint32_t i : started_) {
      if (find(i) != i || !groups_[i].shape.update || groups_[i].shape.kind != KernelClass::map ||
          element_count(groups_[i].shape.dims) > kSmallUpdate)
        continue;
      auto [known, fresh] = open.try_emplace(groups_[i].shape.dims, i);
      if (fresh)
        continue;
      uint32_t a = find(known->second);
      if (groups_[a].ops.size() + groups_[i].ops.size() <= kMostUpdateOps)
        try_merge(a, i);
      known->second = find(i);
    }
  }

  // Where a kernel stands in the list of ops: at its last forward op, because the forward pass
  // waits for it, or else at its last op.
  uint32_t place(const Group& group) const {
    auto last = std::find_if(group.ops.rbegin(), group.ops.rend(),
                             [&](uint32_t i) { return function_.ops[i].phase == Phase::forward; });
    return last == group.ops.rend() ? group.ops.back() : *last;
  }

  // Groups in an order of execution: of those for which all they read is there, the first in place.
  Grouping finish() const {
    std::map<uint32_t, std::set<uint32_t>> successors;
    std::map<uint32_t, size_t> waiting;
    std::set<std::pair<uint32_t, uint32_t>> ready;  // (place, group)
    for (uint32_t i : started_) {
      if (find(i) != i)
        continue;
      std::set<uint32_t> before;
      for (uint32_t member : groups_[i].ops)
        for (uint32_t predecessor : predecessors_[member])
          if (find(predecessor) != i)
            before.insert(find(predecessor));
      for (uint32_t group : before)
        successors[group].insert(i);
      waiting[i] = before.size();
      if (before.empty())
        ready.insert({place(groups_[i]), i});
    }
    Grouping grouping{
        facts_.repeated, {}, std::vector<int>(function_.ops.size(), -1), facts_.reads, {}};
    while (!ready.empty()) {
      uint32_t group = ready.begin()->second;
      ready.erase(ready.begin());
      for (uint32_t member : groups_[group].ops)
        grouping.group_of[member] = static_cast<int>(grouping.groups.size());
      grouping.groups.push_back(groups_[group]);
      for (uint32_t successor : successors[group])
        if (--waiting[successor] == 0)
          ready.insert({place(groups_[successor]), successor});
    }
    GRADC_CHECK(grouping.groups.size() == waiting.size(), "@{}: kernels wait for each other",
                function_.name);
    if (explain_)
      explain(grouping);
    return grouping;
  }

  void explain(Grouping& grouping) const {
    std::set<std::pair<int, int>> seen;
    for (uint32_t i : started_)
      for (const Read& read : facts_.reads[i]) {
        std::optional<uint32_t> op = source(read.value);
        if (!op)
          continue;
        int producer = grouping.group_of[*op], consumer = grouping.group_of[i];
        if (producer == consumer || !seen.insert({producer, consumer}).second)
          continue;
        grouping.apart.push_back({static_cast<size_t>(producer), static_cast<size_t>(consumer),
                                  read.value, reason(find(*op), find(i))});
      }
  }

  const Function& function_;
  bool explain_;
  OpFacts facts_;
  std::vector<uint32_t> parent_;  // union-find over ops
  std::vector<Group> groups_;  // by representative op
  std::vector<bool> has_forward_,
      has_late_;  // by representative op: ops of the forward pass, slopes
  std::vector<std::set<uint32_t>> predecessors_;  // by op: ops that must come before
  std::vector<OpSet> ancestors_;  // by representative: all ops that must come before
  std::vector<uint32_t> started_;
  std::vector<std::vector<uint32_t>> followers_;  // by op: ops that started and come after it
};

}  // namespace

Dims KernelShape::rows() const {
  Dims rows;
  for (int64_t axis : other_axes(axes, static_cast<int64_t>(dims.size())))
    rows.push_back(dims[static_cast<size_t>(axis)]);
  return rows;
}

Grouping group_ops(const Function& function, const GroupingWishes& wishes) {
  return Grouper(function, wishes).run();
}

}  // namespace gradc
