#include "ir/diagnostic.h"

#include <algorithm>
#include <vector>

namespace gradc {
namespace {

std::string whole_text(const std::string& place, const std::string& message,
                       const std::string& tail) {
  return (place.empty() ? "" : place + ": ") + "error: " + message + tail;
}

}  // namespace

UserError::UserError(std::string place, std::string message, Fault fault)
    : UserError(std::move(place), std::move(message), "", fault, std::nullopt) {}

UserError::UserError(std::string place, std::string message, std::string tail, Fault fault,
                     std::optional<int64_t> enough_bytes)
    : std::runtime_error(whole_text(place, message, tail)),
      place_(std::move(place)),
      message_(std::move(message)),
      tail_(std::move(tail)),
      fault_(fault),
      enough_bytes_(enough_bytes) {}

UserError UserError::with_note(const std::string& note) const {
  return UserError(place_, message_, tail_ + "\nnote: " + note, fault_, enough_bytes_);
}

UserError UserError::with_help(const std::string& help) const {
  return UserError(place_, message_, tail_ + "\nhelp: " + help, fault_, enough_bytes_);
}

UserError UserError::with_enough_bytes(int64_t bytes) const {
  return UserError(place_, message_, tail_, fault_, bytes);
}

UserError UserError::at(const std::string& place) const {
  return UserError(place, message_, tail_, fault_, enough_bytes_);
}

UserError UserError::with_source(std::string_view line, int column) const {
  std::string caret = "\n  " + std::string(line) + "\n  ";
  for (int i = 0; i + 1 < column && i < static_cast<int>(line.size()); ++i)
    caret += line[static_cast<size_t>(i)] == '\t' ? '\t' : ' ';
  return UserError(place_, message_, caret + "^" + tail_, fault_, enough_bytes_);
}

void internal_error(const char* file, int line, const char* condition, const std::string& message) {
  throw InternalError(fmt::format("{}:{}: internal error: `{}` does not hold{}{}", file, line,
                                  condition, message.empty() ? "" : ": ", message));
}

// Two neighbours that are swapped count as one change.
int edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<int>> rows(a.size() + 1, std::vector<int>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      int& least = rows[i][j];
      if (i == 0 || j == 0) {
        least = static_cast<int>(i + j);
        continue;
      }
      int change = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      least = std::min({change, rows[i - 1][j] + 1, rows[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        least = std::min(least, rows[i - 2][j - 2] + 1);
    }
  return rows[a.size()][b.size()];
}

}  // namespace gradc
