#pragma once
// Names of models, entries and tensors as names in C and C++.
#include <set>
#include <string>

namespace gradc {

// `text` as an identifier: other characters become `_`, a leading digit gets one before it. What
// means something else in C or C++ (`class`), or in the generated headers (`gradc`), gets one
// behind.
std::string c_identifier(const std::string& text);

// Identifiers that differ from each other, also in capitals. "x.1" and "x_1" are x_1 and x_1_2.
class Identifiers {
 public:
  explicit Identifiers(std::set<std::string> taken = {});
  std::string unique(const std::string& text);

 private:
  std::set<std::string> taken_;  // in capitals
};

std::string upper(std::string text);
// train_step -> TrainStep
std::string camel(const std::string& text);

}  // namespace gradc
