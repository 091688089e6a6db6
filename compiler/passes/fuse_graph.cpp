#include "compiler/passes/fuse_graph.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <queue>
#include <string>

#include "ir/diagnostic.h"

namespace gradc {

GroupGraph::GroupGraph(const Function& function, const OpFacts& facts)
    : function_(function),
      facts_(facts),
      parent_(function.ops.size()),
      ops_(function.ops.size()),
      predecessors_(function.ops.size()),
      ancestors_(function.ops.size(), OpSet(function.ops.size())),
      followers_(function.ops.size()) {
  std::iota(parent_.begin(), parent_.end(), 0U);
  add_dependencies();
}

uint32_t GroupGraph::find(uint32_t op) const {
  while (parent_[op] != op)
    op = parent_[op];
  return op;
}

std::vector<uint32_t> GroupGraph::groups() const {
  std::vector<uint32_t> groups = started_;
  std::erase_if(groups, [&](uint32_t op) { return find(op) != op; });
  return groups;
}

std::optional<uint32_t> GroupGraph::source(ValueId value) const {
  std::optional<OpId> op = facts_.definitions[value.index];
  return op ? std::optional(op->index) : std::nullopt;
}

bool GroupGraph::makes(uint32_t group, ValueId value) const {
  std::optional<uint32_t> op = source(value);
  return op && find(*op) == group;
}

// Reads, and writes of state that must wait for the readers of its old content.
void GroupGraph::add_dependencies() {
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

std::vector<uint32_t> GroupGraph::op_order() const {
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

void GroupGraph::start(uint32_t i) {
  ops_[i] = {i};
  for (uint32_t predecessor : predecessors_[i]) {
    put_before(find(predecessor), i);
    followers_[predecessor].push_back(i);
  }
  started_.push_back(i);
}

// All of the first group, and what comes before it, now comes before the second.
void GroupGraph::put_before(uint32_t earlier, uint32_t later) {
  ancestors_[later].insert_all(ancestors_[earlier]);
  for (uint32_t member : ops_[earlier])
    ancestors_[later].insert(member);
}

bool GroupGraph::detour(uint32_t a, uint32_t b) const {
  for (uint32_t member : ops_[b])
    for (uint32_t predecessor : predecessors_[member]) {
      uint32_t between = find(predecessor);
      if (between != a && between != b && ancestors_[between].contains(a))
        return true;
    }
  return false;
}

void GroupGraph::merge(uint32_t a, uint32_t b) {
  std::vector<uint32_t> merged;
  std::merge(ops_[a].begin(), ops_[a].end(), ops_[b].begin(), ops_[b].end(),
             std::back_inserter(merged));
  ancestors_[a].insert_all(ancestors_[b]);
  parent_[b] = a;
  ops_[a] = std::move(merged);
  ops_[b].clear();
  if (!has_followers(a))
    return;
  // Whoever came after one of the two now comes after both.
  for (uint32_t group : groups())
    if (group != a && (ancestors_[group].contains(a) || ancestors_[group].contains(b)))
      put_before(a, group);
}

bool GroupGraph::has_followers(uint32_t group) const {
  auto is_outside = [&](uint32_t op) { return find(op) != group; };
  return std::any_of(ops_[group].begin(), ops_[group].end(), [&](uint32_t member) {
    return std::any_of(followers_[member].begin(), followers_[member].end(), is_outside);
  });
}

// Where a kernel stands in the list of ops: at its last forward op, because the forward pass waits
// for it, or else at its last op.
uint32_t GroupGraph::place(uint32_t group) const {
  const std::vector<uint32_t>& ops = ops_[group];
  auto last = std::find_if(ops.rbegin(), ops.rend(),
                           [&](uint32_t i) { return function_.ops[i].phase == Phase::forward; });
  return last == ops.rend() ? ops.back() : *last;
}

std::vector<uint32_t> GroupGraph::group_order() const {
  std::map<uint32_t, std::set<uint32_t>> successors;
  std::map<uint32_t, size_t> waiting;
  std::set<std::pair<uint32_t, uint32_t>> ready;  // (place, group)
  for (uint32_t i : groups()) {
    std::set<uint32_t> before;
    for (uint32_t member : ops_[i])
      for (uint32_t predecessor : predecessors_[member])
        if (find(predecessor) != i)
          before.insert(find(predecessor));
    for (uint32_t group : before)
      successors[group].insert(i);
    waiting[i] = before.size();
    if (before.empty())
      ready.insert({place(i), i});
  }
  std::vector<uint32_t> order;
  while (!ready.empty()) {
    order.push_back(ready.begin()->second);
    ready.erase(ready.begin());
    for (uint32_t successor : successors[order.back()])
      if (--waiting[successor] == 0)
        ready.insert({place(successor), successor});
  }
  GRADC_CHECK(order.size() == waiting.size(), "@{}: kernels wait for each other", function_.name);
  return order;
}

}  // namespace gradc
