#include "tools/report/stages.h"

#include <algorithm>
#include <set>

#include "ir/op_def.h"
#include "ir/print.h"

namespace gradc {
namespace {

// The entry, then the bodies that it runs, each once; nothing when the entry is not there yet.
std::vector<const Function*> functions_of(const Module& module, const std::string& entry) {
  std::vector<const Function*> functions;
  if (const Function* function = module.find_function(entry))
    functions.push_back(function);
  for (size_t i = 0; i < functions.size(); ++i)
    for (const Op& op : functions[i]->ops) {
      const Function* callee = op.callee.empty() ? nullptr : module.find_function(op.callee);
      if (callee && callee->kind == FunctionKind::body &&
          std::find(functions.begin(), functions.end(), callee) == functions.end())
        functions.push_back(callee);
    }
  return functions;
}

std::vector<int> ids_of(const StageFunction& stage, const std::vector<ValueId>& values) {
  std::vector<int> ids;
  for (ValueId value : values)
    ids.push_back(stage.tracked.ids[value.index]);
  return ids;
}

// All that a line says, with values by id instead of by name.
std::string meaning(const StageFunction& stage, const TextLine& line) {
  const Function& function = *stage.function;
  if (line.result != TextLine::kNone) {
    const Result& result = function.results[line.result];
    return fmt::format("{} {} {}", result.name, result.state,
                       stage.tracked.ids[result.value.index]);
  }
  const Op& op = function.ops[line.op];
  std::string text = fmt::format("{} {} {} {}", def(op).name, op.callee, to_string(op.attrs),
                                 fmt::join(ids_of(stage, op.operands), " "));
  for (ValueId result : op.results)
    text += fmt::format("; {} {} {}", stage.tracked.ids[result.index],
                        to_string(function.type(result)), function[result].offset.value_or(-1));
  return text;
}

// How often a function makes each value; ones that kernels make count as often as anyone asks.
std::map<int, int> times_made(const StageFunction& stage) {
  std::map<int, int> times;
  for (const Op& op : stage.function->ops)
    for (int id : ids_of(stage, op.results))
      ++times[id];
  for (const std::vector<int>& inside : stage.tracked.inside)
    for (int id : inside)
      times[id] = INT32_MAX;
  return times;
}

std::set<int> known_ids(const StageFunction& stage) {
  std::set<int> ids(stage.tracked.ids.begin(), stage.tracked.ids.end());
  for (const std::vector<int>& inside : stage.tracked.inside)
    ids.insert(inside.begin(), inside.end());
  return ids;
}

void mark_against(StageFunction& stage, const StageFunction* before) {
  std::set<int> known;
  std::set<std::string> meanings;
  if (before) {
    known = known_ids(*before);
    for (const TextLine& line : before->lines)
      if (line.op != TextLine::kNone || line.result != TextLine::kNone)
        meanings.insert(meaning(*before, line));
  }
  auto knows = [&](ValueId value) { return known.contains(stage.tracked.ids[value.index]); };
  for (size_t i = 0; i < stage.lines.size(); ++i) {
    const TextLine& line = stage.lines[i];
    if (line.parameter != TextLine::kNone) {
      stage.marks[i] = knows(stage.function->parameters[line.parameter].value) ? kSame : kNew;
    } else if (line.result != TextLine::kNone) {
      stage.marks[i] = meanings.contains(meaning(stage, line)) ? kSame : kNew;
    } else if (line.op != TextLine::kNone) {
      const std::vector<ValueId>& results = stage.function->ops[line.op].results;
      bool any_known = std::any_of(results.begin(), results.end(), knows);
      stage.marks[i] = meanings.contains(meaning(stage, line)) ? kSame
                       : any_known                             ? kChanged
                                                               : kNew;
    }
  }
}

// Of values that are made several times, the last ones are those that the next stage lacks.
void mark_gone(StageFunction& stage, const StageFunction* next) {
  std::map<int, int> left = next ? times_made(*next) : std::map<int, int>{};
  std::set<int> kept = next ? known_ids(*next) : std::set<int>{};
  for (size_t i = 0; i < stage.lines.size(); ++i) {
    const TextLine& line = stage.lines[i];
    bool gone = false;
    if (line.parameter != TextLine::kNone) {
      ValueId value = stage.function->parameters[line.parameter].value;
      gone = !kept.contains(stage.tracked.ids[value.index]);
    } else if (line.op != TextLine::kNone) {
      std::vector<int> ids = ids_of(stage, stage.function->ops[line.op].results);
      gone = std::none_of(ids.begin(), ids.end(), [&](int id) { return left[id] > 0; });
      for (int id : ids)
        --left[id];
    }
    if (gone)
      stage.marks[i] |= kGoneNext;
  }
}

const StageFunction* find(const std::map<std::string, StageFunction>& functions,
                          const std::string& name) {
  auto found = functions.find(name);
  return found == functions.end() ? nullptr : &found->second;
}

nlohmann::ordered_json function_json(const StageFunction& stage, StringTable& strings) {
  nlohmann::ordered_json lines = nlohmann::json::array(), names = lines, inside = lines;
  const Function& function = *stage.function;
  for (size_t i = 0; i < stage.lines.size(); ++i) {
    const TextLine& line = stage.lines[i];
    const std::string loc = line.op == TextLine::kNone ? "" : function.ops[line.op].loc;
    lines.push_back(strings.add(line.text));
    lines.push_back(loc.empty() ? -1 : strings.add(loc));
    lines.push_back(stage.marks[i]);
    lines.push_back(line.op);
  }
  std::vector<std::string> printed = unique_names(function);
  for (size_t i = 0; i < printed.size(); ++i)
    if (!printed[i].empty()) {
      names.push_back(strings.add(printed[i]));
      names.push_back(stage.tracked.ids[i]);
    }
  for (size_t i = 0; i < stage.tracked.inside.size(); ++i)
    if (!stage.tracked.inside[i].empty())
      inside.push_back({{"op", i}, {"ids", stage.tracked.inside[i]}});
  return {{"name", function.name}, {"lines", lines}, {"names", names}, {"inside", inside}};
}

}  // namespace

EntryStages follow_entry(const std::vector<Stage>& stages, const std::string& entry) {
  EntryStages followed(stages.size());
  std::map<std::string, ValueTracker> trackers;
  int next_id = 0;
  for (size_t i = 0; i < stages.size(); ++i)
    for (const Function* function : functions_of(stages[i].module, entry)) {
      ValueTracker& tracker =
          trackers.try_emplace(function->name, ValueTracker(next_id)).first->second;
      StageFunction& stage = followed[i][function->name];
      stage.function = function;
      stage.tracked = tracker.follow(stages[i].module, *function);
      stage.lines = lines_of(*function);
      stage.marks.assign(stage.lines.size(), kSame);
    }
  for (size_t i = 0; i < stages.size(); ++i)
    for (auto& [name, stage] : followed[i]) {
      if (i > 0)
        mark_against(stage, find(followed[i - 1], name));
      if (i + 1 < stages.size())
        mark_gone(stage, find(followed[i + 1], name));
    }
  return followed;
}

nlohmann::ordered_json stages_json(const std::vector<Stage>& stages, const EntryStages& followed,
                                   const std::string& entry, StringTable& strings) {
  nlohmann::ordered_json json = nlohmann::json::array();
  for (size_t i = 0; i < stages.size(); ++i) {
    nlohmann::ordered_json functions = nlohmann::json::array();
    for (const Function* function : functions_of(stages[i].module, entry))
      functions.push_back(function_json(followed[i].at(function->name), strings));
    json.push_back({{"pass", stages[i].pass},
                    {"reason", stages[i].reason},
                    {"seconds", stages[i].seconds},
                    {"functions", functions}});
  }
  return json;
}

}  // namespace gradc
