#include "compiler/import/onnx/states.h"

#include <algorithm>
#include <set>

#include "compiler/file_names.h"
#include "compiler/import/onnx/names.h"
#include "ir/diagnostic.h"

namespace gradc::onnx {

std::string States::declare(const std::string& name, const Constant& content, Role role,
                            const std::string& loc) {
  // The same value may be folded to different contents in inference and in training.
  std::string source = name;
  for (int i = 1; by_source_.contains(source); ++i) {
    Entry& known = entries_[by_source_[source]];
    std::span<const std::byte> bytes = known.tensor.content.bytes, more = content.content.bytes;
    if (known.tensor.type == content.type &&
        (bytes.data() == more.data() || std::equal(bytes.begin(), bytes.end(), more.begin()))) {
      if (role == Role::buffer)
        known.tensor.role = role;
      return known.tensor.name;
    }
    source = name + "." + std::to_string(i);
  }
  std::string base = ir_name(source), unique = base;
  for (int i = 1; by_name_.contains(unique); ++i)
    unique = base + "." + std::to_string(i);
  auto first = first_.find(source);
  Entry entry{{unique, content.type, role, {}, loc, content.content},
              source,
              first == first_.end() ? first_.size() + entries_.size() : first->second};
  by_source_[source] = by_name_[unique] = entries_.size();
  entries_.push_back(std::move(entry));
  return unique;
}

const std::string& States::source(const std::string& state) const {
  return entries_[by_name_.at(state)].source;
}

StateTensor& States::tensor(const std::string& state) {
  return entries_[by_name_.at(state)].tensor;
}

std::vector<StateTensor> States::ordered() const {
  std::vector<const Entry*> entries;
  for (const Entry& entry : entries_)
    entries.push_back(&entry);
  std::stable_sort(entries.begin(), entries.end(), [](const Entry* a, const Entry* b) {
    return std::pair(a->tensor.role, a->order) < std::pair(b->tensor.role, b->order);
  });
  std::vector<StateTensor> tensors;
  std::set<std::string> in_files;
  for (const Entry* entry : entries) {
    StateTensor tensor = entry->tensor;
    // Names that neither messages nor the IR's text can show stay out of files too.
    bool keeps_name =
        readable(entry->source) == entry->source && in_files.insert(entry->source).second;
    if (!keeps_name)
      in_files.insert(tensor.name);
    else if (tensor.name != entry->source)
      tensor.attrs.set(kFileName, entry->source);
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

}  // namespace gradc::onnx
