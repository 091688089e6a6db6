#pragma once
// Errors are whose fault: the user's (model, data, command line, budget) or ours.
// Thrown in ir/, compiler/ and tools/; caught by compile() and main(), nowhere else.
#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace gradc {

// Exit codes of the command line tool (docs in README.md).
enum class Fault { model_or_data = 1, command_line = 2, internal = 3, impossible_budget = 4 };

// A fault of the input. `place` is `file:line:col`, `model.onnx: node "x"` or a file's path; it may
// be empty. what() is the whole text: `place: error: message`, then the source line and caret if
// known, notes, help.
class UserError : public std::runtime_error {
 public:
  UserError(std::string place, std::string message, Fault fault = Fault::model_or_data);
  Fault fault() const { return fault_; }
  const std::string& place() const { return place_; }
  const std::string& message() const { return message_; }
  // What follows the message: source line and caret, notes and help, each behind a line break.
  const std::string& tail() const { return tail_; }
  // Of an impossible budget: bytes that are enough, if known.
  const std::optional<int64_t>& enough_bytes() const { return enough_bytes_; }
  // The same error with one more line at its end: "note: ..." or "help: ...".
  UserError with_note(const std::string& note) const;
  UserError with_help(const std::string& help) const;
  UserError with_enough_bytes(int64_t bytes) const;
  // The same error at a place, for callers that know it when the thrower did not.
  UserError at(const std::string& place) const;
  // The same error with the source line and a caret below `column` (1-based).
  UserError with_source(std::string_view line, int column) const;

 private:
  UserError(std::string place, std::string message, std::string tail, Fault fault,
            std::optional<int64_t> enough_bytes);
  std::string place_, message_, tail_;
  Fault fault_;
  std::optional<int64_t> enough_bytes_;
};

// A broken invariant of gradc itself.
class InternalError : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

// Throws a UserError that has no place yet; shape rules use it, their callers add the place.
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw UserError("", fmt::format(format, std::forward<Args>(args)...));
}

[[noreturn]] void internal_error(const char* file, int line, const char* condition,
                                 const std::string& message);

#define GRADC_CHECK(condition, ...)                                                           \
  do {                                                                                        \
    if (!(condition))                                                                         \
      ::gradc::internal_error(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)

// The candidate nearest to `name` by edit distance, or "" when none is near (for "did you mean").
template <typename Range>
std::string nearest_name(std::string_view name, const Range& candidates);
int edit_distance(std::string_view a, std::string_view b);

template <typename Range>
std::string nearest_name(std::string_view name, const Range& candidates) {
  std::string best;
  int best_distance = 1 + static_cast<int>(name.size()) / 3;
  for (const auto& candidate : candidates) {
    int distance = edit_distance(name, candidate);
    if (distance <= best_distance && (best.empty() || distance < edit_distance(name, best)))
      best = std::string(candidate);
  }
  return best;
}

}  // namespace gradc
