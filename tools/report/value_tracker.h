#pragma once
// Which values of a stage are which values of the stage before. Printed names are only hints, and
// their numbers change when a pass adds or removes a value, so the report links values by what they
// compute:
//   - the same op on the same values with the same attributes is the same value, whatever its name;
//   - else a value with the name, the place in the model and the type of one that is gone, computed
//     from some of the same values, is that one, computed in another way.
// Ops inside of a kernel count as if they stood where the kernel is called.
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "ir/module.h"

namespace gradc {

// A function of a stage. An id is that of a value in all stages.
struct TrackedFunction {
  std::vector<int> ids;  // by ValueId
  // By op, of calls of kernels: the ids of the kernel's values, by the kernel's ValueId.
  std::vector<std::vector<int>> inside;
};

class ValueTracker {
 public:
  // `next_id` is the first one that is free. Trackers of several functions may share it.
  explicit ValueTracker(int& next_id) : next_id_(next_id) {}

  // The function as it is in the next stage.
  TrackedFunction follow(const Module& module, const Function& function);

 private:
  using Key = std::tuple<Opcode, std::string, Attrs, std::vector<int>>;  // callee, operands' ids
  using Hint = std::pair<std::string, std::string>;  // name and place

  // How an id came about; parameters are not made.
  struct Made {
    Type type;
    std::vector<int> operands;  // ids
  };
  struct Stage {
    std::map<std::string, int> parameters;
    std::map<Key, std::vector<int>> computed;
    std::map<Hint, std::vector<int>> named;
    std::map<int, Made> made;  // by id
    std::set<int> from_outside;  // ids of parameters
    bool has(int id) const { return made.contains(id) || from_outside.contains(id); }
  };
  struct Flat;

  static Flat flatten(const Module& module, const Function& function);
  std::vector<int> parameter_ids(const Function& function, const Flat& flat, Stage& now);
  std::set<int> computed_as_before(const Flat& flat, std::vector<int> ids) const;
  static std::set<int> known_inputs(const std::vector<int>& operands, const Stage& made_in,
                                    const Stage& known);
  std::optional<int> changed_from(const Hint& hint, const Made& made, const std::set<int>& taken,
                                  const Stage& now) const;
  void number(const Flat& flat, std::vector<int>& ids, Stage& now);

  int& next_id_;
  Stage before_;
};

}  // namespace gradc
