#pragma once
// The plan of an entry as the report draws it: kernels in execution order, who reads what from
// whom, lifetimes in the arena, and operations by layer and by line of the model.
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "compiler/options.h"
#include "ir/module.h"
#include "tools/report/text.h"
#include "tools/report/value_tracker.h"

namespace gradc {

// `kernels` numbers the module's kernels by name. Time is counted in kernels, from 0: views take
// none.
nlohmann::ordered_json plan_json(const Module& planned, const Function& entry,
                                 const TrackedFunction& tracked, const Options& options,
                                 const std::map<std::string, int>& kernels, StringTable& strings);

}  // namespace gradc
