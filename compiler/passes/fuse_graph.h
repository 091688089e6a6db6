#pragma once
// Groups of ops that grow, and which of them must run before which: what fuse_groups.cpp merges by
// its rules, and what says whether a merger leaves an order in which each group runs as a whole.
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

#include "compiler/passes/fuse_facts.h"

namespace gradc {

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

// Ops go by their indices in Function::ops, and a group goes by one of its ops.
class GroupGraph {
 public:
  GroupGraph(const Function& function, const OpFacts& facts);

  // Ops that are not repeated in list order, except where a write of state had to wait.
  std::vector<uint32_t> op_order() const;
  // Makes a group of the op, which comes behind all that were started before.
  void start(uint32_t op);
  const std::vector<uint32_t>& started() const { return started_; }

  uint32_t find(uint32_t op) const;  // its group
  const std::vector<uint32_t>& ops(uint32_t group) const { return ops_[group]; }  // rising
  std::vector<uint32_t> groups() const;  // in the order in which they were started
  // The op whose memory a value is: through views to where it was computed.
  std::optional<uint32_t> source(ValueId value) const;
  bool makes(uint32_t group, ValueId value) const;

  // Whether a path leads from group a through a third group to group b.
  bool detour(uint32_t a, uint32_t b) const;
  void merge(uint32_t a, uint32_t b);  // they become group a

  // Groups in an order of execution: of those for which all they read is there, the first in
  // place.
  std::vector<uint32_t> group_order() const;

 private:
  void add_dependencies();
  void put_before(uint32_t group, uint32_t op);
  bool has_followers(uint32_t group) const;
  uint32_t place(uint32_t group) const;

  const Function& function_;
  const OpFacts& facts_;
  std::vector<uint32_t> parent_;  // union-find over ops
  std::vector<std::vector<uint32_t>> ops_;  // by group
  std::vector<std::set<uint32_t>> predecessors_;  // by op: ops that must come before
  std::vector<OpSet> ancestors_;  // by group: all ops that must come before
  std::vector<uint32_t> started_;
  std::vector<std::vector<uint32_t>> followers_;  // by op: ops that started and come after it
};

}  // namespace gradc
