#pragma once
// Runs one test case and compares what it gives with what is wanted.
#include <optional>
#include <string>
#include <vector>

#include "tools/commands/flags.h"
#include "tools/verify/difference.h"
#include "tools/verify/test_cases.h"

namespace gradc {

struct VerifySettings {
  ModelFlags model;  // finished; the model's path is the case's
  Tolerance tolerance;
  bool evaluator = false;  // in double, op by op, instead of compiled code
};

enum class Outcome : uint8_t {
  passed,
  failed,
  // What the importer does not take: a reason in itself, no failure.
  unsupported_op,
  unsupported_type,
  strings,
  sequences,
  data_dependent,  // shapes that depend on what is computed
  no_elements  // inputs of size 0
};
inline constexpr size_t kOutcomeCount = 8;
std::string_view name_of(Outcome outcome);  // "passed", "failed", "unsupported op", ...
inline bool is_skipped(Outcome outcome) {
  return outcome != Outcome::passed && outcome != Outcome::failed;
}

struct OutputResult {
  std::string name;
  Type type;
  Difference difference;
};

struct CaseResult {
  Outcome outcome = Outcome::passed;
  std::string reason;  // one line; "" where it passed
  // Some node had to know an input's value at compile time, and was given the case's.
  bool knows_inputs = false;
  std::vector<OutputResult> outputs;  // of all data sets, one after another
  double seconds = 0;
};

// Throws nothing that the case is at fault for.
CaseResult run_case(const TestCase& test, const VerifySettings& settings);

}  // namespace gradc
