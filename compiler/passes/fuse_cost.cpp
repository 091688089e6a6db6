#include "compiler/passes/fuse_cost.h"

#include <algorithm>
#include <map>
#include <set>

#include "compiler/lower/iteration_space.h"

namespace gradc {
namespace {

// What takes more is not computed twice: functions such as exp.
constexpr double kDearNanoseconds = 0.1;

// The state of a choice: who reads what, as ops become repeated.
class Repeats {
 public:
  Repeats(const Function& function, const Grouping& grouping, const CostTable& table)
      : function_(function),
        grouping_(grouping),
        table_(table),
        definitions_(defining_ops(function)),
        users_(function.values.size()),
        is_result_(function.values.size()),
        repeated_(grouping.repeated) {
    for (const Result& result : function.results)
      is_result_[result.value.index] = true;
    for (uint32_t i = 0; i < function.ops.size(); ++i) {
      for (ValueId operand : function.ops[i].operands)
        users_[operand.index].push_back(i);
      reads_.emplace_back();
      if (!repeated_[i] && grouping.group_of[i] >= 0)
        for (const Read& read : grouping.reads[i])
          reads_[i].insert(read.value);
    }
    readers_.resize(function.values.size());
    for (uint32_t i = 0; i < reads_.size(); ++i)
      for (ValueId value : reads_[i])
        readers_[value.index].insert(i);
  }

  // Readers come before what they read, so that chains are repeated link by link.
  std::vector<uint32_t> run() {
    std::vector<uint32_t> chosen;
    for (auto i = static_cast<uint32_t>(function_.ops.size()); i-- > 0;)
      if (may_repeat(i) && pays(gain(i))) {
        repeat(i);
        chosen.push_back(i);
      }
    return chosen;
  }

 private:
  double bytes(ValueId value) const { return static_cast<double>(function_.type(value).bytes()); }

  // Work without the loads and stores, which bytes account for.
  double arithmetic_nanoseconds(const Op& op) const {
    double accesses = static_cast<double>(op.operands.size() + 1) * kAccessNanoseconds;
    return std::max(0.0, element_nanoseconds(function_, op) - accesses);
  }

  // Made by an op that computes nothing, of a part of one operand.
  bool moves(ValueId value) const {
    std::optional<OpId> op = definitions_[value.index];
    return op && moves(function_.ops[op->index]);
  }
  bool moves(const Op& op) const {
    return flops_of(function_, op) == 0 && op.operands.size() == 1 &&
           function_.type(op.operand(0)).dtype == function_.type(op.result()).dtype;
  }

  static bool is_permutation(const AxisMap& map) {
    if (!map)
      return false;
    std::vector<int64_t> axes = *map;
    std::ranges::sort(axes);
    return axes == identity_map(static_cast<int64_t>(axes.size()));
  }

  // What op i reads of `leaf`.
  double bytes_read(uint32_t i, ValueId leaf) const {
    const Op& op = function_.ops[i];
    return moves(op) ? std::min(bytes(leaf), bytes(op.result())) : bytes(leaf);
  }

  // How often a reader visits each element of `value`: once where it is, or in each window around
  // it; unknown elsewhere.
  std::optional<double> visits(uint32_t reader, ValueId value) const {
    AxisMap same = identity_map(function_.type(value).rank());
    const Op& op = function_.ops[reader];
    double most = 1;
    for (const Read& read : grouping_.reads[reader]) {
      if (read.value != value)
        continue;
      double times = 1;
      if (read.map != same && !(moves(value) && is_permutation(read.map))) {
        const Attr* window = op.attrs.find("window");
        if (!window)
          return std::nullopt;
        times = static_cast<double>(element_count(op.attrs.integers("window")) *
                                    function_.type(op.result()).elements()) /
                static_cast<double>(function_.type(value).elements());
      }
      most = std::max(most, times);
    }
    return most;
  }

  // Whether `value`, made in `phase`, is there in later phases whatever is chosen.
  bool is_held(ValueId value, Phase phase) const {
    return !definitions_[value.index] || is_result_[value.index] ||
           std::ranges::any_of(readers_[value.index], [&](uint32_t reader) {
             return function_.ops[reader].phase > phase;
           });
  }

  // Later phases would hold what op i reads, and at most a trifle more than its result.
  bool holds_no_more(uint32_t i) const {
    constexpr int64_t kTrifle = 32;
    int64_t result = function_.type(function_.ops[i].result()).bytes();
    int64_t held = 0;
    for (ValueId leaf : reads_[i])
      if (!is_held(leaf, function_.ops[i].phase))
        held += function_.type(leaf).bytes();
    return held <= result + result / kTrifle;
  }

  // Elementwise work, cheap, whose readers all are loops of the same phase or of one that holds as
  // little for it.
  bool may_repeat(uint32_t i) const {
    const Op& op = function_.ops[i];
    if (repeated_[i] || grouping_.group_of[i] < 0 || def(op).kernel != KernelClass::map ||
        op.results.size() != 1 || is_result_[op.result().index] || group(i).shape.update)
      return false;
    bool leaves_group = false;
    for (uint32_t user : users_[op.result().index]) {
      KernelClass kind = def(function_.ops[user]).kernel;
      if (kind != KernelClass::map && kind != KernelClass::reduce)
        return false;
    }
    for (uint32_t reader : readers_[op.result().index]) {
      if (group(reader).shape.update)
        return false;
      if (function_.ops[reader].phase != op.phase && !holds_no_more(i))
        return false;
      if (!visits(reader, op.result()))
        return false;
      leaves_group |= grouping_.group_of[reader] != grouping_.group_of[i];
    }
    for (const Read& read : grouping_.reads[i])
      if (!read.map && !moves(op))
        return false;
    return leaves_group && arithmetic_nanoseconds(op) <= kDearNanoseconds;
  }

  const Group& group(uint32_t op) const {
    return grouping_.groups[static_cast<size_t>(grouping_.group_of[op])];
  }

  bool made_in(ValueId value, int group) const {
    std::optional<OpId> op = definitions_[value.index];
    return op && grouping_.group_of[op->index] == group;
  }

  bool read_in(ValueId value, int group, uint32_t except) const {
    return std::any_of(readers_[value.index].begin(), readers_[value.index].end(),
                       [&](uint32_t i) { return i != except && grouping_.group_of[i] == group; });
  }

  bool escapes(ValueId value, int group) const {
    return is_result_[value.index] ||
           std::any_of(readers_[value.index].begin(), readers_[value.index].end(),
                       [&](uint32_t i) { return grouping_.group_of[i] != group; });
  }

  // What changes if op i is repeated in its readers.
  struct Gain {
    double nanoseconds = 0;  // saved
    bool writes_another = false;  // in place of its result
  };

  // One tensor less that is written is worth a draw: others that read what it is made of may then
  // share a sweep.
  static bool pays(const Gain& gain) {
    return gain.nanoseconds > 0 || (gain.nanoseconds == 0 && !gain.writes_another);
  }

  Gain gain(uint32_t i) const {
    Gain gain;
    ValueId value = function_.ops[i].result();
    int home = grouping_.group_of[i];
    std::set<int> consumers;
    std::map<int, double> times;  // by group that reads the value
    for (uint32_t reader : readers_[value.index]) {
      consumers.insert(grouping_.group_of[reader]);
      double& most = times[grouping_.group_of[reader]];
      most = std::max(most, visits(reader, value).value_or(1));
    }
    bool used_at_home = consumers.erase(home) > 0;
    double saved = bytes(value) * static_cast<double>(1 + consumers.size());  // moved less
    for (ValueId leaf : reads_[i]) {
      for (int consumer : consumers)
        if (!made_in(leaf, consumer) && !read_in(leaf, consumer, i))
          saved -= bytes_read(i, leaf);
      if (made_in(leaf, home)) {
        if (!escapes(leaf, home)) {
          saved -= bytes_read(i, leaf);
          gain.writes_another = true;
        }
      } else if (!used_at_home && !read_in(leaf, home, i)) {
        saved += bytes_read(i, leaf);
      }
    }
    double more = used_at_home ? 0 : -1;
    for (int consumer : consumers)
      more += times[consumer];
    double elements = static_cast<double>(function_.type(value).elements());
    gain.nanoseconds =
        saved / table_.bytes - more * elements * arithmetic_nanoseconds(function_.ops[i]);
    return gain;
  }

  void repeat(uint32_t i) {
    ValueId value = function_.ops[i].result();
    for (uint32_t reader : readers_[value.index]) {
      reads_[reader].erase(value);
      for (ValueId leaf : reads_[i]) {
        reads_[reader].insert(leaf);
        readers_[leaf.index].insert(reader);
      }
    }
    readers_[value.index].clear();
    for (ValueId leaf : reads_[i])
      readers_[leaf.index].erase(i);
    repeated_[i] = true;
  }

  const Function& function_;
  const Grouping& grouping_;
  const CostTable& table_;
  std::vector<std::optional<OpId>> definitions_;  // by value
  std::vector<std::vector<uint32_t>> users_;  // by value: ops that name it as an operand
  std::vector<bool> is_result_;  // by value
  std::vector<bool> repeated_;  // by op
  std::vector<std::set<ValueId>> reads_;  // by op in a group, through repeated ones
  std::vector<std::set<uint32_t>> readers_;  // by value: the same from its side
};

}  // namespace

double cost_of(const Function& function, const Grouping& grouping, const CostTable& table) {
  std::vector<std::optional<OpId>> definitions = defining_ops(function);
  double flop_time = 0, moved = 0;
  std::vector<bool> escapes(function.values.size());
  for (const Result& result : function.results)
    escapes[result.value.index] = true;
  for (size_t g = 0; g < grouping.groups.size(); ++g) {
    std::set<ValueId> read;
    for (uint32_t i : grouping.groups[g].ops) {
      bool contracts = def(function.ops[i]).kernel == KernelClass::contract;
      flop_time += static_cast<double>(flops_of(function, function.ops[i])) /
                   (contracts ? table.contract_flops : table.other_flops);
      for (const Read& r : grouping.reads[i])
        if (std::optional<OpId> op = definitions[r.value.index];
            !op || grouping.group_of[op->index] != static_cast<int>(g))
          read.insert(r.value);
    }
    for (ValueId value : read) {
      moved += static_cast<double>(function.type(value).bytes());
      escapes[value.index] = true;
    }
  }
  for (size_t v = 0; v < escapes.size(); ++v)
    if (escapes[v] && definitions[v])
      moved += static_cast<double>(function.values[v].type.bytes());
  return flop_time + moved / table.bytes +
         kCallNanoseconds * static_cast<double>(grouping.groups.size());
}

Grouping group_by_cost(const Function& function, const CostTable& table,
                       std::vector<uint32_t> repeat, bool explain) {
  Grouping first = group_ops(function, {repeat});
  std::vector<uint32_t> more = Repeats(function, first, table).run();
  if (!more.empty()) {
    more.insert(more.end(), repeat.begin(), repeat.end());
    Grouping second = group_ops(function, {std::move(more), explain});
    if (cost_of(function, second, table) < cost_of(function, first, table))
      return second;
  }
  return explain ? group_ops(function, {std::move(repeat), explain}) : first;
}

}  // namespace gradc
