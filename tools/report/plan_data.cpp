#include "tools/report/plan_data.h"

#include <algorithm>

#include "compiler/plan/report.h"
#include "compiler/plan/storage.h"
#include "compiler/plan/views.h"
#include "ir/op_def.h"
#include "ir/print.h"
#include "tools/report/layers.h"

namespace gradc {
namespace {

using Json = nlohmann::ordered_json;

// Operations of one layer or line, by what they are done for.
struct Flops {
  int64_t forward = 0, backward = 0, recomputed = 0, update = 0;
  int64_t nanoseconds = 0;
  int64_t& of(Phase phase, bool again) {
    return again                      ? recomputed
           : phase == Phase::forward  ? forward
           : phase == Phase::backward ? backward
                                      : update;
  }
};

// Rows in the order of their first use.
class FlopTable {
 public:
  Flops& row(const std::string& name) {
    auto [found, fresh] = numbers_.try_emplace(name, rows_.size());
    if (fresh)
      rows_.emplace_back(name, Flops{});
    return rows_[found->second].second;
  }
  Json json(StringTable& strings) const {
    Json json = Json::array();
    for (const auto& [name, flops] : rows_)
      json.push_back({{"name", strings.add(name)},
                      {"forward", flops.forward},
                      {"backward", flops.backward},
                      {"recomputed", flops.recomputed},
                      {"update", flops.update},
                      {"nanoseconds", flops.nanoseconds}});
    return json;
  }

 private:
  std::map<std::string, size_t> numbers_;
  std::vector<std::pair<std::string, Flops>> rows_;
};

// `lenet.model:4` of `lenet.model:4:7`; what is no such place stays.
std::string line_of(const std::string& loc) {
  auto number_before = [&](size_t end) {
    size_t begin = end;
    while (begin > 0 && loc[begin - 1] >= '0' && loc[begin - 1] <= '9')
      --begin;
    bool is_number = begin < end && begin > 0 && loc[begin - 1] == ':';
    return is_number ? begin - 1 : std::string::npos;
  };
  size_t column = number_before(loc.size());
  if (column == std::string::npos || number_before(column) == std::string::npos)
    return loc;
  return loc.substr(0, column);
}

class PlanWriter {
 public:
  PlanWriter(const Module& module, const Function& entry, const Options& options,
             StringTable& strings)
      : module_(module),
        entry_(entry),
        options_(options),
        strings_(strings),
        report_(memory_report(module, entry, options)),
        layers_(layers_of(module, entry)) {
    for (const Op& op : entry.ops) {
      time_.push_back(kernels_);
      kernels_ += !is_view(op);
    }
  }

  Json run(const TrackedFunction& tracked, const std::map<std::string, int>& kernels) {
    Json json = summary();
    json["calls"] = calls(tracked, kernels);
    json["values"] = values(tracked);
    json["lifetimes"] = lifetimes();
    json["live"] = live();
    json["peak"] = peak();
    json["by_layer"] = by_layer();
    json["by_line"] = by_line();
    return json;
  }

 private:
  bool is_call(size_t op) const { return !is_view(entry_.ops[op]); }

  // Whether a kernel gives back what another one reads.
  bool is_inverse(const Function& kernel) const {
    const Attr* of = kernel.attrs.find("recipe_of");
    return of && kernel.attrs.integer("gives") <
                     std::ssize(module_.function(std::get<std::string>(*of)).parameters);
  }

  static Json work_json(const Work& work) {
    return {{"flops", work.flops}, {"nanoseconds", work.nanoseconds}};
  }

  // What --memory and --memory-total leave to the arena; null for no limit.
  Json budget() const {
    int64_t bytes = options_.memory.value_or(INT64_MAX);
    if (options_.memory_total)
      bytes = std::min(bytes, *options_.memory_total - report_.others.total());
    return bytes == INT64_MAX ? Json(nullptr) : Json(bytes);
  }

  Json summary() const {
    return {
        {"arena_bytes", report_.arena_bytes},     {"budget_bytes", budget()},
        {"peak_bytes", report_.peak_bytes},       {"kernel_floor_bytes", report_.floor_bytes},
        {"state_bytes", report_.others.state},    {"input_bytes", report_.others.inputs},
        {"output_bytes", report_.others.outputs}, {"overhead", report_.overhead()},
        {"forward", work_json(report_.forward)},  {"backward", work_json(report_.backward)},
        {"update", work_json(report_.update)},    {"recomputed", work_json(report_.recomputed)}};
  }

  static Json numbers(const std::vector<ValueId>& values) {
    Json json = Json::array();
    for (ValueId value : values)
      json.push_back(value.index);
    return json;
  }

  Json calls(const TrackedFunction& tracked, const std::map<std::string, int>& kernels) const {
    Json json = Json::array();
    for (size_t i = 0; i < entry_.ops.size(); ++i) {
      const Op& op = entry_.ops[i];
      if (!is_call(i))
        continue;
      json.push_back({{"op", i},
                      {"kernel", kernels.at(op.callee)},
                      {"phase", name_of(op.phase)},
                      {"recomputed", static_cast<bool>(report_.recomputed_ops[i])},
                      {"inverted", is_inverse(module_.function(op.callee))},
                      {"flops", report_.work[i].flops},
                      {"nanoseconds", report_.work[i].nanoseconds},
                      {"loc", strings_.add(op.loc)},
                      {"layer", strings_.add(layers_[i])},
                      {"operands", numbers(op.operands)},
                      {"results", numbers(op.results)},
                      {"inside", tracked.inside[i]}});
    }
    return json;
  }

  // `root` is the value whose bytes a view has; else the value itself.
  Json values(const TrackedFunction& tracked) const {
    std::vector<Storage> storage = storage_of(module_, entry_);
    std::vector<std::string> names = unique_names(entry_);
    std::vector<uint32_t> root(entry_.values.size());
    for (uint32_t i = 0; i < root.size(); ++i)
      root[i] = i;
    for (const Op& op : entry_.ops)
      if (is_view(op))
        root[op.result().index] = root[op.operand(0).index];
    Json json = Json::array();
    for (uint32_t i = 0; i < root.size(); ++i) {
      const Storage& place = storage[i];
      bool state = place.region == Region::state;
      json.push_back({{"name", strings_.add(names[i])},
                      {"type", strings_.add(to_string(entry_.values[i].type))},
                      {"bytes", entry_.values[i].type.bytes()},
                      {"region", name_of(place.region)},
                      {"state", state ? strings_.add(module_.states[place.index].name) : -1},
                      {"offset", place.offset},
                      {"id", tracked.ids[i]},
                      {"root", root[i]}});
    }
    return json;
  }

  Json lifetimes() const {
    Json json = Json::array();
    for (const Lifetime& lifetime : report_.lifetimes)
      json.push_back({{"name", strings_.add(lifetime.name)},
                      {"bytes", lifetime.bytes},
                      {"offset", lifetime.offset},
                      {"first", time_[lifetime.first]},
                      {"last", time_[lifetime.last]},
                      {"value", lifetime.value.valid() ? Json(lifetime.value.index) : Json(-1)},
                      {"in_place_of", lifetime.in_place_of}});
    return json;
  }

  Json live() const {
    Json json = Json::array();
    for (size_t i = 0; i < entry_.ops.size(); ++i)
      if (is_call(i))
        json.push_back(report_.live_bytes[i]);
    return json;
  }

  // Where a view stands at the peak, the kernel after it holds as much.
  Json peak() const {
    Json holders = Json::array();
    for (const Lifetime& holder : holders_at(report_, report_.peak_op))
      holders.push_back({{"name", strings_.add(holder.name)}, {"bytes", holder.bytes}});
    return {{"time", kernels_ == 0 ? 0 : time_[report_.peak_op]},
            {"bytes", report_.peak_bytes},
            {"holders", holders}};
  }

  Json by_layer() const {
    FlopTable table;
    // Layers, and nodes of the model, come in the order of the forward pass.
    for (Phase phase : {Phase::forward, Phase::backward, Phase::update})
      for (size_t i = 0; i < entry_.ops.size(); ++i)
        if (is_call(i) && entry_.ops[i].phase == phase) {
          Flops& row = table.row(layers_[i]);
          row.of(phase, report_.recomputed_ops[i]) += report_.work[i].flops;
          row.nanoseconds += report_.work[i].nanoseconds;
        }
    return table.json(strings_);
  }

  Json by_line() const {
    FlopTable table;
    for (Phase phase : {Phase::forward, Phase::backward, Phase::update})
      for (size_t i = 0; i < entry_.ops.size(); ++i) {
        if (!is_call(i) || entry_.ops[i].phase != phase)
          continue;
        const Function& kernel = module_.function(entry_.ops[i].callee);
        for (const Op& op : kernel.ops)
          table.row(line_of(op.loc)).of(phase, report_.recomputed_ops[i]) += flops_of(kernel, op);
      }
    return table.json(strings_);
  }

  const Module& module_;
  const Function& entry_;
  const Options& options_;
  StringTable& strings_;
  MemoryReport report_;
  std::vector<std::string> layers_;
  std::vector<int> time_;  // by op: kernels before it
  int kernels_ = 0;
};

}  // namespace

nlohmann::ordered_json plan_json(const Module& planned, const Function& entry,
                                 const TrackedFunction& tracked, const Options& options,
                                 const std::map<std::string, int>& kernels, StringTable& strings) {
  return PlanWriter(planned, entry, options, strings).run(tracked, kernels);
}

}  // namespace gradc
