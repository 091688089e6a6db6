#include "compiler/plan/checker.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "compiler/kernel.h"
#include "compiler/plan/byte_map.h"
#include "compiler/plan/storage.h"
#include "compiler/plan/views.h"
#include "ir/op_def.h"
#include "ir/print.h"

namespace gradc {
namespace {

struct Range {
  int64_t begin = 0, end = 0;
  bool overlaps(const Range& other) const {
    return std::max(begin, other.begin) < std::min(end, other.end);
  }
  bool operator==(const Range&) const = default;
};

// Contents are named by tags: a value's index for itself and its views, and for the scratch of op i
// the number of values plus i.
class MemoryReplay {
 public:
  MemoryReplay(const Module& module, const Function& entry, int threads)
      : module_(module),
        entry_(entry),
        threads_(threads),
        storage_(storage_of(module, entry)),
        names_(unique_names(entry)),
        root_(entry.values.size()) {
    for (uint32_t i = 0; i < root_.size(); ++i)
      root_[i] = ValueId{i};
  }

  void run(std::optional<int64_t> budget) {
    if (!entry_.arena_bytes)
      bad("the entry has no arena; run `plan` first");
    if (budget && *entry_.arena_bytes > *budget)
      bad("the arena of {} bytes is above the budget of {}", *entry_.arena_bytes, *budget);
    for (const Parameter& parameter : entry_.parameters) {
      check_place(parameter.value);
      write(parameter.value);
    }
    for (size_t i = 0; i < entry_.ops.size(); ++i)
      if (is_view(entry_.ops[i]))
        view(entry_.ops[i]);
      else
        call(entry_.ops[i], i);
    for (const Result& result : entry_.results)
      read(result.value, "return");
  }

 private:
  template <typename... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    fail("@{}: {}", entry_.name, fmt::format(format, std::forward<Args>(args)...));
  }

  std::string shown(ValueId id) const { return "%" + names_[id.index]; }
  ValueId root(ValueId id) const { return root_[id.index]; }
  const Storage& storage(ValueId id) const { return storage_[id.index]; }

  ByteMap& memory_of(const Storage& at) {
    bool whole_region = at.region == Region::arena || at.region == Region::state;
    return memory_[{at.region, whole_region ? 0 : at.index}];
  }

  Range range(ValueId id) const {
    int64_t begin = storage(id).offset;
    return {begin, begin + entry_.type(id).bytes()};
  }

  std::string content(ByteMap::Tag tag) const {
    auto values = static_cast<ByteMap::Tag>(entry_.values.size());
    if (tag == ByteMap::kUnwritten)
      return "nothing yet";
    if (tag < values)
      return "%" + names_[static_cast<size_t>(tag)];
    return fmt::format("scratch of @{}", entry_.ops[static_cast<size_t>(tag - values)].callee);
  }

  // Values outside of the arena get their place from the rules, the others from the plan.
  void check_place(ValueId id) const {
    const std::optional<int64_t>& offset = entry_[id].offset;
    if (storage(id).region != Region::arena) {
      if (offset)
        bad("{} lives in the region `{}`, but has the arena offset {}", shown(id),
            name_of(storage(id).region), *offset);
      return;
    }
    if (!offset)
      bad("{} has no place in the arena", shown(id));
    check_place(shown(id), range(id));
  }

  void check_place(const std::string& what, const Range& place) const {
    if (place.begin % kAlignment != 0)
      bad("{} at offset {} is not aligned to {}", what, place.begin, kAlignment);
    if (place.begin < 0 || place.end > *entry_.arena_bytes)
      bad("{} takes bytes {} to {} of an arena of {}", what, place.begin, place.end,
          *entry_.arena_bytes);
  }

  void write(ValueId id) { memory_of(storage(id)).write(range(id).begin, range(id).end, id.index); }

  void read(ValueId id, std::string_view reader) {
    ByteMap::Tag expected = root(id).index;
    auto found = memory_of(storage(id)).other_than(range(id).begin, range(id).end, expected);
    if (!found)
      return;
    if (storage(id).region == Region::state)
      bad("{} reads {} of state @{} after {} was stored there", reader, shown(id),
          module_.states[static_cast<size_t>(storage(id).index)].name, content(*found));
    bad("{} reads {}, but its bytes hold {}", reader, shown(id), content(*found));
  }

  void view(const Op& op) {
    root_[op.result().index] = root(op.operand(0));
    if (entry_[op.result()].offset)
      bad("{} is a view, which has its operand's place and no offset", shown(op.result()));
  }

  void call(const Op& op, size_t index) {
    const Function& kernel = module_.function(op.callee);
    for (ValueId operand : op.operands)
      read(operand, "@" + op.callee);
    for (size_t i = 0; i < op.results.size(); ++i) {
      check_place(op.results[i]);
      for (size_t j = 0; j < i; ++j)
        if (same_memory(op.results[i], op.results[j]) &&
            range(op.results[i]).overlaps(range(op.results[j])))
          bad("results {} and {} of @{} overlap", shown(op.results[j]), shown(op.results[i]),
              op.callee);
      check_shared(kernel, op, i);
    }
    scratch(kernel, op, index);
    for (ValueId result : op.results)
      write(result);
  }

  bool same_memory(ValueId a, ValueId b) const {
    const Storage &x = storage(a), &y = storage(b);
    return x.region == y.region && x.index == y.index;
  }

  // A result may start where an operand does if the kernel says so, for each operand that is there.
  void check_shared(const Function& kernel, const Op& op, size_t result) const {
    ValueId written = op.results[result];
    for (size_t i = 0; i < op.operands.size(); ++i) {
      ValueId operand = op.operands[i];
      if (!same_memory(operand, written) || !range(operand).overlaps(range(written)))
        continue;
      if (!may_overwrite(kernel, i, result))
        bad("{} overwrites operand {} of @{}, whose `inplace` does not allow it", shown(written),
            shown(operand), op.callee);
      if (!(range(operand) == range(written)))
        bad("{} is not at the same bytes as {}, which @{} overwrites", shown(written),
            shown(operand), op.callee);
    }
  }

  void scratch(const Function& kernel, const Op& op, size_t index) {
    int64_t bytes = scratch_bytes(kernel, threads_);
    if (bytes == 0)
      return;
    if (!op.attrs.has("scratch_at"))
      bad("@{} needs {} bytes of scratch and has no place for them", op.callee, bytes);
    int64_t begin = op.attrs.integer("scratch_at");
    Range place{begin, begin + bytes};
    check_place("the scratch of @" + op.callee, place);
    for (const auto* values : {&op.operands, &op.results})
      for (ValueId id : *values)
        if (storage(id).region == Region::arena && range(id).overlaps(place))
          bad("the scratch of @{} overlaps its own {}", op.callee, shown(id));
    memory_[{Region::arena, 0}].write(place.begin, place.end,
                                      static_cast<ByteMap::Tag>(entry_.values.size() + index));
  }

  const Module& module_;
  const Function& entry_;
  int threads_;
  std::vector<Storage> storage_;
  std::vector<std::string> names_;
  std::vector<ValueId> root_;  // by ValueId: what it is a view of, or itself
  std::map<std::pair<Region, int64_t>, ByteMap> memory_;
};

// Maps the values of the planned entry to those of the original that they repeat.
class ComputationReplay {
 public:
  ComputationReplay(const Module& module, const Function& original, const Function& planned,
                    bool rounding)
      : module_(module),
        rounding_(rounding),
        original_(original),
        planned_(planned),
        names_(unique_names(planned)),
        same_as_(planned.values.size()),
        classes_(original.values.size()) {
    for (const Parameter& parameter : original.parameters)
      classes_[parameter.value.index] = parameter.value;
    for (const Op& op : original.ops) {
      Key name = key(op, classes_);
      if (const Op* slice = op.callee.empty() ? nullptr : only_slice(module.function(op.callee)))
        shown_.emplace(Key{Opcode::slice, "", std::get<2>(name), slice->attrs}, name);
      Computation& computation = computations_[std::move(name)];
      if (!computation.first)
        computation.first = &op;
      ++computation.due;
      if (!op.callee.empty())
        calls_[op.callee].push_back(&op);
      for (size_t i = 0; i < op.results.size(); ++i)
        classes_[op.results[i].index] = computation.first->results[i];
    }
  }

  void run() {
    match_parameters();
    for (const Op& op : planned_.ops)
      match(op);
    for (const auto& [unused, computation] : computations_)
      if (computation.due > 0 && !is_view(*computation.first))
        bad("@{} giving %{} never runs", computation.first->callee,
            original_[computation.first->result()].name);
    match_results();
  }

 private:
  // Ops with equal keys give equal bits. Operands are those of the original, and of those that are
  // computed alike the first.
  using Key = std::tuple<Opcode, std::string, std::vector<ValueId>, Attrs>;
  struct Computation {
    const Op* first = nullptr;  // in the original
    int due = 0;  // how often it is there and has not run yet
  };

  template <typename... Args>
  [[noreturn]] void bad(fmt::format_string<Args...> format, Args&&... args) const {
    fail("@{}: {}", planned_.name, fmt::format(format, std::forward<Args>(args)...));
  }

  static Key key(const Op& op, const std::vector<ValueId>& same_as) {
    std::vector<ValueId> operands;
    for (ValueId operand : op.operands)
      operands.push_back(same_as[operand.index]);
    Attrs attrs;
    for (const auto& [name, attr] : op.attrs)
      if (name != "scratch_at")
        attrs.set(name, attr);
    return {op.code, op.callee, std::move(operands), attrs};
  }

  void match_parameters() {
    if (planned_.parameters.size() != original_.parameters.size())
      bad("has {} parameters, the original {}", planned_.parameters.size(),
          original_.parameters.size());
    for (size_t i = 0; i < planned_.parameters.size(); ++i) {
      const Parameter &ours = planned_.parameters[i], &theirs = original_.parameters[i];
      if (ours.state != theirs.state || planned_.type(ours.value) != original_.type(theirs.value))
        bad("parameter {} is not that of the original", i);
      same_as_[ours.value.index] = theirs.value;
    }
  }

  void match(const Op& op) {
    Key name = key(op, same_as_);
    if (auto shown = shown_.find(name); shown != shown_.end())
      name = shown->second;
    auto found = computations_.find(name);
    if (found == computations_.end() && match_recipe(op))
      return;
    if (found == computations_.end())
      bad("{} giving %{} repeats no op of the original: other operands, or another callee",
          op.callee.empty() ? std::string(def(op).name) : "@" + op.callee,
          names_[op.result().index]);
    --found->second.due;
    for (size_t i = 0; i < op.results.size(); ++i)
      same_as_[op.results[i].index] = found->second.first->results[i];
  }

  // Whether `op` calls a recipe of a kernel with what a call of that has read and given.
  bool match_recipe(const Op& op) {
    const Function* recipe = op.callee.empty() ? nullptr : module_.find_function(op.callee);
    if (!recipe || !recipe->attrs.has("recipe_of"))
      return false;
    if (recipe->attrs.flag("rounds") && !rounding_)
      bad("@{} giving %{} rounds, which has to be asked for", op.callee, names_[op.result().index]);
    const std::vector<int64_t>& takes = recipe->attrs.integers("takes");
    for (const Op* call : calls_[recipe->attrs.string("recipe_of")]) {
      bool same = takes.size() == op.operands.size();
      for (size_t i = 0; same && i < takes.size(); ++i)
        same = same_as_[op.operand(i).index] == classes_[numbered(*call, takes[i]).index];
      if (!same)
        continue;
      same_as_[op.result().index] = classes_[numbered(*call, recipe->attrs.integer("gives")).index];
      return true;
    }
    return false;
  }

  void match_results() {
    if (planned_.results.size() != original_.results.size())
      bad("has {} results, the original {}", planned_.results.size(), original_.results.size());
    for (size_t i = 0; i < planned_.results.size(); ++i) {
      const Result &ours = planned_.results[i], &theirs = original_.results[i];
      if (ours.name != theirs.name || ours.state != theirs.state)
        bad("result {} is not that of the original", i);
      if (same_as_[ours.value.index] != classes_[theirs.value.index])
        bad("result {} is %{} where the original gives %{}", i, names_[ours.value.index],
            original_[theirs.value].name);
    }
  }

  const Module& module_;
  bool rounding_;
  const Function& original_;
  const Function& planned_;
  std::vector<std::string> names_;
  std::map<std::string, std::vector<const Op*>> calls_;  // of the original, by kernel
  std::vector<ValueId> same_as_;  // by planned value: the original's, the first computed alike
  std::vector<ValueId> classes_;  // by value of the original: the first that is computed alike
  std::map<Key, Computation> computations_;
  std::map<Key, Key> shown_;  // by a slice as a view: the call that copies it
};

}  // namespace

void check_memory(const Module& module, const Function& planned, int threads,
                  std::optional<int64_t> budget) {
  MemoryReplay(module, planned, threads).run(budget);
}

void check_computation(const Module& module, const Function& original, const Function& planned,
                       bool rounding) {
  ComputationReplay(module, original, planned, rounding).run();
}

}  // namespace gradc
