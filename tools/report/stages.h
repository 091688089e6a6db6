#pragma once
// The stages of an entry as columns of the report: their lines, what changed in them, and which
// value is which in all of them.
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ir/module.h"
#include "tools/report/text.h"
#include "tools/report/value_tracker.h"

namespace gradc {

struct Stage {
  std::string pass, reason;
  double seconds = 0;
  Module module;
};

// What a line is to the stage before, and whether the next one still has it.
enum LineMark { kSame = 0, kChanged = 1, kNew = 2, kGoneNext = 4 };

// A function in a stage.
struct StageFunction {
  const Function* function = nullptr;
  TrackedFunction tracked;
  std::vector<TextLine> lines;
  std::vector<int> marks;  // by line: kSame, kChanged or kNew, and kGoneNext
};

// By stage: the entry under its name, and the bodies that it runs.
using EntryStages = std::vector<std::map<std::string, StageFunction>>;

// A pass may make the entry, as `init` for an optimizer's states: stages before have none of it.
EntryStages follow_entry(const std::vector<Stage>& stages, const std::string& entry);

nlohmann::ordered_json stages_json(const std::vector<Stage>& stages, const EntryStages& followed,
                                   const std::string& entry, StringTable& strings);

}  // namespace gradc
