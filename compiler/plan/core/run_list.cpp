#include "compiler/plan/core/run_list.h"

namespace gradc {

void RunList::clear() {
  for (int block : order_)
    unused_.push_back(block);
  order_.clear();
}

int RunList::new_block(size_t rank) {
  int block = 0;
  if (unused_.empty()) {
    block = static_cast<int>(blocks_.size());
    blocks_.push_back(std::make_unique<Block>());
  } else {
    block = unused_.back();
    unused_.pop_back();
    *blocks_[block] = Block{};
  }
  order_.insert(order_.begin() + static_cast<std::ptrdiff_t>(rank), block);
  renumber_blocks();
  return block;
}

void RunList::renumber_blocks() {
  for (size_t rank = 0; rank < order_.size(); ++rank)
    blocks_[order_[rank]]->rank = static_cast<int>(rank);
}

void RunList::split(int from) {
  int to = new_block(static_cast<size_t>(blocks_[from]->rank) + 1);
  Block& left = *blocks_[from];
  Block& right = *blocks_[to];
  constexpr int kHalf = kBlock / 2;
  right.added = left.added;
  right.count = left.count - kHalf;
  left.count = kHalf;
  for (int slot = 0; slot < right.count; ++slot) {
    right.runs[slot] = left.runs[kHalf + slot];
    right.bytes[slot] = left.bytes[kHalf + slot];
    places_[right.runs[slot]].block = to;
    places_[right.runs[slot]].slot = slot;
  }
  find_most(left);
  find_most(right);
}

void RunList::insert(int run, int before, int64_t bytes) {
  if (static_cast<size_t>(run) >= places_.size())
    places_.resize(static_cast<size_t>(run) + 1);
  if (order_.empty())
    new_block(0);
  int at = before == kNone ? order_.back() : places_[before].block;
  if (blocks_[at]->count == kBlock) {
    split(at);
    at = before == kNone ? order_.back() : places_[before].block;
  }
  Block& block = *blocks_[at];
  int slot = before == kNone ? block.count : places_[before].slot;
  for (int i = block.count; i > slot; --i) {
    block.runs[i] = block.runs[i - 1];
    block.bytes[i] = block.bytes[i - 1];
    places_[block.runs[i]].slot = i;
  }
  ++block.count;
  block.runs[slot] = run;
  block.bytes[slot] = bytes - block.added;
  block.most = std::max(block.most, block.bytes[slot]);
  places_[run] = {0, at, slot};
  set_label(run);
}

void RunList::set_label(int run) {
  int before = previous(run), after = next(run);
  int64_t low = before == kNone ? 0 : label(before);
  if (after == kNone) {
    places_[run].label = low + kSpacing;
  } else if (label(after) - low >= 2) {
    places_[run].label = low + (label(after) - low) / 2;
  } else {
    renumber_labels();
  }
}

void RunList::renumber_labels() {
  int64_t label = 0;
  for (int block : order_)
    for (int slot = 0; slot < blocks_[block]->count; ++slot)
      places_[blocks_[block]->runs[slot]].label = label += kSpacing;
  ++renumberings_;
}

void RunList::erase(int run) {
  auto [label, at, slot] = places_[run];
  Block& block = *blocks_[at];
  bool was_most = block.bytes[slot] == block.most;
  --block.count;
  for (int i = slot; i < block.count; ++i) {
    block.runs[i] = block.runs[i + 1];
    block.bytes[i] = block.bytes[i + 1];
    places_[block.runs[i]].slot = i;
  }
  if (block.count > 0) {
    if (was_most)
      find_most(block);
    return;
  }
  order_.erase(order_.begin() + block.rank);
  unused_.push_back(at);
  renumber_blocks();
}

int RunList::front() const {
  return order_.empty() ? kNone : blocks_[order_.front()]->runs[0];
}

int RunList::next(int run) const {
  const Place& place = places_[run];
  const Block& block = *blocks_[place.block];
  if (place.slot + 1 < block.count)
    return block.runs[place.slot + 1];
  size_t rank = static_cast<size_t>(block.rank) + 1;
  return rank < order_.size() ? blocks_[order_[rank]]->runs[0] : kNone;
}

int RunList::previous(int run) const {
  const Place& place = places_[run];
  const Block& block = *blocks_[place.block];
  if (place.slot > 0)
    return block.runs[place.slot - 1];
  if (block.rank == 0)
    return kNone;
  const Block& before = *blocks_[order_[static_cast<size_t>(block.rank) - 1]];
  return before.runs[before.count - 1];
}

void RunList::add(int run, int64_t bytes) {
  const Place& place = places_[run];
  add_in(*blocks_[place.block], place.slot, place.slot + 1, bytes);
}

void RunList::add_in(Block& block, int begin, int end, int64_t bytes) {
  int64_t most = INT64_MIN;  // of these slots, before
  for (int slot = begin; slot < end; ++slot) {
    most = std::max(most, block.bytes[slot]);
    block.bytes[slot] += bytes;
  }
  if (begin == end)
    return;
  if (bytes > 0)
    block.most = std::max(block.most, most + bytes);
  else if (most == block.most)
    find_most(block);
}

void RunList::add_between(int first, int last, int64_t bytes) {
  const Place &from = places_[first], &to = places_[last];
  Block &head = *blocks_[from.block], &tail = *blocks_[to.block];
  if (from.block == to.block)
    return add_in(head, from.slot + 1, to.slot, bytes);
  add_in(head, from.slot + 1, head.count, bytes);
  for (int rank = head.rank + 1; rank < tail.rank; ++rank)
    blocks_[order_[rank]]->added += bytes;
  add_in(tail, 0, to.slot, bytes);
}

int RunList::above_between(int first, int last, int64_t limit) const {
  const Place &from = places_[first], &to = places_[last];
  auto above_in = [limit](const Block& block, int begin, int end) {
    if (block.most + block.added > limit)
      for (int slot = begin; slot < end; ++slot)
        if (block.bytes[slot] + block.added > limit)
          return block.runs[slot];
    return kNone;
  };
  const Block &head = *blocks_[from.block], &tail = *blocks_[to.block];
  if (from.block == to.block)
    return above_in(head, from.slot + 1, to.slot);
  int run = above_in(head, from.slot + 1, head.count);
  for (int rank = head.rank + 1; run == kNone && rank < tail.rank; ++rank)
    run = above_in(*blocks_[order_[rank]], 0, blocks_[order_[rank]]->count);
  return run != kNone ? run : above_in(tail, 0, to.slot);
}

void RunList::Above::find(const RunList& list, int64_t limit) {
  size_t count = 0;
  of_block_.assign(list.blocks_.size(), {});
  for (int b : list.order_) {
    const Block& block = *list.blocks_[b];
    OfBlock& of = of_block_[b];
    of.first = count;
    if (block.most + block.added <= limit)
      continue;
    if (runs_.size() < count + kBlock) {
      runs_.resize(count + kBlock);
      excess_.resize(count + kBlock);
    }
    for (int slot = 0; slot < block.count; ++slot) {
      int64_t excess = block.bytes[slot] + block.added - limit;
      bool is_above = excess > 0;  // no branch: every slot is written, these are counted
      runs_[count] = block.runs[slot];
      excess_[count] = excess;
      of.slots |= uint64_t{is_above} << slot;
      count += is_above;
    }
  }
  runs_.resize(count);
  excess_.resize(count);
}

int RunList::peak() const {
  int64_t most = peak_bytes();
  for (int b : order_) {
    const Block& block = *blocks_[b];
    if (block.most + block.added < most)
      continue;
    for (int slot = 0; slot < block.count; ++slot)
      if (block.bytes[slot] + block.added == most)
        return block.runs[slot];
  }
  return kNone;
}

int64_t RunList::peak_bytes() const {
  int64_t most = INT64_MIN;
  for (int b : order_)
    most = std::max(most, blocks_[b]->most + blocks_[b]->added);
  return order_.empty() ? 0 : most;
}

}  // namespace gradc
