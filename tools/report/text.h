#pragma once
// The text of a stage as the report shows it: the lines of print(), each with what it stands for.
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ir/module.h"

namespace gradc {

// Texts, each kept once: most lines of a stage are lines of the stage before.
class StringTable {
 public:
  int add(std::string_view text);
  const std::vector<std::string>& texts() const { return texts_; }

 private:
  std::vector<std::string> texts_;
  std::unordered_map<std::string, int> numbers_;
};

// At most one of the indices is set, into the function's member of that name.
struct TextLine {
  static constexpr int kNone = -1;

  std::string text;  // without `loc`
  int op = kNone;
  int parameter = kNone;
  int result = kNone;
};

// As print(function), but with a line for each parameter and result of a long list, and without
// the ops' `loc`.
std::vector<TextLine> lines_of(const Function& function);

}  // namespace gradc
